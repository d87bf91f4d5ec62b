//! What the tests say about an outcome.

use std::collections::BTreeSet;

use switch_root_tests::image::EXTENSIONS;
use switch_root_tests::outcome::{End, Outcome};
use switch_root_tests::report::Report;
use switch_root_tests::scene::Scene;
use switch_root_tests::schema;
use switch_root_tests::testimony::Testimony;

use crate::tools::{Checked, Stop, play};

/// Fails with a sentence unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($sentence:tt)+) => {
        if !$condition {
            return Err(crate::tools::Stop::Fail(format!($($sentence)+)));
        }
    };
}
pub(crate) use ensure;

/// Everything that a failed run said.
pub fn said(outcome: &Outcome) -> String {
    let Outcome {
        end,
        stdout,
        stderr,
        console,
        ..
    } = outcome;
    format!("{end:?}\nstdout: {stdout}\nstderr: {stderr}\nconsole: {console}")
}

/// Plays a scene that is to be refused: the exit status is not 0, init was not
/// started, trees and mounts are as they were, and each of `words` is in what was said,
/// in any case.
pub fn refuses(scene: &Scene, words: &[&str]) -> Checked {
    let outcome = play(scene)?;
    let all = said(&outcome);
    ensure!(outcome.testimony.is_none(), "init was started\n{all}");
    ensure!(
        matches!(outcome.end, End::Exited(status) if status != 0),
        "no failing exit status\n{all}"
    );
    let changes = outcome.changes();
    ensure!(
        changes.is_empty(),
        "changed:\n{}\n{all}",
        changes.join("\n")
    );
    says(&outcome.stderr, words)
}

/// Checks that each of `words` is in `text`, in any case.
pub fn says(text: &str, words: &[&str]) -> Checked {
    let lower = text.to_lowercase();
    for word in words {
        ensure!(
            lower.contains(&word.to_lowercase()),
            "nothing about {word:?} in:\n{text}"
        );
    }
    Ok(())
}

/// What extensions.yaml of the new root says, which nobody can write to.
pub fn told(report: &Report, seen: &Testimony) -> Result<String, Stop> {
    let file = seen.files.get(EXTENSIONS).ok_or("the probe did not look")?;
    ensure!(
        file.write_error.as_deref() == Some("EROFS"),
        "{EXTENSIONS} can be written: {file:?}\n{:#}",
        report.0
    );
    let text = file.content.clone().ok_or("no extensions.yaml")?;
    Ok(text.replace("\\x0a", "\n"))
}

/// What a file of the new root holds, where init was asked to look at it.
pub fn content<'a>(seen: &'a Testimony, path: &str) -> Option<&'a str> {
    seen.files.get(path)?.content.as_deref()
}

/// A run that came as far as the new root's init, and settled.
pub struct Booted {
    /// The run.
    pub outcome: Outcome,
    /// What init saw.
    pub seen: Testimony,
    /// The report in the end.
    pub report: Report,
}

/// Plays a scene that is to start the new root's init, and to end with a final report.
pub fn boots(scene: &Scene) -> Result<Booted, Stop> {
    let outcome = play(scene)?;
    let all = said(&outcome);
    ensure!(
        outcome.end == End::Exited(0),
        "init did not end well\n{all}"
    );
    let Some(seen) = outcome.testimony.clone() else {
        return Err(Stop::Fail(format!("init was not started\n{all}")));
    };
    ensure!(
        seen.settled,
        "the deletion did not end: {:?}\n{all}",
        seen.report
    );
    let Some(report) = outcome.report() else {
        return Err(Stop::Fail(format!("there is no report\n{all}")));
    };
    // Whatever was tried: what programs were promised.
    for report in seen.report_at_start.iter().chain([&report.0]) {
        has_the_schema(report)?;
    }
    Ok(Booted {
        outcome,
        seen,
        report,
    })
}

/// Checks a report against its schema.
pub fn has_the_schema(report: &serde_json::Value) -> Checked {
    let schema = serde_json::from_str(include_str!("../../host/switch/report.schema.json"))?;
    let differences = schema::differences(&schema, report);
    ensure!(
        differences.is_empty(),
        "the report is not as report.schema.json says:\n{}\n{report:#}",
        differences.join("\n")
    );
    Ok(())
}

impl Booted {
    /// Checks that of the initramfs exactly these paths are left, beside the directories
    /// above them. Paths that begin with `*` are directories kept with everything below.
    pub fn left(&self, expected: &[&str]) -> Checked {
        let left: BTreeSet<&str> = self
            .outcome
            .after
            .initramfs
            .keys()
            .map(String::as_str)
            .collect();
        let before = &self.outcome.before.initramfs;
        let mut wanted = BTreeSet::new();
        for path in expected {
            let whole = path.strip_prefix('*');
            let path = whole.unwrap_or(path);
            wanted.extend(path.match_indices('/').skip(1).map(|(end, _)| &path[..end]));
            wanted.insert(path);
            let below = |name: &&str| {
                whole.is_some()
                    && name
                        .strip_prefix(path)
                        .is_some_and(|rest| rest.starts_with('/'))
            };
            wanted.extend(before.keys().map(String::as_str).filter(below));
        }
        let superfluous: Vec<_> = left.difference(&wanted).collect();
        let missing: Vec<_> = wanted.difference(&left).collect();
        ensure!(
            superfluous.is_empty() && missing.is_empty(),
            "left over: {superfluous:?}; missing: {missing:?}\n{}",
            said(&self.outcome)
        );
        for path in left {
            let (was, is) = (before.get(path), &self.outcome.after.initramfs[path]);
            ensure!(was == Some(is), "{path} was {was:?} and is {is:?}");
        }
        Ok(())
    }

    /// Checks that nothing of the initramfs was deleted.
    pub fn everything_left(&self) -> Checked {
        let before = &self.outcome.before.initramfs;
        let after = &self.outcome.after.initramfs;
        let gone: Vec<_> = before
            .keys()
            .filter(|path| !after.contains_key(*path))
            .collect();
        ensure!(gone.is_empty(), "gone: {gone:?}\n{}", said(&self.outcome));
        ensure!(
            self.report.deletion() == "skipped",
            "deletion: {}",
            self.report.0["deletion"]
        );
        Ok(())
    }

    /// Checks that of the initramfs exactly that is left which the report says survives:
    /// what was decided is what was done.
    pub fn as_reported(&self) -> Checked {
        if self.report.deletion() == "skipped" {
            return self.everything_left();
        }
        let survivors = self.report.survivors();
        let left = &self.outcome.after.initramfs;
        for path in survivors.keys() {
            ensure!(left.contains_key(path), "{path} is to survive and is gone");
        }
        let is_within = |lower: &str, upper: &str| {
            lower
                .strip_prefix(upper)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let covered = |path: &str| {
            survivors
                .keys()
                .any(|kept| is_within(path, kept) || is_within(kept, path))
        };
        let unplanned: Vec<_> = left.keys().filter(|path| !covered(path)).collect();
        ensure!(
            unplanned.is_empty(),
            "left over: {unplanned:?}; survivors: {:?}",
            survivors.keys()
        );
        Ok(())
    }

    /// Checks that the initramfs holds no more than `inodes` and a few pages.
    pub fn freed(&self, inodes: u64) -> Checked {
        let usage = self.outcome.after.usage;
        ensure!(
            usage.inodes <= inodes,
            "{} inodes are in use, not {inodes}",
            usage.inodes
        );
        ensure!(
            usage.bytes <= 1 << 20,
            "{} bytes are still in use",
            usage.bytes
        );
        Ok(())
    }

    /// Checks that a file of the new root holds these bytes (escaped) and that nobody
    /// can write to it.
    pub fn read_only(&self, path: &str, content: &str) -> Checked {
        let seen = self
            .seen
            .files
            .get(path)
            .ok_or(format!("the probe did not look at {path}"))?;
        ensure!(
            seen.content.as_deref() == Some(content),
            "{path} holds {:?}, not {content:?}\n{}",
            seen.content,
            said(&self.outcome)
        );
        let error = seen.write_error.as_deref();
        ensure!(
            error == Some("EROFS"),
            "{path}: writing gives {error:?}, not EROFS"
        );
        Ok(())
    }

    /// Checks that a policy failed, and that the report and the log say so in these
    /// words.
    pub fn failed(&self, policy: &str, words: &[&str]) -> Checked {
        let Some((kind, message)) = self.report.failure(policy) else {
            return Err(Stop::Fail(format!(
                "{policy} did not fail: {}\n{}",
                self.report.0["policies"],
                said(&self.outcome)
            )));
        };
        says(&format!("{kind}: {message}"), words)
    }
}

/// Checks that nothing of the judge's confinement was left out; where there is
/// `another_user` to become, that neither.
pub fn confined(report: &Report, another_user: bool) -> Checked {
    let judge = &report.0["judge"];
    for protection in [
        "no_capabilities",
        "no_new_privileges",
        "no_files",
        "seccomp",
    ] {
        ensure!(judge[protection] == true, "{protection}: {judge:#}");
    }
    ensure!(
        judge["unprivileged_user"] == true || !another_user,
        "unprivileged_user: {judge:#}"
    );
    let limit = judge["address_space"].as_u64().unwrap_or_default();
    ensure!((1..1 << 40).contains(&limit), "address_space: {judge:#}");
    Ok(())
}
