//! What one fault came to: it is compared with the run in which nothing failed.

use std::collections::BTreeSet;
use std::fmt;

use nix::errno::Errno;
use serde_json::{Value, json};
use switch_root_tests::outcome::{End, Outcome, mount_points};
use switch_root_tests::snapshot::Tree;

use super::scenes::SURVIVORS;

/// What a fault came to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// The switch is refused, with this sentence, and nothing was changed.
    Refused(String),
    /// The process ended without a word, and nothing was changed.
    Ended,
    /// Init runs, and the report or the log says this.
    Named(String),
    /// Init runs, and everything is as it is without the fault.
    Same,
    /// Init runs, something is different, and nothing says why.
    Silent(String),
    /// The switch was made, and init does not run, with this sentence.
    NoInit(String),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(_) => f.write_str("refused"),
            Self::Ended => f.write_str("ended, nothing changed"),
            Self::Named(_) => f.write_str("booted, named"),
            Self::Same => f.write_str("booted, harmless"),
            Self::Silent(_) => f.write_str("booted, not named"),
            Self::NoInit(_) => f.write_str("no init"),
        }
    }
}

/// Classifies a run with a fault, given the same run without.
///
/// # Errors
/// What must never be, whatever fails.
pub fn classify(whole: &Outcome, faulty: &Outcome) -> Result<Cell, String> {
    let error = faulty
        .stderr
        .lines()
        .rev()
        .find_map(|line| line.split_once("switch_root: error: "))
        .map(|(_, sentence)| sentence.to_owned());
    let unchanged = faulty.changes();
    let Some(seen) = &faulty.testimony else {
        return match (error, faulty.end) {
            (Some(error), End::Exited(1)) => match error.strip_prefix("nothing was changed: ") {
                Some(reason) if unchanged.is_empty() => Ok(Cell::Refused(reason.into())),
                Some(_) => Err(format!(
                    "it says that nothing was changed, but:\n{}",
                    unchanged.join("\n")
                )),
                None => Ok(Cell::NoInit(error)),
            },
            _ if unchanged.is_empty() && faulty.end != End::TimedOut => {
                let allocation = faulty
                    .stderr
                    .lines()
                    .find(|line| line.contains("memory allocation"));
                Ok(match allocation {
                    Some(line) => Cell::Refused(line.into()),
                    None => Cell::Ended,
                })
            }
            (_, end) => Err(format!(
                "it ended as {end:?}, and changed:\n{}",
                unchanged.join("\n")
            )),
        };
    };
    if faulty.end != End::Exited(0) {
        return Err(format!("init ended as {:?}", faulty.end));
    }
    survivors_are_whole(whole, faulty)?;
    let foreign: Vec<&String> = difference(&whole.before.initramfs, &faulty.after.initramfs)
        .filter(|path| !whole.after.initramfs.contains_key(*path))
        .collect();
    if !foreign.is_empty() {
        return Err(format!(
            "came to be in the initramfs, or changed there: {foreign:?}"
        ));
    }
    if !seen.settled {
        return Err("the deletion did not end".into());
    }
    let said = new(whole, faulty);
    if !said.is_empty() {
        return Ok(Cell::Named(
            said.into_iter().collect::<Vec<_>>().join(" | "),
        ));
    }
    let (was, is) = (facts(whole), facts(faulty));
    Ok(match was == is {
        true => Cell::Same,
        false => Cell::Silent(differences(&was, &is)),
    })
}

/// Checks that what is to survive is as it was, and nothing of it was deleted.
///
/// # Errors
/// The first survivor that is not.
pub fn survivors_are_whole(whole: &Outcome, faulty: &Outcome) -> Result<(), String> {
    for path in SURVIVORS {
        let (was, is) = (
            whole.before.initramfs.get(path),
            faulty.after.initramfs.get(path),
        );
        if was.is_none() || was != is {
            return Err(format!("the survivor {path} was {was:?} and is {is:?}"));
        }
    }
    Ok(())
}

/// Paths of `after` that are not in `before`, or not as they are there.
fn difference<'a>(before: &'a Tree, after: &'a Tree) -> impl Iterator<Item = &'a String> {
    after
        .iter()
        .filter(|(path, entry)| {
            // What was a mount point is a directory when nothing is mounted there.
            before
                .get(*path)
                .is_none_or(|was| was != *entry && was.kind != "mount")
        })
        .map(|(path, _)| path)
}

/// What the log and the report say that they do not say otherwise.
fn new(whole: &Outcome, faulty: &Outcome) -> BTreeSet<String> {
    let mut new: BTreeSet<String> = log(faulty).difference(&log(whole)).cloned().collect();
    new.extend(newly_reported(whole, faulty));
    new
}

/// What the report alone says that it does not say otherwise.
pub fn newly_reported(whole: &Outcome, faulty: &Outcome) -> BTreeSet<String> {
    let (before, after) = (reported(whole), reported(faulty));
    after.difference(&before).cloned().collect()
}

/// The warnings and errors of the log.
fn log(outcome: &Outcome) -> BTreeSet<String> {
    let lines = outcome.stderr.lines();
    lines
        .filter(|line| line.contains("warning: ") || line.contains("error: "))
        .map(String::from)
        .collect()
}

/// Everything in the report that tells of something that is not as it should be.
fn reported(outcome: &Outcome) -> BTreeSet<String> {
    let mut said = BTreeSet::new();
    let Some(report) = outcome.report() else {
        return said;
    };
    let report = report.0;
    let mut add = |values: &Value, fields: &[&str]| {
        for value in values.as_array().into_iter().flatten() {
            for field in fields {
                let text = &value[*field];
                if !text.is_null() {
                    said.insert(text.to_string());
                }
            }
            if let Some(text) = value.as_str() {
                said.insert(text.to_owned());
            }
        }
    };
    add(&report["warnings"], &[]);
    add(&report["policies"], &["failures", "warnings"]);
    add(&report["survivors"], &["note"]);
    add(&report["extensions"], &["reasons"]);
    add(&report["deletion"]["failed"], &["path", "error"]);
    add(&report["deletion"]["skipped_mounts"], &[]);
    if let Some(reason) = report["deletion"]["reason"].as_str() {
        said.insert(reason.to_owned());
    }
    for (protection, on) in report["judge"].as_object().into_iter().flatten() {
        if *on == Value::Bool(false) || (protection == "address_space" && *on == json!(0)) {
            said.insert(format!("the judge has not: {protection}"));
        }
    }
    said
}

/// What the running system finds, in so far as it is the same in any two runs.
fn facts(outcome: &Outcome) -> Value {
    let Some(seen) = &outcome.testimony else {
        return Value::Null;
    };
    let mut report = seen.report.clone().unwrap_or_default();
    let mut forget = |place: &str, field: &str| {
        if let Some(Value::Object(fields)) = report.pointer_mut(place) {
            fields.remove(field);
        }
    };
    forget("", "timings");
    // Null where it cannot be read, as `tolerated` knows.
    forget("", "boot_id");
    for field in ["peak_kib", "time_us", "address_space"] {
        forget("/judge", field);
    }
    for field in [
        "time_us",
        "memory_available_before",
        "memory_available_after",
        "used_before",
        "used_after",
        "freed_bytes",
    ] {
        forget("/deletion", field);
    }
    for policy in report["policies"].as_array_mut().into_iter().flatten() {
        if let Some(fields) = policy.as_object_mut() {
            fields.remove("time_us");
            fields.remove("load_us");
        }
    }
    let status = ["SigIgn", "SigBlk", "SigCgt", "CapEff", "CapBnd", "Threads"]
        .map(|field| seen.status.get(field).cloned());
    json!({
        "report": report,
        "left": outcome.after.initramfs.keys().collect::<Vec<_>>(),
        "mounts": mount_points(&seen.mounts),
        "files": seen.files,
        "top": seen.top,
        "arguments": seen.arguments,
        "environment": seen.environment,
        "directory": seen.directory,
        "descriptors": seen.descriptors.keys().collect::<Vec<_>>(),
        "status": status,
        "preserved": seen.preserved,
        "left_for_root": seen.left,
    })
}

/// The fields that differ, with what they are.
fn differences(was: &Value, is: &Value) -> String {
    let mut found = Vec::new();
    compare("", was, is, &mut found);
    found.join("; ")
}

fn compare(path: &str, was: &Value, is: &Value, found: &mut Vec<String>) {
    match (was.as_object(), is.as_object()) {
        (Some(a), Some(b)) => {
            for name in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
                let null = Value::Null;
                let (a, b) = (a.get(name).unwrap_or(&null), b.get(name).unwrap_or(&null));
                compare(&format!("{path}/{name}"), a, b, found);
            }
        }
        _ if was != is => found.push(format!("{path} was {was:.300} and is {is:.300}")),
        _ => {}
    }
}

/// Whether a text names an error, in the words of one of the libraries.
pub fn names(text: &str, errno: Errno) -> bool {
    let words = std::io::Error::from(errno).to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    text.contains(words)
        || text.contains(&errno.to_string())
        || text.contains(&format!("{errno:?}"))
}
