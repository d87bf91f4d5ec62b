//! `srctl` on a kernel without seccomp: what would confine native code of an image is not
//! there, so that none of it is run.

use serde_json::Value;
use switch_root_tests::steps::{Step, Steps};
use switch_root_tests::without_seccomp::without_seccomp;

use crate::check::{ensure, says};
use crate::planning::{POLICIES, desk};
use crate::srctl::{Desk, Ran, json};
use crate::tools::{Checked, Stop, cases, native, policy};

cases![
    native_code_of_an_image_is_compiled_from_its_wasm,
    native_code_without_its_wasm_is_refused,
    restarted_policy_worker_runs_no_native_code_either,
    embedded_policy_runs_without_seccomp,
    machine_is_examined_without_running_its_native_code,
    other_machine_is_staged_without_running_its_native_code,
];

const SETTINGS: &str = r#"{"settings": {"keep": ["/some/file"]}}"#;

/// An image in which a policy, whose native code lies beside it, keeps a file.
fn image() -> Result<Vec<Step>, Stop> {
    Ok(Vec::new()
        .executable("/init", "#!/bin/sh\n")
        .file("/some/file", "kept")
        .file(format!("{POLICIES}/50-keep.cwasm"), native("keep-paths")?)
        .file(format!("{POLICIES}/50-keep.json"), SETTINGS))
}

fn with_wasm(steps: Vec<Step>) -> Result<Vec<Step>, Stop> {
    Ok(steps.file(format!("{POLICIES}/50-keep.wasm"), policy("keep-paths")?))
}

/// Runs `srctl` as on a kernel without seccomp.
fn run(desk: &Desk, arguments: &str) -> Result<Ran, Stop> {
    let output = without_seccomp(&mut desk.command(arguments)?).output()?;
    Ok(Ran::new(arguments, &output))
}

/// What the plan of the image says of a policy.
fn planned(steps: &[Step], name: &str, confined: bool) -> Result<Value, Stop> {
    let desk = desk(steps)?;
    let arguments = "plan image --format json";
    let ran = match confined {
        true => desk.run(arguments)?,
        false => run(&desk, arguments)?,
    };
    let plan = json(&ran.stdout).map_err(|stop| stop.during(&ran.said()))?;
    let policies = plan["policies"].as_array().into_iter().flatten();
    let mut named = policies.filter(|policy| policy["name"] == name);
    Ok(named.next().ok_or_else(|| ran.said())?.clone())
}

/// Checks that a policy was asked, and whether it was compiled for that.
fn asked(policy: &Value, compiled: bool) -> Checked {
    let well = policy["failures"].as_array().is_some_and(Vec::is_empty);
    ensure!(well && policy["compiled"] == compiled, "{policy:#}");
    Ok(())
}

fn was_compiled_instead(policy: &Value) -> Checked {
    asked(policy, true)?;
    says(
        &policy["warnings"].to_string(),
        &["ahead-of-time", "seccomp", "compiled instead"],
    )
}

fn native_code_of_an_image_is_compiled_from_its_wasm() -> Checked {
    let steps = with_wasm(image()?)?;
    asked(&planned(&steps, "50-keep", true)?, false)?;
    was_compiled_instead(&planned(&steps, "50-keep", false)?)
}

fn native_code_without_its_wasm_is_refused() -> Checked {
    let steps = image()?;
    asked(&planned(&steps, "50-keep", true)?, false)?;
    let policy = planned(&steps, "50-keep", false)?;
    says(
        &policy["failures"].to_string(),
        &["ahead-of-time", "seccomp", "CONFIG_SECCOMP_FILTER"],
    )?;
    // Which says nothing of a boot.
    let desk = desk(&steps)?;
    for arguments in ["plan image", "diff image image"] {
        let ran = run(&desk, arguments)?;
        ensure!(ran.status == Some(4), "{}", ran.said());
        says(
            &ran.stdout,
            &["NOT KNOWN: whether policy 50-keep can be loaded"],
        )?;
    }
    Ok(())
}

fn restarted_policy_worker_runs_no_native_code_either() -> Checked {
    let endless = r#"{"settings": {"attack": "loop"}, "on_failure": "ignore",
        "limits": {"fuel": 100000000000000, "deadline_ms": 1000}}"#;
    let steps = with_wasm(image()?)?
        .file(format!("{POLICIES}/40-loop.wasm"), policy("hostile")?)
        .file(format!("{POLICIES}/40-loop.json"), endless);
    let ended = planned(&steps, "40-loop", false)?;
    says(&ended["failures"].to_string(), &["deadline"])?;
    was_compiled_instead(&planned(&steps, "50-keep", false)?)
}

fn embedded_policy_runs_without_seccomp() -> Checked {
    let steps = image()?;
    for confined in [true, false] {
        asked(&planned(&steps, "00-default", confined)?, false)?;
    }
    Ok(())
}

fn machine_is_examined_without_running_its_native_code() -> Checked {
    let desk = Desk::new()?;
    desk.tree("machine", &image()?)?;
    let arguments = "doctor --root machine --format json";
    let ran = run(&desk, arguments)?;
    let found = json(&ran.stdout).map_err(|stop| stop.during(&ran.said()))?;
    let findings = found["findings"].as_array().into_iter().flatten();
    let mut about = findings.filter(|finding| finding["about"] == "50-keep");
    let finding = about.next().ok_or_else(|| ran.said())?;
    says(
        &finding.to_string(),
        &["seccomp", "examine it on a kernel with seccomp"],
    )
}

/// Stages the policies of a folder, as on a kernel without seccomp or with it, and gives
/// what is said of them and whether the native code is in the image.
fn staged(steps: &[Step], confined: bool) -> Result<(Ran, bool), Stop> {
    let desk = Desk::new()?;
    desk.tree("machine", steps)?;
    desk.tree("image", &[])?;
    let arguments = "image stage image --root machine";
    let ran = match confined {
        true => desk.run(arguments)?,
        false => run(&desk, arguments)?,
    };
    ensure!(ran.status == Some(0), "{}", ran.said());
    let native = format!("image{POLICIES}/50-keep.cwasm");
    let staged = desk.path(&native).is_file();
    Ok((ran, staged))
}

fn other_machine_is_staged_without_running_its_native_code() -> Checked {
    let steps = image()?.directory("/etc");
    let (_, native_alone) = staged(&steps, true)?;
    ensure!(native_alone, "is staged where seccomp confines it");
    let (ran, native_alone) = staged(&steps, false)?;
    ensure!(!native_alone, "{}", ran.said());
    says(&ran.stderr, &["50-keep is left out", "seccomp"])?;
    let (ran, beside_its_wasm) = staged(&with_wasm(steps)?, false)?;
    ensure!(beside_its_wasm, "{}", ran.said());
    Ok(())
}
