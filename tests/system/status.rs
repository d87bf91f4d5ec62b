//! `srctl status`: what it says of reports, of real ones and of those that are not as they
//! should be.

mod exposition;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::{Value, json};
use switch_root_tests::steps::Steps;

use crate::check::{boots, ensure, has_the_schema, says};
use crate::srctl::{Desk, Ran, json};
use crate::tools::{Checked, Policies, Stop, boot, boot_small, cases, native, policy};
use exposition::{Series, series};

cases![
    people_are_shown_all_of_a_report,
    programs_are_given_the_report_as_it_is,
    what_a_boot_reports_is_shown_and_measured,
    where_another_program_switches_it_is_not_told_when,
    each_thing_that_is_not_well_is_told_by_the_exit_status,
    what_is_no_report_is_told_with_what_to_do,
    reports_of_other_releases_are_read_as_far_as_they_are_known,
    a_report_cannot_control_the_terminal_or_forge_a_line,
    metrics_say_which_extension_was_left_out_and_why,
    metrics_have_the_form_that_the_collector_reads_whatever_is_in_the_report,
    a_machine_without_a_report_has_metrics_that_say_so,
    a_report_that_cannot_be_read_leaves_no_earlier_metrics,
    metrics_have_no_fault_that_promtool_knows,
    each_metric_is_explained_with_its_labels,
    metrics_are_written_whole_and_for_everybody_to_read,
    it_waits_for_the_deletion_to_end_and_no_longer_than_it_may,
    the_unit_for_metrics_calls_what_there_is,
];

/// Fields that came after the first release, whose reports are read all the same.
const LATER: [&str; 4] = [
    "masked_policies",
    "processes",
    "processes_more",
    "warning_codes",
];

/// A report in which all is well.
pub fn well() -> Value {
    json!({
        "schema": 1,
        "version": "0.1.0",
        "boot_id": "11111111-2222-4333-8444-555555555555",
        "kernel": "6.12.1",
        "strategy": "move",
        "new_root": "/sysroot",
        "init": "/sbin/init",
        "policies": [{
            "name": "00-default",
            "origin": "embedded",
            "digest": format!("sha256:{}", "0123456789abcdef".repeat(4)),
            "sidecar_digest": null,
            "signed_by": null,
            "answers": ["preservation", "compatibility"],
            "compiled": false,
            "fuel": 4000,
            "time_us": 900,
            "failures": [],
            "warnings": [],
            "warning_codes": [],
        }],
        "masked_policies": [],
        "review": {"directories": 2, "entries": 31},
        "judge": {
            "unprivileged_user": true, "no_capabilities": true, "no_new_privileges": true,
            "no_files": true, "address_space": 1_u64 << 32, "seccomp": true,
            "peak_kib": 3000, "time_us": 1500,
        },
        "survivors": [{
            "path": "/etc/extensions.yaml",
            "kind": "file",
            "by": ["00-default"],
            "carried_to": "/etc/extensions.yaml",
            "note": null,
            "code": null,
        }],
        "extensions": [{
            "image": "0.sqsh", "name": "tools", "version": "1.2", "verdict": "compatible",
            "activated": true, "reasons": [],
        }],
        "deletion": {
            "state": "complete", "reason": null, "code": null, "files": 1200, "directories": 1,
            "failed": [], "failed_more": 0, "skipped_mounts": [], "time_us": 37_500,
            "used_before": 50 << 20, "used_after": 2 << 20, "freed_bytes": 48 << 20,
            "memory_available_before": 1_u64 << 30, "memory_available_after": (1_u64 << 30) + (48 << 20),
        },
        "warnings": [],
        "warning_codes": [],
        "processes": [],
        "processes_more": 0,
        "copied": null,
        "timings": {
            "policies_us": 1200, "plan_us": 2000, "copied_us": null, "switched_us": 3400,
            "deleted_us": 41_000,
        },
    })
}

/// The same with much that is not well.
pub fn unwell() -> Value {
    let mut report = well();
    report["policies"].as_array_mut().unwrap().push(json!({
        "name": "60-ring", "origin": "/etc/switch-root/policies.d/60-ring.wasm",
        "digest": null, "sidecar_digest": format!("sha256:{}", "9".repeat(64)),
        "signed_by": "ops@example.org", "answers": [], "compiled": true,
        "fuel": 0, "time_us": 12_000,
        "failures": [{"question": "load", "kind": "not-a-policy", "code": "SR-P20", "message": "is not WebAssembly"}],
        "warnings": ["a.cwasm is not used: it is old; the policy is compiled instead"],
        "warning_codes": ["SR-P72"],
    }));
    report["extensions"].as_array_mut().unwrap().push(json!({
        "image": "1.sqsh", "name": "gpu", "version": "3", "verdict": "incompatible",
        "activated": false,
        "reasons": [
            {"policy": "kernel-abi", "code": null, "reason": "it is for Linux 6.6"},
            {"policy": "host", "code": null, "reason": "its layer is missing"},
        ],
    }));
    report["survivors"].as_array_mut().unwrap().push(json!({
        "path": "/rootfs.sqsh", "kind": "file", "by": ["host"], "carried_to": null,
        "note": "the new root is made of it",
        "code": null,
    }));
    report["deletion"]["failed"] = json!([{"path": "/a", "error": "EPERM", "code": "SR-D04"}]);
    report["deletion"]["failed_more"] = json!(2);
    report["deletion"]["skipped_mounts"] = json!(["/mnt"]);
    report["warnings"] = json!(["/dev cannot be made private"]);
    report["warning_codes"] = json!([null]);
    report["processes"] = json!([
        {"pid": 212, "name": "mergerfs", "executable": "/usr/bin/mergerfs", "serves": true},
        {"pid": 213, "name": "sh", "executable": null, "serves": false},
    ]);
    report["processes_more"] = json!(3);
    report["masked_policies"] = json!(["20-vendors"]);
    report["judge"]["seccomp"] = json!(false);
    report
}

/// One of a machine where another program switches.
pub fn delegated() -> Value {
    let mut report = well();
    report["strategy"] = json!("delegated");
    report["timings"]["switched_us"] = json!(null);
    report["timings"]["deleted_us"] = json!(null);
    report["timings"]["copied_us"] = json!(2500);
    report["deletion"]["state"] = json!("skipped");
    report["deletion"]["reason"] = json!("another program switches");
    report["copied"] = json!({
        "files": 7, "directories": 2, "bytes": 4096,
        "failed": [{"path": "/a", "error": "EIO", "code": "SR-W75"}], "failed_more": 1, "skipped_mounts": [],
        "missing": [{"path": "/b", "error": "ENOSPC", "code": null}], "time_us": 1500,
    });
    report
}

/// A folder with a report in it.
fn desk(report: &Value) -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.write("report.json", format!("{report:#}"))?;
    Ok(desk)
}

/// Runs the command on a report, which it leaves as it is.
fn status(desk: &Desk, arguments: &str, status: i32) -> Result<Ran, Stop> {
    desk.changes_nothing(&format!("status --report report.json {arguments}"), status)
}

fn people_are_shown_all_of_a_report() -> Checked {
    let desk = desk(&well())?;
    has_the_schema(&well())?;
    has_the_schema(&unwell())?;
    let shown = status(&desk, "", 0)?.stdout;
    let expected = include_str!("status/well.txt");
    ensure!(shown == expected, "{shown}\nis not\n{expected}");
    desk.write("report.json", unwell().to_string())?;
    let shown = status(&desk, "", 3)?.stdout;
    let expected = include_str!("status/unwell.txt");
    ensure!(shown == expected, "{shown}\nis not\n{expected}");
    // Colours are around words, and change none.
    let coloured = status(&desk, "--color always", 3)?.stdout;
    ensure!(
        coloured.contains("\u{1b}[1m\u{1b}[31mnot well"),
        "{coloured:?}"
    );
    let ran = desk.run("status --report report.json --output shown.txt")?;
    ensure!(
        ran.status == Some(3) && ran.stdout.is_empty(),
        "{}",
        ran.said()
    );
    ensure!(
        desk.read("shown.txt")? == expected.as_bytes(),
        "another text"
    );
    Ok(())
}

fn programs_are_given_the_report_as_it_is() -> Checked {
    let desk = desk(&unwell())?;
    let shown = status(&desk, "--format json", 3)?.stdout;
    ensure!(shown == format!("{:#}\n", unwell()), "{shown}");
    has_the_schema(&json(&shown)?)
}

fn where_another_program_switches_it_is_not_told_when() -> Checked {
    has_the_schema(&delegated())?;
    let desk = desk(&delegated())?;
    let shown = status(&desk, "", 0)?.stdout;
    let times =
        "\ntime       policies asked after 1.2 ms, planned after 2.0 ms, copied after 2.5 ms\n";
    ensure!(shown.contains(times), "{shown}");
    let all = series(&status(&desk, "--format prometheus", 0)?.stdout)?;
    for (phase, told) in [
        ("plan", true),
        ("copying", true),
        ("switch", false),
        ("deletion", false),
    ] {
        let it = all
            .iter()
            .find(|it| it.is("switch_root_phase_seconds", &[("phase", phase)]));
        ensure!(it.is_some() == told, "{phase}: {it:?}");
    }
    let has = |name: &str, labels: &[(&str, &str)], value: f64| -> Checked {
        let it = all.iter().find(|it| it.is(name, labels));
        ensure!(
            it.is_some_and(|it| it.value == value),
            "{name} {labels:?}: {it:?}"
        );
        Ok(())
    };
    let why = [("reason", "another program switches")];
    has("switch_root_deletion_skipped", &why, 1.0)?;
    has("switch_root_copied_files", &[], 7.0)?;
    has("switch_root_copied_bytes", &[], 4096.0)?;
    has("switch_root_copied_failures", &[], 2.0)?;
    has("switch_root_copied_missing", &[], 1.0)?;
    let worker = [("protection", "address_space")];
    has("switch_root_worker_confined", &worker, 1.0)
}

fn what_a_boot_reports_is_shown_and_measured() -> Checked {
    let settings = r#"{"settings": {"keep": ["/kept"]}}"#;
    let desk = Desk::new()?;
    for scene in [boot()?, boot_small()?] {
        let scene = scene
            .file("/extensions.yaml", "layers: [{image: a}]\n")
            .file("/kept", "x")
            .policy("50-keep", policy("keep-paths")?, Some(settings))
            .file(
                "/usr/lib/switch-root/policies.d/50-keep.cwasm",
                native("keep-paths")?,
            );
        let report = boots(&scene)?.report.0;
        desk.write("report.json", report.to_string())?;
        let text = status(&desk, "", 0)?.stdout;
        says(
            &text,
            &[
                "switched to /sysroot",
                "(the one that runs)",
                "50-keep",
                "/kept",
                "carried to",
                "all is well",
            ],
        )?;
        ensure!(
            json(&status(&desk, "--format json", 0)?.stdout)? == report,
            "another report"
        );
        let all = series(&status(&desk, "--format prometheus", 0)?.stdout)?;
        let freed = &report["deletion"]["freed_bytes"];
        for (name, labels, value) in [
            ("switch_root_report_present", &[][..], 1.0),
            ("switch_root_well", &[], 1.0),
            ("switch_root_policy_failures", &[("policy", "50-keep")], 0.0),
            ("switch_root_deletion_state", &[("state", "complete")], 1.0),
            (
                "switch_root_deletion_freed_bytes",
                &[],
                freed.as_f64().unwrap_or(-1.0),
            ),
        ] {
            let found = all.iter().find(|it| it.is(name, labels));
            ensure!(
                found.is_some_and(|it| it.value == value),
                "{name} {labels:?}: {found:?}"
            );
        }
    }
    Ok(())
}

fn each_thing_that_is_not_well_is_told_by_the_exit_status() -> Checked {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &str); 7] = [
        (
            "a policy failed",
            |report| {
                report["policies"][0]["failures"] =
                    json!([{"question": "load", "kind": "trap", "message": "stopped itself"}]);
            },
            "not well: 1 policy failed",
        ),
        (
            "a warning about a policy",
            |report| report["policies"][0]["warnings"] = json!(["odd"]),
            "not well: 1 warning",
        ),
        (
            "an incompatible extension",
            |report| {
                report["extensions"][0]["verdict"] = json!("incompatible");
                report["extensions"][0]["activated"] = Value::Null;
            },
            "not well: 1 extension left out",
        ),
        (
            "an extension that was not activated",
            |report| report["extensions"][0]["activated"] = json!(false),
            "not well: 1 extension left out",
        ),
        (
            "a survivor that is not bound",
            |report| {
                report["survivors"][0]["carried_to"] = Value::Null;
                report["survivors"][0]["note"] = json!("there is no such place");
            },
            "not well: 1 survivor not carried",
        ),
        (
            "a name that stayed",
            |report| {
                report["deletion"]["failed"] =
                    json!([{"path": "/a", "error": "EPERM", "code": "SR-D04"}])
            },
            "not well: 1 name not deleted",
        ),
        (
            "a warning",
            |report| report["warnings"] = json!(["odd", "odder"]),
            "not well: 2 warnings",
        ),
    ];
    for (what, change, words) in cases {
        let mut report = well();
        change(&mut report);
        let desk = desk(&report)?;
        let text = status(&desk, "", 3)
            .map_err(|stop| stop.during(what))?
            .stdout;
        let last = text.lines().last().unwrap_or_default();
        ensure!(last == words, "{what}: {text}");
        let all = series(&status(&desk, "--format prometheus", 3)?.stdout)?;
        let is_well = all.iter().find(|it| it.is("switch_root_well", &[]));
        ensure!(is_well.is_some_and(|it| it.value == 0.0), "{what}: {all:?}");
    }
    // What was asked for is well: to delete nothing, and what the host has to keep.
    let mut report = well();
    report["deletion"]["state"] = json!("skipped");
    report["deletion"]["reason"] = json!("the initramfs is to be kept");
    report["survivors"][0]["by"] = json!(["host"]);
    report["survivors"][0]["note"] = json!("in use");
    let text = status(&desk(&report)?, "", 0)?.stdout;
    says(
        &text,
        &["skipped: the initramfs is to be kept", "all is well"],
    )
}

fn what_is_no_report_is_told_with_what_to_do() -> Checked {
    let desk = Desk::new()?;
    desk.fails(
        "status --report nowhere/report.json",
        &[
            "there is no report nowhere/report.json",
            "was not switched by switch_root",
            "srctl doctor",
        ],
    )?;
    desk.fails("status --report .", &["is not a regular file"])?;
    for (bytes, words) in [
        (&b""[..], "is not JSON"),
        (b"{\"schema\": 1", "is not JSON"),
        (b"[1]", "it has no number `schema`"),
        (b"{\"schema\": \"1\"}", "it has no number `schema`"),
        (b"{\"schema\": 1, \"a\": \"\xff\"}", "is not UTF-8"),
        (b"{\"schema\": 1}", "is not a report: it has no `version`"),
        (b"{\"schema\": 0}", "is not a report: it has no `version`"),
        (
            b"{\"schema\": 1, \"tree\": {}, \"summary\": {}}",
            "is not a report: it is a plan",
        ),
    ] {
        desk.write("report.json", bytes)?;
        desk.fails("status --report report.json", &["report.json", words])?;
        let metrics = "status --report report.json --format prometheus";
        says(&desk.changes_nothing(metrics, 1)?.stderr, &[words])?;
    }
    for (field, other) in [
        ("version", json!(1)),
        ("policies", json!({})),
        ("extensions", json!("none")),
        ("deletion", json!({})),
        ("copied", json!(0)),
    ] {
        let mut report = well();
        report[field] = other;
        desk.write("report.json", report.to_string())?;
        let words = format!("its `{field}` is not what a report has there");
        desk.fails("status --report report.json", &[&words])?;
    }
    let fields = well();
    for field in fields.as_object().ok_or("no object")?.keys() {
        let mut report = well();
        report.as_object_mut().ok_or("no object")?.remove(field);
        desk.write("report.json", report.to_string())?;
        if LATER.contains(&field.as_str()) {
            status(&desk, "", 0)?;
            continue;
        }
        let words = format!("`{field}`");
        desk.fails("status --report report.json", &["is not a report", &words])?;
    }
    let large = fs::File::create(desk.path("report.json"))?;
    large.set_len((64 << 20) + 1)?;
    desk.fails(
        "status --report report.json",
        &["at most 67108864 are read"],
    )
}

fn reports_of_other_releases_are_read_as_far_as_they_are_known() -> Checked {
    let mut newer = well();
    newer["schema"] = json!(2);
    newer["strategy"] = json!("teleport");
    newer["policies"][0]["failures"] = json!({"none": true});
    newer["extensions"] = json!("elsewhere");
    let desk = desk(&newer)?;
    let ran = status(&desk, "", 4)?;
    says(
        &ran.stderr,
        &["warning: report.json has schema 2, and this srctl knows schema 1"],
    )?;
    says(
        &ran.stdout,
        &[
            "(teleport)",
            "00-default",
            "nothing is wrong in what is known here of schema 2",
        ],
    )?;
    let metrics = status(&desk, "--format prometheus", 4)?.stdout;
    series(&metrics)?;
    says(&metrics, &["switch_root_well 0"])?;
    // What is wrong by what is known is wrong.
    newer["warnings"] = json!(["w"]);
    desk.write("report.json", newer.to_string())?;
    status(&desk, "", 3)?;
    Ok(())
}

/// The report of a machine whose deletion goes on.
pub fn running() -> Value {
    let mut running = well();
    running["deletion"]["state"] = json!("running");
    running
}

fn a_report_cannot_control_the_terminal_or_forge_a_line() -> Checked {
    let bad = "x\u{1b}[2J\nall is well\u{9b}31m";
    let mut report = unwell();
    for place in [
        "/version",
        "/kernel",
        "/boot_id",
        "/new_root",
        "/init",
        "/strategy",
        "/policies/0/name",
        "/policies/0/origin",
        "/policies/0/digest",
        "/policies/0/signed_by",
        "/policies/0/answers/0",
        "/policies/1/failures/0/message",
        "/policies/1/failures/0/kind",
        "/policies/1/warnings/0",
        "/survivors/0/path",
        "/survivors/0/kind",
        "/survivors/0/by/0",
        "/survivors/0/carried_to",
        "/survivors/1/note",
        "/extensions/0/image",
        "/extensions/0/name",
        "/extensions/0/verdict",
        "/extensions/1/reasons/0/policy",
        "/extensions/1/reasons/0/reason",
        "/deletion/failed/0/path",
        "/deletion/failed/0/error",
        "/deletion/skipped_mounts/0",
        "/warnings/0",
    ] {
        *report.pointer_mut(place).ok_or(place)? = json!(bad);
    }
    for state in ["complete", bad] {
        report["deletion"]["state"] = json!(state);
        report["deletion"]["reason"] = json!(bad);
        let desk = desk(&report)?;
        let text = status(&desk, "", 3)?.stdout;
        ensure!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
        ensure!(!text.lines().any(|line| line == "all is well"), "{text}");
        series(&status(&desk, "--format prometheus", 3)?.stdout)?;
    }
    Ok(())
}

fn metrics_say_which_extension_was_left_out_and_why() -> Checked {
    let desk = desk(&unwell())?;
    let text = status(&desk, "--format prometheus", 3)?.stdout;
    let expected = include_str!("status/unwell.prom");
    ensure!(text == expected, "{text}\nis not\n{expected}");
    let all = series(&text)?;
    let gpu = [("image", "1.sqsh"), ("name", "gpu"), ("version", "3")];
    let activated = all
        .iter()
        .find(|it| it.is("switch_root_extension_activated", &gpu));
    ensure!(activated.is_some_and(|it| it.value == 0.0), "{text}");
    for (policy, reason) in [
        ("kernel-abi", "it is for Linux 6.6"),
        ("host", "its layer is missing"),
    ] {
        let labels = [&gpu[..], &[("policy", policy), ("reason", reason)]].concat();
        ensure!(
            all.iter()
                .any(|it| it.is("switch_root_extension_skipped", &labels)),
            "{text}"
        );
    }
    Ok(())
}

/// A report with names and numbers that nobody expects.
fn odd() -> Result<Value, Stop> {
    let mut report = unwell();
    // Twice the same, quotes and newlines, and far too many.
    let odd = json!({
        "image": "a\"b\\c\n}", "name": "größe", "version": "{x=\"1\"} 2", "verdict": "incompatible",
        "activated": null,
        "reasons": [
            {"policy": "p", "reason": "r".repeat(10_000)},
            {"policy": "p", "reason": "r".repeat(10_000)},
        ],
    });
    report["extensions"] = Value::Array(vec![odd.clone(), odd]);
    let many = (0..5000).map(|number| {
        json!({"image": format!("{number}.sqsh"), "name": "n", "version": "1", "verdict": "incompatible",
               "activated": false, "reasons": [{"policy": "p", "reason": format!("r{number}")}]})
    });
    report["extensions"]
        .as_array_mut()
        .ok_or("no array")?
        .extend(many);
    report["policies"] = report["policies"][1].clone();
    report["policies"] = Value::Array(vec![report["policies"].clone(); 3]);
    Ok(report)
}

fn metrics_have_the_form_that_the_collector_reads_whatever_is_in_the_report() -> Checked {
    let desk = desk(&odd()?)?;
    let text = status(&desk, "--format prometheus", 3)?.stdout;
    let all = series(&text)?;
    ensure!(all.len() < 1000, "{} series", all.len());
    ensure!(text.lines().all(|line| line.len() < 1000), "{text}");
    let number = |name: &str| all.iter().find(|it| it.is(name, &[])).map(|it| it.value);
    ensure!(number("switch_root_extensions") == Some(5002.0), "{text}");
    ensure!(
        number("switch_root_extensions_skipped") == Some(5002.0),
        "{text}"
    );
    let odd = all.iter().find(|it| {
        let image = it.labels.get("image").map(String::as_str);
        it.name == "switch_root_extension_skipped" && image == Some("a\"b\\c\\n}")
    });
    let Some(Series { labels, .. }) = odd else {
        return Err(Stop::Fail(text));
    };
    ensure!(labels["name"] == "größe", "{labels:?}");
    ensure!(labels["reason"].len() < 200, "{labels:?}");
    Ok(())
}

fn metrics_have_no_fault_that_promtool_knows() -> Checked {
    for (report, ended) in [(odd()?, 3), (unwell(), 3), (delegated(), 0)] {
        let text = status(&desk(&report)?, "--format prometheus", ended)?.stdout;
        exposition::promtool(&text)?;
    }
    let desk = Desk::new()?;
    let ran = desk.run("status --report nowhere.json --format prometheus")?;
    exposition::promtool(&ran.stdout)?;
    desk.write("report.json", "no report")?;
    exposition::promtool(&status(&desk, "--format prometheus", 1)?.stdout)
}

fn a_report_that_cannot_be_read_leaves_no_earlier_metrics() -> Checked {
    let desk = Desk::new()?;
    for report in ["no JSON", r#"{"schema": 1}"#] {
        desk.write("report.json", report)?;
        desk.write("m.prom", "what an earlier boot left\n")?;
        let ran = desk.run("status --report report.json --format prometheus --output m.prom")?;
        ensure!(ran.status == Some(1), "{}", ran.said());
        says(&ran.stderr, &["error: ", "report.json"])?;
        let text = String::from_utf8(desk.read("m.prom")?)?;
        let all = series(&text)?;
        let values: Vec<_> = all.iter().map(|it| (it.name.as_str(), it.value)).collect();
        ensure!(
            values
                == [
                    ("switch_root_report_present", 1.0),
                    ("switch_root_well", 0.0)
                ],
            "{text}"
        );
    }
    Ok(())
}

fn each_metric_is_explained_with_its_labels() -> Checked {
    let document = include_str!("../../host/srctl/STATUS.md");
    let quoted = |text: &str| -> BTreeSet<String> {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(String::from)
            .collect()
    };
    let explained: BTreeMap<String, BTreeSet<String>> = document
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `switch_root_")?.split(" | ");
            let name = format!("switch_root_{}", cells.next()?.trim_end_matches('`'));
            let labels = cells.next()?.split(':').next()?;
            Some((name, quoted(labels)))
        })
        .collect();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (report, ended) in [(unwell(), 3), (delegated(), 0)] {
        let text = status(&desk(&report)?, "--format prometheus", ended)?.stdout;
        for one in series(&text)? {
            found
                .entry(one.name)
                .or_default()
                .extend(one.labels.into_keys());
        }
    }
    ensure!(explained == found, "{explained:#?}\nis not\n{found:#?}");
    Ok(())
}

fn a_machine_without_a_report_has_metrics_that_say_so() -> Checked {
    let desk = Desk::new()?;
    desk.write("m.prom", "what an earlier boot left\n")?;
    let ran = desk.run("status --report nowhere.json --format prometheus --output m.prom")?;
    ensure!(ran.status == Some(3), "{}", ran.said());
    says(&ran.stderr, &["warning: there is no report nowhere.json"])?;
    let text = String::from_utf8(desk.read("m.prom")?)?;
    let all = series(&text)?;
    ensure!(
        all.len() == 1 && all[0].is("switch_root_report_present", &[]) && all[0].value == 0.0,
        "{text}"
    );
    Ok(())
}

fn metrics_are_written_whole_and_for_everybody_to_read() -> Checked {
    let desk = desk(&well())?;
    let arguments = "status --report report.json --format prometheus --output metrics/m.prom";
    desk.fails(arguments, &["cannot write metrics/m.prom"])?;
    fs::create_dir(desk.path("metrics"))?;
    // Whatever was there, and whatever the umask.
    desk.write("metrics/m.prom", "old")?;
    fs::set_permissions(
        desk.path("metrics/m.prom"),
        fs::Permissions::from_mode(0o600),
    )?;
    for _ in 0..2 {
        let srctl = desk.command(arguments)?;
        let mut shell = std::process::Command::new("/bin/sh");
        shell
            .args(["-c", "umask 077; exec \"$@\"", "sh"])
            .arg(srctl.get_program())
            .args(srctl.get_args())
            .current_dir(desk.path(""))
            .stdin(Stdio::null());
        let ran = Ran::new(arguments, &shell.output()?);
        ensure!(
            ran.status == Some(0) && ran.stdout.is_empty(),
            "{}",
            ran.said()
        );
        let mode = fs::metadata(desk.path("metrics/m.prom"))?
            .permissions()
            .mode();
        ensure!(mode & 0o7777 == 0o644, "{mode:o}");
        fs::remove_file(desk.path("metrics/m.prom"))?;
    }
    let left: Vec<_> = fs::read_dir(desk.path("metrics"))?.collect();
    ensure!(left.is_empty(), "{left:?}");
    let ran = desk.run(arguments)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    series(&String::from_utf8(desk.read("metrics/m.prom")?)?)?;
    Ok(())
}

fn it_waits_for_the_deletion_to_end_and_no_longer_than_it_may() -> Checked {
    let running = running();
    let desk = desk(&running)?;
    // Not waited for it is what it is.
    says(&status(&desk, "", 0)?.stdout, &["running"])?;
    let ran = status(&desk, "--wait 1", 3)?;
    says(&ran.stderr, &["warning", "has not ended", "report.json"])?;
    says(&ran.stdout, &["running"])?;
    let child = desk
        .command("status --report report.json --wait 600 --format json")?
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // As the boot program writes it. A report of the same state does not end the wait.
    for report in [&running, &well()] {
        desk.write(".report.json.new", report.to_string())?;
        fs::rename(desk.path(".report.json.new"), desk.path("report.json"))?;
    }
    let ran = Ran::new("status --wait", &child.wait_with_output()?);
    ensure!(ran.status == Some(0), "{}", ran.said());
    ensure!(json(&ran.stdout)? == well(), "{}", ran.said());
    // What has ended is not waited for.
    status(&desk, "--wait 600", 0)?;
    Ok(())
}

fn the_unit_for_metrics_calls_what_there_is() -> Checked {
    let unit = include_str!("../../host/distribution/systemd/switch-root-metrics.service");
    let start = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .ok_or("no ExecStart")?;
    let arguments = start
        .strip_prefix("/usr/bin/srctl ")
        .ok_or("it starts something else")?;
    let folder = "/var/lib/prometheus/node-exporter";
    for line in [
        "ConditionPathIsDirectory=",
        "ReadWritePaths=",
        "RequiresMountsFor=",
    ] {
        let line = format!("{line}{folder}");
        ensure!(unit.lines().any(|it| it == line), "no {line}");
    }
    let desk = desk(&unwell())?;
    let here = arguments.replace(&format!("{folder}/"), "");
    ensure!(here != arguments, "{arguments} writes elsewhere");
    let ran = desk.run(&format!("{here} --report report.json"))?;
    let accepted = unit
        .lines()
        .find_map(|line| line.strip_prefix("SuccessExitStatus="));
    ensure!(
        ran.status == Some(3) && accepted == Some("3 4"),
        "{accepted:?}: {}",
        ran.said()
    );
    ensure!(
        ran.stdout.is_empty() && ran.stderr.is_empty(),
        "{}",
        ran.said()
    );
    let text = String::from_utf8(desk.read("switch-root.prom")?)?;
    series(&text).map(drop)
}
