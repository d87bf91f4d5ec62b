//! What the report says, beside what the other themes ask of it.

use serde_json::Value;
use switch_root_tests::scene::{INIT, NEW_ROOT, SUBJECT, Scene};
use switch_root_tests::steps::{Make, Steps};

use crate::check::{boots, confined, ensure, says};
use crate::command_line::with_shell;
use crate::tools::{Checked, Policies, Stop, boot, boot_small, cases, native, play, policy};

cases![
    its_schema_is_stated_and_all_of_it_is_there,
    reports_of_both_builds_are_as_the_schema_says_and_values_are_those_it_names,
    it_tells_of_which_boot_it_is,
    proc_that_shows_processes_alone_changes_nothing,
    policies_are_named_with_digest_fuel_and_time,
    survivors_are_named_with_all_who_kept_them,
    warnings_are_in_the_log_too,
    it_can_be_read_by_all_and_written_by_root_alone,
    modes_do_not_depend_on_the_umask_of_the_caller,
    a_read_only_root_is_skipped_with_its_reason,
    a_file_that_was_bound_and_deleted_does_not_survive,
    the_judge_is_confined_in_every_way_that_there_is,
];

fn its_schema_is_stated_and_all_of_it_is_there() -> Checked {
    let scene = boot()?
        .file("/extensions.yaml", "layers: [{image: a}]\n")
        .file("/file", "x");
    let report = boots(&scene)?.report.0;
    ensure!(report["schema"] == 1, "schema is {}", report["schema"]);
    ensure!(
        report["new_root"] == NEW_ROOT,
        "new_root is {}",
        report["new_root"]
    );
    ensure!(report["init"] == INIT, "init is {}", report["init"]);
    for list in ["policies", "survivors", "extensions", "warnings"] {
        ensure!(report[list].is_array(), "{list} is {}", report[list]);
    }
    ensure!(
        report["timings"].is_object(),
        "timings are {}",
        report["timings"]
    );
    for number in ["files", "directories", "freed_bytes"] {
        let value = &report["deletion"][number];
        ensure!(
            value.as_u64().is_some_and(|value| value > 0),
            "deletion.{number} is {value}"
        );
    }
    ensure!(
        report["warnings"] == Value::Array(Vec::new()),
        "{}",
        report["warnings"]
    );
    Ok(())
}

/// The values that the schema gives as examples at a place, or allows.
fn named(schema: &Value, place: &str) -> Vec<String> {
    let at = &schema.pointer(place).unwrap_or(&Value::Null);
    let list = at["examples"].as_array().or(at["enum"].as_array());
    let list = list.into_iter().flatten();
    list.filter_map(|value| value.as_str().map(String::from))
        .collect()
}

fn reports_of_both_builds_are_as_the_schema_says_and_values_are_those_it_names() -> Checked {
    let schema: Value = serde_json::from_str(include_str!("../../host/switch/report.schema.json"))?;
    let strategies = named(&schema, "/properties/strategy");
    let policy_fields = "/properties/policies/items/properties";
    let kinds = named(
        &schema,
        &format!("{policy_fields}/failures/items/properties/kind"),
    );
    let answers = named(&schema, &format!("{policy_fields}/answers/items"));
    let settings =
        r#"{"settings": {"keep": ["/kept"], "carry": {"/extensions.yaml": "/nowhere/x"}}}"#;
    let list = "layers: [{image: a, metadata: {name: a, version: '1', compatibility: {x: {version: '>= 9'}}}}]\n";
    for scene in [boot()?, boot_small()?] {
        for broken in [false, true] {
            let scene = scene
                .clone()
                .file("/extensions.yaml", list)
                .file("/kept", "x")
                .policy("50-keep", policy("keep-paths")?, Some(settings))
                .file(
                    "/usr/lib/switch-root/policies.d/50-keep.cwasm",
                    native("keep-paths")?,
                );
            let scene = match broken {
                true => scene.policy("60-broken", "no policy".into(), None),
                false => scene,
            };
            // That they are as the schema says is checked of every boot.
            let report = boots(&scene)?.report;
            ensure!(
                strategies.iter().any(|it| it == report.strategy()),
                "{}",
                report.strategy()
            );
            let failure = report.failure("60-broken");
            ensure!(failure.is_some() == broken, "{:#}", report.0);
            if let Some((kind, _)) = failure {
                ensure!(kinds.contains(&kind), "{kind} is not in {kinds:?}");
            }
            let keep = report.policy("50-keep").ok_or("no 50-keep")?;
            let given = keep["answers"].as_array().into_iter().flatten();
            let mut given = given.filter_map(Value::as_str);
            ensure!(
                given.all(|answer| answers.iter().any(|it| it == answer)),
                "{keep:#}"
            );
        }
    }
    Ok(())
}

fn it_tells_of_which_boot_it_is() -> Checked {
    let report = boots(&boot()?)?.report.0;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    ensure!(
        report["boot_id"] == boot.trim_end(),
        "{}",
        report["boot_id"]
    );
    let kernel = nix::sys::utsname::uname()?;
    ensure!(
        report["kernel"] == *kernel.release().to_string_lossy(),
        "{}",
        report["kernel"]
    );
    Ok(())
}

fn proc_that_shows_processes_alone_changes_nothing() -> Checked {
    let alone = |scene: Scene| {
        let proc = Make::Mount {
            file_system: "proc".into(),
            options: "subset=pid".into(),
        };
        scene.without("/proc").make("/proc", proc)
    };
    let scene = || Ok::<_, Stop>(boot()?.file("/file", "x"));
    let plan = |scene: Scene| Ok::<_, Stop>(play(&scene.options(["--plan"]))?.stdout);
    let (whole, part) = (plan(scene()?)?, plan(alone(scene()?))?);
    ensure!(
        !whole.is_empty() && whole == part,
        "planned: {whole}\nwith processes alone: {part}"
    );
    let booted = boots(&alone(scene()?))?;
    booted.left(&[])?;
    booted.freed(2)?;
    let report = &booted.report.0;
    ensure!(report["boot_id"].is_string(), "{report:#}");
    for field in ["memory_available_before", "memory_available_after"] {
        ensure!(report["deletion"][field].is_u64(), "{report:#}");
    }
    ensure!(report["warnings"] == Value::Array(Vec::new()), "{report:#}");
    Ok(())
}

fn policies_are_named_with_digest_fuel_and_time() -> Checked {
    let sidecar = r#"{"settings": {"keep": ["/x/**"]}}"#;
    let component = policy("keep-paths")?;
    let scene = boot()?
        .file("/extensions.yaml", "")
        .policy("50-keep", component, Some(sidecar));
    let booted = boots(&scene)?;
    let wasm = "/usr/lib/switch-root/policies.d/50-keep.wasm";
    let content = booted.outcome.before.initramfs[wasm]
        .content
        .clone()
        .unwrap_or_default();
    let policy = booted
        .report
        .policy("50-keep")
        .ok_or("50-keep is not in the report")?;
    let digest = policy["digest"].as_str().unwrap_or_default();
    ensure!(
        digest == format!("sha256:{content}"),
        "the digest is {digest}, not {content}"
    );
    let of_sidecar = |name: &str| {
        let policy = booted.report.policy(name);
        policy.map(|policy| policy["sidecar_digest"].clone())
    };
    let file = "/usr/lib/switch-root/policies.d/50-keep.json";
    let content = booted.outcome.before.initramfs[file].content.clone();
    let expected = format!("sha256:{}", content.unwrap_or_default());
    ensure!(
        of_sidecar("50-keep") == Some(expected.into())
            && of_sidecar("00-default") == Some(Value::Null),
        "{:#}",
        booted.report.0
    );
    ensure!(
        policy["origin"] == wasm,
        "the origin is {}",
        policy["origin"]
    );
    ensure!(
        policy["fuel"].as_u64().is_some_and(|fuel| fuel > 0),
        "fuel is {}",
        policy["fuel"]
    );
    ensure!(
        policy["time_us"].is_u64(),
        "time_us is {}",
        policy["time_us"]
    );
    ensure!(
        policy["failures"] == serde_json::json!([]),
        "failures are {}",
        policy["failures"]
    );
    says(&policy["answers"].to_string(), &["preservation"])
}

fn survivors_are_named_with_all_who_kept_them() -> Checked {
    let sidecar = r#"{"settings": {"keep": ["/extensions.yaml", "/kept"]}}"#;
    let scene = boot()?
        .file("/extensions.yaml", "")
        .make("/kept", Make::Directory { mode: 0o700 });
    let booted = boots(&scene.policy("50-keep", policy("keep-paths")?, Some(sidecar)))?;
    booted.left(&["/extensions.yaml", "/kept"])?;
    let survivors = booted.report.survivors();
    let by = |path: &str| {
        survivors
            .get(path)
            .map(|by| by.iter().cloned().collect::<Vec<_>>())
            .unwrap_or_default()
    };
    ensure!(
        by("/extensions.yaml") == ["00-default", "50-keep"],
        "{survivors:?}"
    );
    ensure!(by("/kept") == ["50-keep"], "{survivors:?}");
    Ok(())
}

fn warnings_are_in_the_log_too() -> Checked {
    let scene = boot()?.kernel_command_line("quiet switch_root.no_such_parameter");
    let booted = boots(&scene)?;
    says(
        &booted.report.warnings(),
        &["switch_root.no_such_parameter"],
    )?;
    says(&booted.outcome.stderr, &["switch_root.no_such_parameter"])
}

fn it_can_be_read_by_all_and_written_by_root_alone() -> Checked {
    let booted = boots(&boot()?)?;
    let file = booted.seen.report_mode.ok_or("there is no report")?;
    ensure!(file == 0o644, "the report's mode is {file:04o}");
    Ok(())
}

fn modes_do_not_depend_on_the_umask_of_the_caller() -> Checked {
    let places = [
        ("/run", 0o755),
        ("/run/switch-root", 0o755),
        ("/run/switch-root/report.json", 0o644),
        ("/run/switch-root/preserved", 0o755),
        ("/run/switch-root/private", 0o700),
    ];
    for umask in ["077", "000"] {
        let scene = boot()?
            .without("/run")
            .look_at(places.map(|(place, _)| place));
        let command = format!("umask {umask}; exec {SUBJECT} {NEW_ROOT} {INIT}");
        let booted = boots(&with_shell(scene, &command)?)?;
        for (place, mode) in places {
            let found = booted.seen.files[place].mode;
            ensure!(found == Some(mode), "umask {umask}: {place} has {found:?}");
        }
    }
    Ok(())
}

fn a_read_only_root_is_skipped_with_its_reason() -> Checked {
    for remount in ["remount,ro", "remount,bind,ro"] {
        let command =
            format!("/bin/busybox mount -o {remount} / && exec {SUBJECT} {NEW_ROOT} {INIT}");
        let booted = boots(&with_shell(boot()?.file("/file", "x"), &command)?)?;
        booted.everything_left()?;
        ensure!(
            booted.report.deletion_reason() == "/ is mounted read-only",
            "{:#}",
            booted.report.0
        );
    }
    Ok(())
}

fn a_file_that_was_bound_and_deleted_does_not_survive() -> Checked {
    let command = format!("/bin/busybox rm /note && exec {SUBJECT} {NEW_ROOT} {INIT}");
    let scene = boot()?
        .file("/note", "x")
        .bind("/note", "/sysroot/etc/note")
        .look_at(["/etc/note"]);
    let booted = boots(&with_shell(scene, &command)?)?;
    let survivors = booted.report.survivors();
    ensure!(survivors.is_empty(), "{survivors:?}");
    let note = booted.seen.files["/etc/note"].content.as_deref();
    ensure!(note == Some("x"), "{note:?}");
    booted.left(&[])
}

fn the_judge_is_confined_in_every_way_that_there_is() -> Checked {
    let booted = boots(&boot()?)?;
    // A user namespace that maps root alone has no other user to become.
    confined(&booted.report, nix::unistd::geteuid().is_root())
}
