//! Whether the threat model has the judge's system calls and limits as they are.

use std::collections::{BTreeMap, BTreeSet};

use switch_root_core::limits::Limits;

use super::{markdown, text};

const DOCUMENT: &str = "host/switch/THREATS.md";

/// The system calls that a source file names, but in its tests.
fn system_calls(source: &str) -> BTreeSet<String> {
    let (source, _) = source.split_once("#[cfg(test)]").unwrap_or((source, ""));
    source
        .split("libc::SYS_")
        .skip(1)
        .filter_map(|rest| {
            rest.split(|c: char| !(c.is_alphanumeric() || c == '_'))
                .next()
        })
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_judges_system_calls_are_those_of_the_threat_model() {
    let mut allowed = system_calls(&text("host/policy/src/filter.rs"));
    // Installs the filter, and is not let through by it.
    assert!(allowed.remove("seccomp"));
    let rows = markdown::rows(&text(DOCUMENT), "system calls");
    let told: BTreeSet<String> = rows.into_iter().flat_map(|row| row.code).collect();
    assert_eq!(told, allowed);
}

#[test]
fn a_policys_limits_are_those_of_the_threat_model() {
    let limits = serde_json::to_value(Limits::default()).unwrap();
    let limits: BTreeMap<String, String> = limits
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.clone(), value.to_string()))
        .collect();
    let rows = markdown::rows(&text(DOCUMENT), "limit of a policy");
    let told: BTreeMap<String, String> = rows
        .into_iter()
        .map(|row| {
            let value = row.rest.split(' ').next().unwrap_or_default().to_owned();
            (row.code.concat(), value)
        })
        .collect();
    assert_eq!(told, limits);
}
