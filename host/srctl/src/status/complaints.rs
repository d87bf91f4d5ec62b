//! What somebody should examine of a report.

use switch_root_core::report::read::{Extension, Policy, Report};
use switch_root_core::text::count;

/// What is not well, as parts of a sentence; nothing where all is well.
pub fn complaints(report: &Report) -> Vec<String> {
    let sum = |number: usize, singular: &str, plural: &str| {
        (number > 0).then(|| count(number as u64, singular, plural))
    };
    let failed = |policy: &&Policy| !policy.failures.is_empty();
    let left_out = |one: &&Extension| one.is_left_out();
    let warnings: usize = report.policies.iter().map(|one| one.warnings.len()).sum();
    let stayed = report.deletion.tally.failed.len() + report.deletion.tally.failed_more as usize;
    [
        sum(
            report.policies.iter().filter(failed).count(),
            "policy failed",
            "policies failed",
        ),
        sum(
            report.extensions.iter().filter(left_out).count(),
            "extension left out",
            "extensions left out",
        ),
        sum(
            report
                .survivors
                .iter()
                .filter(|one| one.is_unbound())
                .count(),
            "survivor not carried",
            "survivors not carried",
        ),
        sum(stayed, "name not deleted", "names not deleted"),
        sum(warnings + report.warnings.len(), "warning", "warnings"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(report: Value) -> Report {
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn each_thing_that_is_not_well_is_a_complaint() {
        let whole = json!({
            "schema": 1,
            "policies": [
                {"name": "a", "failures": [{"kind": "trap"}, {"kind": "fuel"}]},
                {"name": "b", "warnings": ["w"]},
            ],
            "extensions": [
                {"verdict": "incompatible", "activated": null},
                {"verdict": "unjudged", "activated": false},
                {"verdict": "unjudged", "activated": null},
            ],
            "survivors": [
                {"path": "/a", "by": ["a"], "note": "not bound"},
                {"path": "/b", "by": ["a", "host"], "note": "in use"},
                {"path": "/c", "by": ["a"], "note": null},
            ],
            "deletion": {"failed": [{"path": "/x", "error": "EPERM"}], "failed_more": 2},
            "warnings": ["w"],
        });
        assert_eq!(
            complaints(&read(whole)),
            [
                "1 policy failed",
                "2 extensions left out",
                "1 survivor not carried",
                "3 names not deleted",
                "2 warnings",
            ]
        );
        let kept = json!({"schema": 1, "deletion": {"state": "skipped", "reason": "to be kept"}});
        assert!(complaints(&read(kept)).is_empty());
    }
}
