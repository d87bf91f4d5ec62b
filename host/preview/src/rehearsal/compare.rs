//! Comparing what was planned with what the rehearsal did.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use switch_root_core::escape;
use switch_root_core::preserved::HOST;

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
            found.survivors(plan, report, conditions);
            found.deletion(plan, report, preserved, conditions);
            found.preserved(report, preserved, conditions);
            found.extensions(plan, report);
            found.policies(plan, report);
        }
    }
    found.end()
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

    fn survivors(&mut self, plan: &Value, report: &Value, conditions: &Conditions) {
        let planned = by_key(&plan["survivors"], "path");
        let seen = by_key(&report["survivors"], "path");
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
                        list(&seen["by"])
                    ));
                }
                continue;
            };
            let kinds = (text(&planned["kind"]), text(&seen["kind"]));
            if kinds.0 != kinds.1 && !conditions.placeholders.contains(*path) {
                self.differs(format!(
                    "{path} was to be a {}, and is a {}",
                    kinds.0, kinds.1
                ));
            }
            let by = (list(&planned["by"]), list(&seen["by"]));
            if by.0 != by.1 {
                self.differs(format!(
                    "{path} was to be kept by {}, and is by {}",
                    by.0, by.1
                ));
            }
            self.carried(path, planned, seen);
        }
    }

    fn carried(&mut self, path: &str, planned: &Value, seen: &Value) {
        let target = |value: &Value| text(&value["carried_to"]);
        let (planned_to, seen_to) = (target(planned), target(seen));
        if planned_to == seen_to {
            return;
        }
        match seen["note"].as_str() {
            Some(note) if seen_to.is_empty() => self.note(format!(
                "{path} survives, and is not carried to {planned_to} of the new root: {note}"
            )),
            _ => {
                let shown = |to: String| if to.is_empty() { "nowhere".into() } else { to };
                self.differs(format!(
                    "{path} was to be carried to {}, and is to {}",
                    shown(planned_to),
                    shown(seen_to)
                ));
            }
        }
    }

    fn deletion(
        &mut self,
        plan: &Value,
        report: &Value,
        preserved: &Preserved,
        conditions: &Conditions,
    ) {
        let planned = text(&plan["deletion"]["action"]);
        let seen = &report["deletion"];
        let state = text(&seen["state"]);
        match (planned.as_str(), state.as_str()) {
            ("delete", "complete") => {}
            ("skip", "skipped") => {
                let reasons = (text(&plan["deletion"]["reason"]), text(&seen["reason"]));
                if reasons.0 != reasons.1 {
                    self.note(format!(
                        "nothing was to be deleted because {}; nothing was, because {}",
                        reasons.0, reasons.1
                    ));
                }
                return;
            }
            ("delete", _) => {
                let reason = text(&seen["reason"]);
                return self.differs(format!("the deletion was {state}, unplanned: {reason}"));
            }
            _ => {
                let reason = text(&plan["deletion"]["reason"]);
                return self.differs(format!("nothing was to be deleted, and it was: {reason}"));
            }
        }
        for failed in seen["failed"].as_array().into_iter().flatten() {
            let (path, error) = (text(&failed["path"]), text(&failed["error"]));
            self.differs(format!("{path} could not be deleted: {error}"));
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
            self.note(format!(
                "{} of the directories that were deleted were made for the rehearsal, and are not in the plan: {shown}{more}",
                own.len()
            ));
        }
        let own = own.len() as u64;
        for (what, own) in [("directories", own), ("files", 0)] {
            let planned = plan["summary"]["deleted"][what].as_u64();
            let seen = seen[what].as_u64().map(|seen| seen.saturating_sub(own));
            if let (Some(planned), Some(seen)) = (planned, seen)
                && planned != seen
            {
                self.differs(format!(
                    "{planned} {what} were to be deleted, and {seen} were"
                ));
            }
        }
    }

    /// What is there is what the report says, and nothing else.
    fn preserved(&mut self, report: &Value, preserved: &Preserved, conditions: &Conditions) {
        let survivors = by_key(&report["survivors"], "path");
        let there: BTreeMap<&str, &str> = preserved
            .entries
            .iter()
            .map(|entry| (entry.path.as_str(), entry.kind.as_str()))
            .collect();
        // What the host alone keeps is elsewhere, for root.
        let by_policy = |survivor: &Value| {
            let by = survivor["by"].as_array().into_iter().flatten();
            by.map(text).any(|by| by != HOST)
        };
        let shown = survivors.iter().filter(|(_, survivor)| by_policy(survivor));
        for (path, survivor) in shown {
            match there.get(path) {
                None if preserved.cut => {}
                None => self.differs(format!(
                    "{path} survived, says the report, and is not at /run/switch-root/preserved"
                )),
                Some(kind) if *kind != text(&survivor["kind"]) => self.differs(format!(
                    "{path} is a {} in the report, and a {kind} at /run/switch-root/preserved",
                    text(&survivor["kind"])
                )),
                Some(_) => {}
            }
        }
        if text(&report["deletion"]["state"]) != "complete" {
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

    fn extensions(&mut self, plan: &Value, report: &Value) {
        let planned = by_key(&plan["extensions"], "image");
        let seen = by_key(&report["extensions"], "image");
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
            if planned["verdict"].is_null() {
                self.note(format!(
                    "no policy was asked about extension {image} for the plan; it is {}{}",
                    text(&seen["verdict"]),
                    reasons(seen)
                ));
                continue;
            }
            let verdicts = (text(&planned["verdict"]), text(&seen["verdict"]));
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

    fn policies(&mut self, plan: &Value, report: &Value) {
        let names = |value: &Value| -> Vec<String> {
            let policies = value["policies"].as_array().into_iter().flatten();
            policies.map(|policy| text(&policy["name"])).collect()
        };
        let (planned, seen) = (names(plan), names(report));
        if planned != seen {
            return self.differs(format!(
                "the policies {} were to be asked, and were {}",
                planned.join(", "),
                seen.join(", ")
            ));
        }
        let policies = |value: &Value| value["policies"].as_array().cloned().unwrap_or_default();
        for (planned, seen) in policies(plan).iter().zip(&policies(report)) {
            let name = text(&seen["name"]);
            let digests = (&planned["digest"], &seen["digest"]);
            if digests.0 != digests.1 && !digests.0.is_null() && !digests.1.is_null() {
                self.differs(format!(
                    "policy {name} was to be {}, and is {}",
                    text(digests.0),
                    text(digests.1)
                ));
            }
            let failures = (failures(planned), failures(seen));
            if failures.0 != failures.1 {
                let shown = |failures: &BTreeSet<(String, String)>| {
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

fn by_key<'a>(list: &'a Value, key: &str) -> BTreeMap<&'a str, &'a Value> {
    let list = list.as_array().into_iter().flatten();
    list.filter_map(|value| Some((value[key].as_str()?, value)))
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> String {
    let list = value.as_array().into_iter().flatten();
    list.map(text).collect::<Vec<_>>().join(", ")
}

/// Why an extension is incompatible. What the host says of layers does not count: in a
/// rehearsal there are none.
fn reasons(extension: &Value) -> String {
    let reasons = extension["reasons"].as_array().into_iter().flatten();
    let reasons = reasons.filter(|reason| reason["policy"] != HOST);
    let each =
        reasons.map(|reason| format!("{}: {}", text(&reason["policy"]), text(&reason["reason"])));
    let all = each.collect::<Vec<_>>().join("; ");
    if all.is_empty() {
        all
    } else {
        format!(" ({all})")
    }
}

/// How a policy failed; the words may tell of times.
fn failures(policy: &Value) -> BTreeSet<(String, String)> {
    let failures = policy["failures"].as_array().into_iter().flatten();
    failures
        .map(|failure| (text(&failure["question"]), text(&failure["kind"])))
        .collect()
}

#[cfg(test)]
mod tests;
