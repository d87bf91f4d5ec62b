use std::collections::BTreeSet;

use serde_json::Value;
use switch_root_core::contract::Outcome;
use switch_root_core::failure::{Failure, Kind, NoCompiler};
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Outcomes;
use switch_root_core::path::Path;
use switch_root_core::plan::{Process, Strategy};
use switch_root_core::preserved::{Carry, Survivor};
use switch_root_core::report::{
    CopyReport, CopyTally, ExtensionReport, Failed, Protections, Reason,
};

use super::*;

const SCHEMA_FILE: &str = include_str!("../../report.schema.json");

/// A report that has everything that one may have.
fn whole() -> Report {
    let path = |text: &str| Path::from(text.as_bytes());
    Report {
        schema: SCHEMA,
        version: "0.1.0",
        boot_id: Some("0b7a2ab8-2d5c-4c5f-8a3c-7f6f0f2b1c9d".into()),
        kernel: Some("6.12.1".into()),
        strategy: Strategy::Pivot,
        new_root: path("/sysroot"),
        init: path("/sbin/init"),
        policies: vec![PolicyReport {
            name: "50-a".into(),
            origin: "/etc/switch-root/policies.d/50-a.wasm".into(),
            digest: Some(format!("sha256:{}", "0".repeat(64))),
            sidecar_digest: Some(format!("sha256:{}", "1".repeat(64))),
            signed_by: Some("ops@example.org".into()),
            answers: vec!["preservation"],
            compiled: true,
            fuel: 1,
            time_us: 1,
            failures: vec![Failure::load(Kind::NotAPolicy, NoCompiler::Needed)],
            warnings: vec!["a warning".into()],
            warning_codes: vec![Some(NoCompiler::Needed.code())],
        }],
        masked_policies: vec!["60-b".into()],
        review: ReviewReport {
            directories: 1,
            entries: 1,
        },
        judge: JudgeReport {
            protections: Protections::default(),
            peak_kib: 1,
            time_us: 1,
        },
        survivors: vec![Survivor {
            path: path("/etc/a"),
            kind: FileKind::Regular,
            by: vec!["50-a".into()],
            carried_to: Some(Carry {
                target: path("/etc/a"),
                real: path("/etc/a"),
                make: false,
            }),
            note: Some("a note".into()),
            code: Some(NoCompiler::Needed.code()),
        }],
        extensions: vec![ExtensionReport {
            image: "0.sqsh".into(),
            name: "a".into(),
            version: "1".into(),
            verdict: Some(Outcome::Incompatible),
            activated: Some(false),
            reasons: vec![Reason {
                policy: "50-a".into(),
                code: None,
                reason: "too old".into(),
            }],
        }],
        deletion: DeletionReport {
            state: DeletionState::Complete,
            reason: Some("a reason".into()),
            code: None,
            tally: DeletionTally {
                files: 1,
                directories: 1,
                failed: vec![Failed {
                    path: "/a".into(),
                    error: "EPERM".into(),
                    code: Some(NoCompiler::Needed.code()),
                }],
                failed_more: 1,
                skipped_mounts: vec!["/b".into()],
            },
            time_us: 1,
            used_before: Some(2),
            used_after: Some(1),
            freed_bytes: Some(1),
            memory_available_before: Some(1),
            memory_available_after: Some(2),
        },
        processes: vec![Process {
            pid: 212,
            name: b"mergerfs"[..].into(),
            executable: Some(b"/bin/mergerfs"[..].into()),
            serves: true,
        }],
        processes_more: 0,
        copied: Some(CopyReport {
            tally: CopyTally {
                files: 1,
                directories: 1,
                bytes: 1,
                failed: vec![Failed {
                    path: "/a".into(),
                    error: "ENOSPC".into(),
                    code: Some(NoCompiler::Needed.code()),
                }],
                failed_more: 1,
                skipped_mounts: vec!["/b".into()],
            },
            missing: vec![Failed {
                path: "/c".into(),
                error: "it takes too much".into(),
                code: Some(NoCompiler::Needed.code()),
            }],
            time_us: 1,
        }),
        warnings: vec!["a warning".into()],
        warning_codes: vec![None],
        timings: Timings {
            policies_us: 1,
            plan_us: 2,
            switched_us: Some(3),
            deleted_us: Some(4),
            copied_us: Some(5),
        },
    }
}

/// The paths of all fields of a value: `policies[].name`.
fn fields(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields_of) => {
            for (name, value) in fields_of {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                fields(value, &path, found);
                found.insert(path);
            }
        }
        Value::Array(elements) => {
            assert!(!elements.is_empty(), "{path} is to hold something");
            for element in elements {
                fields(element, &format!("{path}[]"), found);
            }
        }
        _ => {}
    }
}

/// The same of what a schema describes; and each field that it requires.
fn described(
    schema: &Value,
    path: &str,
    found: &mut BTreeSet<String>,
    required: &mut BTreeSet<String>,
) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        described(property, &below(name), found, required);
        found.insert(below(name));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        required.insert(below(name.as_str().unwrap()));
    }
    if schema["items"].is_object() {
        described(&schema["items"], &format!("{path}[]"), found, required);
    }
}

#[test]
fn the_schema_has_the_fields_of_the_report_and_no_others() {
    let schema: Value = serde_json::from_str(SCHEMA_FILE).unwrap();
    let (mut of_schema, mut required) = (BTreeSet::new(), BTreeSet::new());
    described(&schema, "", &mut of_schema, &mut required);
    let mut of_report = BTreeSet::new();
    let report = serde_json::to_value(whole()).unwrap();
    fields(&report, "", &mut of_report);
    assert_eq!(of_schema, of_report);
    // Whoever writes a report writes all of it.
    assert_eq!(required, of_report);
    assert_eq!(schema["properties"]["schema"]["const"], SCHEMA);
}

#[test]
fn each_warning_has_its_code_at_the_same_place() {
    let mut report = whole();
    report.warn(NoCompiler::Needed);
    let report = serde_json::to_value(report).unwrap();
    let words = NoCompiler::Needed.to_string();
    assert_eq!(report["warnings"], serde_json::json!(["a warning", words]));
    assert_eq!(report["warning_codes"], serde_json::json!([null, "SR-C20"]));
    assert_eq!(report["policies"][0]["failures"][0]["code"], "SR-C20");
}

#[test]
fn what_is_absent_is_null_and_not_left_out() {
    let mut report = whole();
    let before = serde_json::to_value(&report).unwrap();
    report.boot_id = None;
    report.kernel = None;
    report.policies[0].digest = None;
    report.policies[0].signed_by = None;
    report.survivors[0].carried_to = None;
    report.survivors[0].note = None;
    report.extensions[0].activated = None;
    report.processes[0].executable = None;
    report.deletion.reason = None;
    report.deletion.used_before = None;
    report.deletion.freed_bytes = None;
    report.timings.switched_us = None;
    report.timings.deleted_us = None;
    report.timings.copied_us = None;
    let after = serde_json::to_value(&report).unwrap();
    let names = |value: &Value| {
        let mut found = BTreeSet::new();
        fields(value, "", &mut found);
        found
    };
    assert_eq!(names(&before), names(&after));
}

#[test]
fn a_report_that_is_read_has_all_that_was_written() {
    let written = serde_json::to_value(whole()).unwrap();
    let report: switch_root_core::report::read::Report =
        serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(report).unwrap(), written);
}
