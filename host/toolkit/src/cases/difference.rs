//! In what answers differ from those that are expected, line by line.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use switch_root_core::escape;
use switch_root_core::failure::Failure;

use crate::answers::{Answers, Opinion, Say};

/// The most lines that are shown; answers may be as many as there are files.
const LINES: usize = 40;

/// One line for each difference; empty where there is none.
pub fn lines(expected: &Answers, actual: &Answers) -> Vec<String> {
    let mut lines = Vec::new();
    entries(&mut lines, &expected.decisions, &actual.decisions, say);
    entries(&mut lines, &expected.verdicts, &actual.verdicts, opinion);
    for failure in missing(&expected.errors, &actual.errors) {
        lines.push(format!("expected a failure: {}", shown(failure)));
    }
    for failure in missing(&actual.errors, &expected.errors) {
        lines.push(format!("failed: {}", shown(failure)));
    }
    let more = lines.len().saturating_sub(LINES);
    if more > 0 {
        lines.truncate(LINES);
        lines.push(format!("and {more} more"));
    }
    lines
}

fn entries<T: PartialEq + Debug>(
    lines: &mut Vec<String>,
    expected: &BTreeMap<String, T>,
    actual: &BTreeMap<String, T>,
    word: fn(Option<&T>) -> String,
) {
    let keys: BTreeSet<&String> = expected.keys().chain(actual.keys()).collect();
    for key in keys {
        let (wanted, got) = (expected.get(key), actual.get(key));
        if wanted != got {
            lines.push(format!(
                "{}: expected {}, answered {}",
                escape::message(key, 4096),
                word(wanted),
                word(got)
            ));
        }
    }
}

fn missing<'a>(of: &'a [Failure], from: &'a [Failure]) -> impl Iterator<Item = &'a Failure> {
    of.iter().filter(|failure| !from.contains(failure))
}

fn shown(failure: &Failure) -> String {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{} ({}): {}",
        word(serde_json::json!(failure.question)),
        word(serde_json::json!(failure.kind)),
        escape::message(&failure.message, 4096)
    )
}

fn say(say: Option<&Say>) -> String {
    match say {
        None => "delete, or not asked".into(),
        Some(Say::Keep) => "keep".into(),
        Some(Say::Descend) => "descend".into(),
        Some(Say::Carry(target)) => format!("carry to {}", escape::message(target, 4096)),
    }
}

fn opinion(opinion: Option<&Opinion>) -> String {
    match opinion {
        None => "nothing".into(),
        Some(Opinion::Compatible) => "compatible".into(),
        Some(Opinion::Abstain) => "abstain".into(),
        Some(Opinion::Incompatible(reason)) => {
            format!("incompatible ({})", escape::message(reason, 4096))
        }
    }
}
