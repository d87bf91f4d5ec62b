use serde_json::json;

use super::*;
use crate::rehearsal::{Entry, Facts};

fn plan() -> Value {
    json!({
        "survivors": [
            {"path": "/a/b", "kind": "file", "bytes": 1, "by": ["p"], "carried_to": "/b", "note": null},
        ],
        "deletion": {"action": "delete"},
        "refused": null,
        "extensions": [{"image": "x", "verdict": "compatible", "reasons": []}],
        "policies": [{"name": "p", "digest": "sha256:1", "failures": []}],
        "summary": {"deleted": {"files": 3, "directories": 2}},
    })
}

fn report() -> Value {
    json!({
        "survivors": [
            {"path": "/a/b", "kind": "file", "by": ["p"], "carried_to": "/b", "note": null},
        ],
        "deletion": {"state": "complete", "files": 3, "directories": 3, "failed": []},
        "extensions": [{"image": "x", "verdict": "compatible", "reasons": []}],
        "policies": [{"name": "p", "digest": "sha256:1", "failures": []}],
    })
}

fn entries(list: &[(&str, &str)]) -> Preserved {
    Preserved {
        entries: list
            .iter()
            .map(|(path, kind)| Entry {
                path: (*path).into(),
                kind: (*kind).into(),
            })
            .collect(),
        cut: false,
    }
}

/// Compares with what happened as planned, but for a change; the initramfs had one more
/// directory than the image.
fn compared(plan: &Value, change: impl FnOnce(&mut Value, &mut Preserved)) -> Comparison {
    let mut report = report();
    let mut preserved = entries(&[("/a", "directory"), ("/a/b", "file")]);
    change(&mut report, &mut preserved);
    with(plan, Outcome::Switched { report, preserved })
}

fn with(plan: &Value, outcome: Outcome) -> Comparison {
    let rehearsed = Rehearsed {
        program: String::new(),
        outcome,
        facts: Facts::default(),
        conditions: Conditions {
            directories: ["/sysroot".to_owned()].into(),
            placeholders: ["/null".to_owned()].into(),
        },
        notes: Vec::new(),
        log: String::new(),
    };
    compare(plan, &rehearsed)
}

fn one(comparison: &Comparison, words: &str) {
    assert_eq!(comparison.differences.len(), 1, "{comparison:?}");
    assert!(
        comparison.differences[0].contains(words),
        "{comparison:?} does not say {words}"
    );
}

#[test]
fn what_is_as_planned_has_no_differences() {
    let same = compared(&plan(), |_, _| ());
    assert_eq!(same.differences, Vec::<String>::new());
    // What the numbers of a plan lack is named.
    assert_eq!(
        same.notes,
        [
            "1 of the directories that were deleted was made for the rehearsal, and is not in the plan: /sysroot"
        ]
    );
}

#[test]
fn each_difference_is_told() {
    type Change = fn(&mut Value, &mut Preserved);
    let changes: [(Change, &str); 12] = [
        (
            |r, p| {
                r["survivors"][0]["kind"] = "fifo".into();
                *p = entries(&[("/a", "directory"), ("/a/b", "fifo")]);
            },
            "was to be a file, and is a fifo",
        ),
        (
            |r, _| r["survivors"][0]["by"] = json!(["q"]),
            "kept by p, and is by q",
        ),
        (
            |r, _| r["survivors"][0]["carried_to"] = "/c".into(),
            "carried to /b, and is to /c",
        ),
        (
            |r, _| r["survivors"][0]["carried_to"] = Value::Null,
            "and is to nowhere",
        ),
        (
            |r, _| r["deletion"]["files"] = 4.into(),
            "3 files were to be deleted, and 4 were",
        ),
        (
            |r, _| r["deletion"]["directories"] = 2.into(),
            "2 directories were to be deleted, and 1 were",
        ),
        (
            |r, _| r["deletion"]["failed"] = json!([{"path": "/x", "error": "busy"}]),
            "/x could not be deleted: busy",
        ),
        (
            |r, _| r["extensions"][0]["verdict"] = "incompatible".into(),
            "was to be compatible, and is incompatible",
        ),
        (
            |r, _| r["policies"][0]["failures"] = json!([{"question": "load", "kind": "trap"}]),
            "was to fail not at all, and did load: trap",
        ),
        (
            |r, _| r["policies"][0]["name"] = "q".into(),
            "the policies p were to be asked, and were q",
        ),
        (
            |_, p| *p = entries(&[("/a", "directory"), ("/a/b", "file"), ("/z\u{1b}", "file")]),
            "/z\\x1b is at /run/switch-root/preserved, and nobody keeps it",
        ),
        (
            |r, p| {
                // A directory that was made and survives is not among those deleted.
                r["deletion"]["directories"] = 2.into();
                *p = entries(&[("/sysroot", "directory")]);
            },
            "/a/b survived, says the report, and is not at",
        ),
    ];
    for (change, words) in changes {
        let comparison = compared(&plan(), change);
        one(&comparison, words);
    }
}

#[test]
fn survivors_are_compared_in_both_directions() {
    let mut other = plan();
    other["survivors"][0]["path"] = "/other".into();
    let comparison = compared(&other, |_, _| ());
    assert_eq!(
        comparison.differences,
        [
            "/other was to survive, and did not",
            "/a/b survived, which was not planned (kept by p)",
        ]
    );
}

#[test]
fn what_had_to_be_otherwise_is_a_note() {
    let comparison = compared(&plan(), |report, _| {
        report["survivors"][0]["carried_to"] = Value::Null;
        report["survivors"][0]["note"] = "not bound at /b: it is read-only".into();
    });
    assert!(comparison.differences.is_empty(), "{comparison:?}");
    assert!(
        comparison.notes[0].contains("not bound at /b"),
        "{comparison:?}"
    );

    let mut device = plan();
    device["survivors"][0]["path"] = "/null".into();
    device["survivors"][0]["kind"] = "character-device".into();
    let comparison = compared(&device, |report, preserved| {
        report["survivors"][0]["path"] = "/null".into();
        *preserved = entries(&[("/null", "file")]);
    });
    assert!(comparison.differences.is_empty(), "{comparison:?}");

    let mut layers = plan();
    layers["extensions"][0]["reasons"] = json!([{"policy": "host", "reason": "no layer"}]);
    assert!(compared(&layers, |_, _| ()).differences.is_empty());
}

#[test]
fn a_refusal_is_compared_too() {
    let refused = || Outcome::Refused("policy p failed, and more".into());
    let mut planned = plan();
    one(
        &with(&planned, refused()),
        "which the plan does not say: policy p failed",
    );
    planned["refused"] = "policy p failed".into();
    assert_eq!(with(&planned, refused()), Comparison::default());
    one(
        &compared(&planned, |_, _| ()),
        "was to be refused, and was not",
    );
}

#[test]
fn a_deletion_that_is_skipped_is_compared() {
    let mut planned = plan();
    let skipped = |report: &mut Value, _: &mut Preserved| {
        report["deletion"] = json!({"state": "skipped", "reason": "why"});
    };
    one(
        &compared(&planned, skipped),
        "the deletion was skipped, unplanned: why",
    );
    planned["deletion"] = json!({"action": "skip", "reason": "why"});
    assert_eq!(compared(&planned, skipped), Comparison::default());
    one(
        &compared(&planned, |_, _| ()),
        "nothing was to be deleted, and it was",
    );
}

#[test]
fn only_so_much_is_told() {
    let mut planned = plan();
    let many = (0..1000).map(|number| json!({"path": format!("/{number}"), "kind": "file"}));
    planned["survivors"] = many.collect();
    let comparison = compared(&planned, |_, _| ());
    assert_eq!(comparison.differences.len(), TOLD + 1);
    assert_eq!(comparison.differences[TOLD], "951 more differences");
}
