//! Comparing what was planned with what the rehearsal did.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use switch_root_core::escape;
use switch_root_core::preserved::HOST;
use switch_root_core::report::read::{Extension, Policy, Report, Survivor};

use super::{Conditions, Outcome, Preserved, Rehearsed};

/// What is told one by one, of each kind.
const TOLD: usize = 50;

/// What a comparison came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What is otherwise than planned: a sentence each, fit to be printed.
    pub differences: Vec<String>,
    /// What is otherwise, and had to be: a sentence each.
    pub notes: Vec<String>,
}

/// Compares a plan, as `srctl plan --format json` prints it, with what came of it.
pub fn compare(plan: &Value, rehearsed: &Rehearsed) -> Comparison {
    let mut found = Finder::default();
    let refused = plan["refused"].as_str();
    match (&rehearsed.outcome, refused) {
        (Outcome::Refused(reason), Some(planned)) => {
            if !reason.contains(planned) && !planned.contains(reason.as_str()) {
                found.note(format!(
                    "it was to be refused because {planned}; it was, because {reason}"
                ));
            }
        }
        (Outcome::Refused(reason), None) => {
            found.differs(format!(
                "it was refused, which the plan does not say: {reason}"
            ));
        }
        (Outcome::Switched { .. }, Some(planned)) => {
            found.differs(format!("it was to be refused, and was not: {planned}"));
        }
        (Outcome::Switched { report, preserved }, None) => {
            let conditions = &rehearsed.conditions;
            // What a plan says of these is written as a report says it.
            let (planned, seen) = (read(plan), read(report));
            found.survivors(&planned.survivors, &seen.survivors, conditions);
            found.deletion(plan, &seen, preserved, conditions);
            found.preserved(&seen, preserved, conditions);
            found.extensions(&planned.extensions, &seen.extensions);
            found.policies(&planned.policies, &seen.policies);
        }
    }
    found.end()
}

/// What is known of a report, or of a plan as far as it has the same fields.
fn read(value: &Value) -> Report {
    Report::deserialize(value).unwrap_or_default()
}

/// Collects, and tells only so much.
#[derive(Default)]
struct Finder {
    differences: Vec<String>,
    more: usize,
    notes: Vec<String>,
}

impl Finder {
    fn differs(&mut self, sentence: String) {
        if self.differences.len() < TOLD {
            self.differences.push(escape::message(&sentence, 4096));
        } else {
            self.more += 1;
        }
    }

    fn note(&mut self, sentence: String) {
        if self.notes.len() < TOLD {
            self.notes.push(escape::message(&sentence, 4096));
        }
    }

    fn end(mut self) -> Comparison {
        if self.more > 0 {
            self.differences
                .push(format!("{} more differences", self.more));
        }
        Comparison {
            differences: self.differences,
            notes: self.notes,
        }
    }

    fn survivors(&mut self, planned: &[Survivor], seen: &[Survivor], conditions: &Conditions) {
        let (planned, seen) = (by_path(planned), by_path(seen));
        for path in planned.keys().filter(|path| !seen.contains_key(*path)) {
            self.differs(format!("{path} was to survive, and did not"));
        }
        for (path, seen) in &seen {
            let Some(planned) = planned.get(path) else {
                if conditions.has(path) {
                    self.note(format!("{path} survives, which is of the rehearsal itself"));
                } else {
                    self.differs(format!(
                        "{path} survived, which was not planned (kept by {})",
                        seen.by.join(", ")
                    ));
                }
                continue;
            };
            if planned.kind != seen.kind && !conditions.placeholders.contains(*path) {
                self.differs(format!(
                    "{path} was to be a {}, and is a {}",
                    planned.kind, seen.kind
                ));
            }
            let by = (planned.by.join(", "), seen.by.join(", "));
            if by.0 != by.1 {
                self.differs(format!(
                    "{path} was to be kept by {}, and is by {}",
                    by.0, by.1
                ));
            }
            self.carried(path, planned, seen);
        }
    }

    fn carried(&mut self, path: &str, planned: &Survivor, seen: &Survivor) {
        let shown = |to: &Option<String>| to.clone().unwrap_or_else(|| "nowhere".into());
        match (&planned.carried_to, &seen.carried_to) {
            (planned_to, seen_to) if planned_to == seen_to => {}
            (Some(planned_to), None) if seen.note.is_some() => self.note(format!(
                "{path} survives, and is not carried to {planned_to} of the new root: {}",
                seen.note.as_deref().unwrap_or_default()
            )),
            (planned_to, seen_to) => self.differs(format!(
                "{path} was to be carried to {}, and is to {}",
                shown(planned_to),
                shown(seen_to)
            )),
        }
    }

    fn deletion(
        &mut self,
        plan: &Value,
        report: &Report,
        preserved: &Preserved,
        conditions: &Conditions,
    ) {
        let planned = text(&plan["deletion"]["action"]);
        let seen = &report.deletion;
        let reason = seen.reason.clone().unwrap_or_default();
        match (planned.as_str(), seen.state.as_str()) {
            ("delete", "complete") => {}
            ("skip", "skipped") => {
                let reasons = (text(&plan["deletion"]["reason"]), reason);
                if reasons.0 != reasons.1 {
                    self.note(format!(
                        "nothing was to be deleted because {}; nothing was, because {}",
                        reasons.0, reasons.1
                    ));
                }
                return;
            }
            // Another program deletes.
            ("delete", "skipped") if report.copied.is_some() => return,
            ("delete", state) => {
                return self.differs(format!("the deletion was {state}, unplanned: {reason}"));
            }
            _ => {
                let reason = text(&plan["deletion"]["reason"]);
                return self.differs(format!("nothing was to be deleted, and it was: {reason}"));
            }
        }
        for failed in &seen.tally.failed {
            self.differs(format!(
                "{} could not be deleted: {}",
                failed.path, failed.error
            ));
        }
        let kept: BTreeSet<&str> = preserved
            .entries
            .iter()
            .map(|it| it.path.as_str())
            .collect();
        let own = conditions.directories.iter();
        let own: Vec<&str> = own
            .map(String::as_str)
            .filter(|path| !kept.contains(path))
            .collect();
        if !own.is_empty() {
            let shown = own.iter().take(5).copied().collect::<Vec<_>>().join(", ");
            let more = if own.len() > 5 { ", ..." } else { "" };
            let (were, are) = match own.len() {
                1 => ("was", "is"),
                _ => ("were", "are"),
            };
            self.note(format!(
                "{} of the directories that were deleted {were} made for the rehearsal, and {are} not in the plan: {shown}{more}",
                own.len()
            ));
        }
        let directories = seen.tally.directories.saturating_sub(own.len() as u64);
        for (what, seen) in [("directories", directories), ("files", seen.tally.files)] {
            let planned = plan["summary"]["deleted"][what].as_u64();
            if let Some(planned) = planned.filter(|planned| *planned != seen) {
                self.differs(format!(
                    "{planned} {what} were to be deleted, and {seen} were"
                ));
            }
        }
    }

    /// What is there is what the report says, and nothing else.
    fn preserved(&mut self, report: &Report, preserved: &Preserved, conditions: &Conditions) {
        let survivors = by_path(&report.survivors);
        let there: BTreeMap<&str, &str> = preserved
            .entries
            .iter()
            .map(|entry| (entry.path.as_str(), entry.kind.as_str()))
            .collect();
        // What the host alone keeps is elsewhere, for root.
        let by_policy = |survivor: &Survivor| survivor.by.iter().any(|by| by != HOST);
        let shown = survivors.iter().filter(|(_, survivor)| by_policy(survivor));
        for (path, survivor) in shown {
            match there.get(path) {
                None if preserved.cut => {}
                None => self.differs(format!(
                    "{path} survived, says the report, and is not at /run/switch-root/preserved"
                )),
                Some(kind) if *kind != survivor.kind => self.differs(format!(
                    "{path} is a {} in the report, and a {kind} at /run/switch-root/preserved",
                    survivor.kind
                )),
                Some(_) => {}
            }
        }
        if report.deletion.state != "complete" {
            return;
        }
        let ways: BTreeSet<&str> = survivors.keys().flat_map(|path| above(path)).collect();
        let within = |path: &str| {
            survivors.contains_key(path)
                || survivors.contains_key("/")
                || above(path).any(|above| survivors.contains_key(above))
        };
        for (path, _) in there {
            if !within(path) && !ways.contains(path) && !conditions.has(path) {
                self.differs(format!(
                    "{path} is at /run/switch-root/preserved, and nobody keeps it"
                ));
            }
        }
    }

    fn extensions(&mut self, planned: &[Extension], seen: &[Extension]) {
        let (planned, seen) = (by_image(planned), by_image(seen));
        for image in planned.keys().filter(|image| !seen.contains_key(*image)) {
            self.differs(format!(
                "extension {image} was planned for, and was not there"
            ));
        }
        for (image, seen) in &seen {
            let Some(planned) = planned.get(image) else {
                self.differs(format!("extension {image} was not planned for"));
                continue;
            };
            if planned.verdict.is_empty() {
                self.note(format!(
                    "no policy was asked about extension {image} for the plan; it is {}{}",
                    seen.verdict,
                    reasons(seen)
                ));
                continue;
            }
            let verdicts = (&planned.verdict, &seen.verdict);
            let reasons = (reasons(planned), reasons(seen));
            if verdicts.0 != verdicts.1 {
                self.differs(format!(
                    "extension {image} was to be {}{}, and is {}{}",
                    verdicts.0, reasons.0, verdicts.1, reasons.1
                ));
            } else if reasons.0 != reasons.1 {
                self.differs(format!(
                    "extension {image} was to be {} for another reason{}, and is{}",
                    verdicts.0, reasons.0, reasons.1
                ));
            }
        }
    }

    fn policies(&mut self, planned: &[Policy], seen: &[Policy]) {
        let names = |policies: &[Policy]| -> Vec<String> {
            policies.iter().map(|policy| policy.name.clone()).collect()
        };
        let asked = (names(planned), names(seen));
        if asked.0 != asked.1 {
            return self.differs(format!(
                "the policies {} were to be asked, and were {}",
                asked.0.join(", "),
                asked.1.join(", ")
            ));
        }
        for (planned, seen) in planned.iter().zip(seen) {
            let name = &seen.name;
            if let (Some(planned), Some(seen)) = (&planned.digest, &seen.digest)
                && planned != seen
            {
                self.differs(format!("policy {name} was to be {planned}, and is {seen}"));
            }
            let failures = (failures(planned), failures(seen));
            if failures.0 != failures.1 {
                let shown = |failures: &BTreeSet<(&str, &str)>| {
                    let each = failures
                        .iter()
                        .map(|(question, kind)| format!("{question}: {kind}"));
                    let all = each.collect::<Vec<_>>().join(", ");
                    if all.is_empty() {
                        "not at all".into()
                    } else {
                        all
                    }
                };
                self.differs(format!(
                    "policy {name} was to fail {}, and did {}",
                    shown(&failures.0),
                    shown(&failures.1)
                ));
            }
        }
    }
}

impl Conditions {
    fn has(&self, path: &str) -> bool {
        self.directories.contains(path)
    }
}

/// The directories that a path lies in, without `/`.
fn above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').skip(1).map(|(at, _)| &path[..at])
}

fn by_path(survivors: &[Survivor]) -> BTreeMap<&str, &Survivor> {
    let paths = survivors.iter().map(|it| (it.path.as_str(), it));
    paths.collect()
}

fn by_image(extensions: &[Extension]) -> BTreeMap<&str, &Extension> {
    let images = extensions.iter().map(|it| (it.image.as_str(), it));
    images.collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Why an extension is incompatible. What the host says of layers does not count: in a
/// rehearsal there are none.
fn reasons(extension: &Extension) -> String {
    let reasons = extension.reasons.iter();
    let each = reasons
        .filter(|reason| reason.policy != HOST)
        .map(|reason| format!("{}: {}", reason.policy, reason.reason));
    let all = each.collect::<Vec<_>>().join("; ");
    if all.is_empty() {
        all
    } else {
        format!(" ({all})")
    }
}

/// How a policy failed; the words may tell of times.
fn failures(policy: &Policy) -> BTreeSet<(&str, &str)> {
    let failures = policy.failures.iter();
    failures
        .map(|failure| (failure.question.as_str(), failure.kind.as_str()))
        .collect()
}

#[cfg(test)]
mod tests;
