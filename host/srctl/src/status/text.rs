//! A report for people.

use std::fmt::Write;

use switch_root_core::escape;
use switch_root_core::locations::{PRESERVED_PATH, WHOLE_PATH};
use switch_root_core::report::read::{
    Deletion, Extension, Policy, Process, Report, Survivor, passed,
};
use switch_root_core::text::{bytes, count, time};

use super::complaints::complaints;
use crate::style::{Stream, Tone, paint_if, wanted};
use crate::table::{plain_table, toned_table};

/// Rows of a table that are shown.
const ROWS: usize = 100;
/// The most of a text that is shown, in bytes.
const TEXT: usize = 4096;
/// Digits of a digest that are shown: as many as tell policies apart.
const DIGITS: usize = 12;
/// The kernel's name for this boot.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where a text goes.
#[derive(Clone, Copy)]
struct Place {
    coloured: bool,
}

/// A report as text; without colours where it goes to a file.
pub fn text(report: &Report, to_file: bool) -> String {
    let place = Place {
        coloured: !to_file && wanted(Stream::Output),
    };
    let mut text = heading(report);
    text.push('\n');
    text.push_str(&policies(&report.policies, place));
    if !report.survivors.is_empty() {
        text.push('\n');
        text.push_str(&survivors(&report.survivors, place));
        text.push_str(&places(report));
    }
    if !report.extensions.is_empty() {
        text.push('\n');
        text.push_str(&extensions(&report.extensions, place));
    }
    if !report.processes.is_empty() {
        text.push('\n');
        text.push_str(&processes(&report.processes, place));
        if report.processes_more > 0 {
            let more = count(report.processes_more, "more process", "more processes");
            let _ = writeln!(text, "and {more} that the report does not name");
        }
    }
    text.push('\n');
    text.push_str(&remarks(report, place));
    text
}

fn heading(report: &Report) -> String {
    let [version, root, init, strategy] = [
        &report.version,
        &report.new_root,
        &report.init,
        &report.strategy,
    ]
    .map(|text| shown(text));
    let mut text = match strategy.as_str() {
        "delegated" => format!(
            "switch_root {version} prepared the switch to {root} and its init {init}, which another program made ({strategy})\n"
        ),
        _ => {
            format!("switch_root {version} switched to {root} ({strategy}) and executed {init}\n")
        }
    };
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name:<10} {value}");
    };
    if let Some(kernel) = &report.kernel {
        line("kernel", &shown(kernel));
    }
    if let Some(boot) = &report.boot_id {
        let which = match std::fs::read_to_string(BOOT_ID) {
            Ok(now) if now.trim_end() == boot => " (the one that runs)",
            Ok(_) => " (another one than runs here)",
            Err(_) => "",
        };
        line("boot", &format!("{}{which}", shown(boot)));
    }
    let timings = &report.timings;
    let phases: Vec<String> = [
        ("policies asked", passed(timings.policies_us)),
        ("planned", passed(timings.plan_us)),
        ("copied", timings.copied_us),
        ("switched", timings.switched_us),
        ("deleted", timings.deleted_us),
    ]
    .into_iter()
    .filter_map(|(phase, us)| Some(format!("{phase} after {}", time(us?))))
    .collect();
    line("time", &phases.join(", "));
    line(
        "reviewed",
        &format!(
            "{} in {}",
            count(report.review.entries, "entry", "entries"),
            count(report.review.directories, "directory", "directories")
        ),
    );
    line("deletion", &deletion(&report.deletion));
    if let (Some(before), Some(after)) = (
        report.deletion.memory_available_before,
        report.deletion.memory_available_after,
    ) {
        line(
            "memory",
            &format!(
                "{} available before the deletion, {} after it",
                bytes(before),
                bytes(after)
            ),
        );
    }
    text
}

fn deletion(deletion: &Deletion) -> String {
    let went = format!(
        "{} and {}",
        count(deletion.tally.files, "file", "files"),
        count(deletion.tally.directories, "directory", "directories")
    );
    match deletion.state.as_str() {
        "complete" => {
            let freed = match (
                deletion.freed_bytes,
                deletion.used_before,
                deletion.used_after,
            ) {
                (Some(freed), Some(before), Some(after)) => format!(
                    "; {} freed, of {} there are {} left",
                    bytes(freed),
                    bytes(before),
                    bytes(after)
                ),
                (Some(freed), ..) => format!("; {} freed", bytes(freed)),
                _ => String::new(),
            };
            format!("complete: {went} in {}{freed}", time(deletion.time_us))
        }
        "running" => "running: the report is written again when it has ended".into(),
        state => match &deletion.reason {
            Some(reason) => format!("{}: {}", shown(state), shown(reason)),
            None => shown(state),
        },
    }
}

fn policies(policies: &[Policy], place: Place) -> String {
    let rows: Vec<_> = policies
        .iter()
        .map(|policy| {
            let state = match policy.failures.is_empty() {
                true => "well".to_owned(),
                false => "failed".to_owned(),
            };
            [
                policy.name.clone(),
                short(policy.digest.as_deref()),
                policy.signed_by.clone().unwrap_or_else(|| "-".into()),
                policy.answers.join(", "),
                match policy.compiled {
                    true => "at boot".into(),
                    false => "before".into(),
                },
                policy.fuel.to_string(),
                time(policy.time_us),
                state,
                policy.origin.clone(),
            ]
        })
        .collect();
    let tone = |column: usize, cell: &str| match (column, cell) {
        (7, "well") => Some(Tone::Good),
        (7, _) => Some(Tone::Bad),
        _ => None,
    };
    let headings = [
        "POLICY",
        "DIGEST",
        "SIGNED BY",
        "ANSWERS",
        "COMPILED",
        "FUEL",
        "TIME",
        "STATE",
        "FROM",
    ];
    table(headings, rows, tone, place)
}

fn survivors(survivors: &[Survivor], place: Place) -> String {
    let rows: Vec<_> = survivors
        .iter()
        .map(|one| {
            [
                one.path.clone(),
                one.kind.clone(),
                one.by.join(", "),
                one.carried_to.clone().unwrap_or_else(|| "-".into()),
                one.note.clone().unwrap_or_default(),
            ]
        })
        .collect();
    let headings = ["SURVIVOR", "KIND", "BY", "CARRIED TO", "NOTE"];
    table(headings, rows, |_, _| None, place)
}

/// Where they are.
fn places(report: &Report) -> String {
    let of_host = |one: &&Survivor| {
        one.by
            .iter()
            .all(|by| by == switch_root_core::preserved::HOST)
    };
    let kept = report.survivors.iter().any(|one| !of_host(&one));
    let mut text = String::new();
    if kept {
        let _ = writeln!(text, "what policies keep is below {PRESERVED_PATH}");
    }
    // Where another program switches there is nothing else.
    if report.strategy != "delegated" && report.survivors.iter().any(|one| of_host(&one)) {
        let _ = writeln!(text, "what the host alone keeps is below {WHOLE_PATH}");
    }
    text
}

fn extensions(extensions: &[Extension], place: Place) -> String {
    let rows: Vec<_> = extensions
        .iter()
        .map(|one| {
            let reasons: Vec<String> = one
                .reasons
                .iter()
                .map(|one| format!("{}: {}", one.policy, one.reason))
                .collect();
            [
                one.image.clone(),
                one.name.clone(),
                one.version.clone(),
                one.verdict.clone(),
                match one.activated {
                    Some(true) => "yes".into(),
                    Some(false) => "no".into(),
                    None => "-".into(),
                },
                reasons.join("; "),
            ]
        })
        .collect();
    let tone = |column: usize, cell: &str| match (column, cell) {
        (3, "compatible") | (4, "yes") => Some(Tone::Good),
        (3, "incompatible") | (4, "no") => Some(Tone::Bad),
        _ => None,
    };
    let headings = ["LAYER", "NAME", "VERSION", "VERDICT", "ACTIVATED", "REASON"];
    table(headings, rows, tone, place)
}

/// Those that lived on in the initramfs.
fn processes(processes: &[Process], place: Place) -> String {
    let rows: Vec<_> = processes
        .iter()
        .map(|one| {
            [
                one.pid.to_string(),
                one.name.clone(),
                one.executable.clone().unwrap_or_else(|| "-".into()),
                match one.serves {
                    true => "yes".into(),
                    false => "no".into(),
                },
            ]
        })
        .collect();
    let headings = ["PROCESS", "NAME", "EXECUTABLE", "SERVES FILES"];
    table(headings, rows, |_, _| None, place)
}

/// What was not as it should be, and the sum of it.
fn remarks(report: &Report, place: Place) -> String {
    let mut text = String::new();
    let mut line = |tone: Tone, word: &str, sentence: String| {
        let word = paint_if(place.coloured, tone, word);
        let _ = writeln!(text, "{word}: {}", shown(&sentence));
    };
    for policy in &report.policies {
        for failure in &policy.failures {
            let sentence = format!(
                "policy {} ({}, {}): it {}",
                policy.name, failure.question, failure.kind, failure.message
            );
            line(Tone::Bad, "failed", sentence);
        }
        for warning in &policy.warnings {
            let sentence = format!("policy {}: {warning}", policy.name);
            line(Tone::Caution, "warning", sentence);
        }
    }
    for warning in &report.warnings {
        line(Tone::Caution, "warning", warning.clone());
    }
    let deleted = &report.deletion.tally;
    for failed in &deleted.failed {
        let sentence = format!("{}: {}", failed.path, failed.error);
        line(Tone::Caution, "not deleted", sentence);
    }
    if deleted.failed_more > 0 {
        let more = count(deleted.failed_more, "more name", "more names");
        line(Tone::Caution, "not deleted", more);
    }
    for path in &deleted.skipped_mounts {
        line(
            Tone::Heading,
            "not touched",
            format!("{path}, where something is mounted"),
        );
    }
    let complaints = complaints(report);
    let sum = match (complaints.is_empty(), report.newer()) {
        (true, None) => paint_if(place.coloured, Tone::Good, "all is well"),
        (true, Some(schema)) => {
            format!("nothing is wrong in what is known here of schema {schema}")
        }
        (false, _) => {
            let word = paint_if(place.coloured, Tone::Bad, "not well");
            format!("{word}: {}", complaints.join(", "))
        }
    };
    text.push_str(&sum);
    text.push('\n');
    text
}

/// A table of as many rows as somebody reads.
fn table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    mut rows: Vec<[String; COLUMNS]>,
    tone: impl Fn(usize, &str) -> Option<Tone>,
    place: Place,
) -> String {
    let more = rows.len().saturating_sub(ROWS);
    rows.truncate(ROWS);
    let mut text = match place.coloured {
        true => toned_table(headings, &rows, tone),
        false => plain_table(headings, &rows),
    };
    if more > 0 {
        let _ = writeln!(text, "and {more} more: srctl status --format json has all");
    }
    text
}

/// The beginning of a digest.
fn short(digest: Option<&str>) -> String {
    let Some(digest) = digest else {
        return "-".into();
    };
    let digits = digest.strip_prefix("sha256:").unwrap_or(digest);
    digits.chars().take(DIGITS).collect()
}

/// A text of the report: it cannot control the terminal, or look like another line.
fn shown(text: &str) -> String {
    escape::message(text, TEXT)
}
