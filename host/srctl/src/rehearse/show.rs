//! A rehearsal as people read it.

use preview::rehearsal::compare::Comparison;
use preview::rehearsal::{Outcome, Preserved, Rehearsed};
use serde_json::Value;
use switch_root_core::escape;
use switch_root_core::text::{bytes, count};

use crate::table::table;

/// Survivors that are shown one by one.
const SHOWN: usize = 100;

/// All of it.
pub fn text(rehearsed: &Rehearsed, comparison: Option<&Comparison>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, what: &str| {
        text.push_str(&format!("{name:<12}{}\n", escape::message(what, 4096)));
    };
    line("switch_root", &rehearsed.program);
    line("kernel", &rehearsed.facts.kernel_release);
    match &rehearsed.outcome {
        Outcome::Refused(reason) => line("refused", reason),
        Outcome::Switched { report, preserved } => {
            line(
                "switched",
                &format!(
                    "by {}, after {}",
                    word(&report["strategy"]),
                    milliseconds(&report["timings"]["switched_us"])
                ),
            );
            line("deleted", &deleted(report));
            line("left", &left(preserved));
            for warning in report["warnings"].as_array().into_iter().flatten() {
                line("warning", word(warning));
            }
            text.push_str(&survivors(report));
            text.push_str(&policies(report));
            text.push_str(&extensions(report));
        }
    }
    let notes = notes(rehearsed, comparison);
    if !notes.is_empty() {
        text.push('\n');
    }
    for note in notes {
        text.push_str(&format!("note: {}\n", escape::message(note, 4096)));
    }
    if let Some(what) = unknown(rehearsed) {
        text.push_str(&format!("NOT KNOWN: {what}\n"));
    }
    text.push('\n');
    match comparison {
        None => text.push_str(
            "not compared with a plan: there are kernel parameters for init, which is not called as init here\n",
        ),
        Some(comparison) if comparison.differences.is_empty() => text.push_str("as planned\n"),
        Some(comparison) => {
            text.push_str("not as planned:\n");
            for difference in &comparison.differences {
                text.push_str(&format!("  {}\n", escape::message(difference, 4096)));
            }
        }
    }
    text
}

fn deleted(report: &Value) -> String {
    let deletion = &report["deletion"];
    if deletion["state"] == "skipped" {
        return format!("nothing: {}", word(&deletion["reason"]));
    }
    let number = |name: &str| deletion[name].as_u64().unwrap_or_default() as usize;
    let freed = match deletion["freed_bytes"].as_u64() {
        Some(freed) => format!(", {} freed", bytes(freed)),
        None => String::new(),
    };
    let directories = match number("directories") {
        1 => "1 directory".to_owned(),
        number => format!("{number} directories"),
    };
    format!(
        "{} and {directories}{freed}, in {}",
        count(number("files") as u64, "file", "files"),
        milliseconds(&deletion["time_us"])
    )
}

fn left(preserved: &Preserved) -> String {
    let more = if preserved.cut { "at least " } else { "" };
    let of_kind = |kind: &str| {
        let entries = preserved.entries.iter();
        entries.filter(|entry| entry.kind == kind).count()
    };
    let directories = of_kind("directory");
    let others = preserved.entries.len() - directories;
    let directories = match directories {
        1 => "1 directory".to_owned(),
        number => format!("{number} directories"),
    };
    format!(
        "{more}{} and {directories} at /run/switch-root/preserved",
        count(others as u64, "file", "files")
    )
}

fn survivors(report: &Value) -> String {
    let all = report["survivors"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let rows: Vec<_> = all
        .iter()
        .take(SHOWN)
        .map(|survivor| {
            [
                word(&survivor["path"]).to_owned(),
                words(&survivor["by"]),
                word(&survivor["carried_to"]).to_owned(),
                word(&survivor["note"]).to_owned(),
            ]
        })
        .collect();
    let mut text = titled(
        table(["SURVIVOR", "BY", "CARRIED TO", "NOTE"], &rows),
        &rows,
    );
    if all.len() > SHOWN {
        text.push_str(&format!("and {} more\n", all.len() - SHOWN));
    }
    text
}

fn policies(report: &Value) -> String {
    let all = report["policies"].as_array().into_iter().flatten();
    let rows: Vec<_> = all
        .map(|policy| {
            let failures = policy["failures"].as_array().into_iter().flatten();
            let failures = failures.map(|failure| {
                format!(
                    "{}: {}",
                    word(&failure["question"]),
                    word(&failure["message"])
                )
            });
            [
                word(&policy["name"]).to_owned(),
                milliseconds(&policy["time_us"]),
                policy["fuel"].as_u64().unwrap_or_default().to_string(),
                failures.collect::<Vec<_>>().join("; "),
            ]
        })
        .collect();
    titled(table(["POLICY", "TIME", "FUEL", "FAILURE"], &rows), &rows)
}

fn extensions(report: &Value) -> String {
    let all = report["extensions"].as_array().into_iter().flatten();
    let rows: Vec<_> = all
        .map(|extension| {
            let reasons = extension["reasons"].as_array().into_iter().flatten();
            let reasons = reasons
                .map(|reason| format!("{}: {}", word(&reason["policy"]), word(&reason["reason"])));
            [
                word(&extension["image"]).to_owned(),
                word(&extension["version"]).to_owned(),
                word(&extension["verdict"]).to_owned(),
                reasons.collect::<Vec<_>>().join("; "),
            ]
        })
        .collect();
    titled(
        table(["EXTENSION", "VERSION", "VERDICT", "REASON"], &rows),
        &rows,
    )
}

/// A table behind an empty line; nothing where it has no rows.
fn titled<T>(table: String, rows: &[T]) -> String {
    if rows.is_empty() {
        String::new()
    } else {
        format!("\n{table}")
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn words(list: &Value) -> String {
    let list = list.as_array().into_iter().flatten();
    list.map(word).collect::<Vec<_>>().join(", ")
}

fn milliseconds(microseconds: &Value) -> String {
    let microseconds = microseconds.as_u64().unwrap_or_default();
    format!("{}.{} ms", microseconds / 1000, microseconds % 1000 / 100)
}

/// What was otherwise than at boot, and than planned, and had to be.
pub fn notes<'a>(rehearsed: &'a Rehearsed, comparison: Option<&'a Comparison>) -> Vec<&'a str> {
    let planned = comparison.into_iter().flat_map(|it| &it.notes);
    let notes = rehearsed.notes.iter().chain(planned);
    notes.map(String::as_str).collect()
}

/// That the verdicts are not those of the machine, where they are not.
pub fn unknown(rehearsed: &Rehearsed) -> Option<&'static str> {
    let Outcome::Switched { report, .. } = &rehearsed.outcome else {
        return None;
    };
    let asked = report["extensions"]
        .as_array()
        .is_some_and(|it| !it.is_empty());
    (asked && rehearsed.facts.os_release.is_none()).then_some(
        "whether the extensions are compatible: the policies were asked without an os-release, since the image does not say which operating system it boots; name that operating system's with --os-release FILE",
    )
}
