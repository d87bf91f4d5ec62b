//! `srctl policy bench`: what a policy takes. How long something takes decides nothing.

use serde_json::Value;
use switch_root_tests::steps::Steps;

use crate::check::{ensure, says};
use crate::inspecting::put;
use crate::srctl::{Desk, json};
use crate::tools::{Checked, Stop, cases};

cases![
    every_directory_that_was_asked_about_is_measured,
    extensions_are_measured_with_the_machine_they_are_for,
    a_policy_that_fails_is_told_with_how_near_it_came_to_its_limits,
    what_cannot_be_measured_is_an_error,
    without_a_tree_it_says_what_it_needs_and_measures_loading,
];

const EXTENSIONS: &str = "layers:\n- image: 000.a.sqsh\n  metadata: {name: a, version: '1', author: Somebody, description: An a.}\n";

fn desk() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    let tree = Vec::new()
        .file("/etc/ssh/ssh_host_key", "key")
        .file("/etc/ssh/sshd_config", "config")
        .file("/usr/bin/true", "program")
        .file("/usr/bin/false", "program");
    desk.tree("tree", &tree)?;
    for name in ["keep-paths", "default", "hostile"] {
        put(&desk, name)?;
    }
    Ok(desk)
}

fn bench(desk: &Desk, arguments: &str, status: i32) -> Result<Value, Stop> {
    let ran = desk.changes_nothing(&format!("policy bench {arguments} --format json"), status)?;
    ensure!(ran.stderr.is_empty(), "{}", ran.said());
    json(&ran.stdout)
}

/// What was used and allowed of a limit.
fn share(measured: &Value, limit: &str) -> Option<(u64, u64)> {
    let shares = measured["limits"].as_array()?;
    let share = shares.iter().find(|share| share["limit"] == limit)?;
    Some((share["used"].as_u64()?, share["allowed"].as_u64()?))
}

fn every_directory_that_was_asked_about_is_measured() -> Checked {
    let desk = desk()?;
    desk.write(
        "keep.json",
        r#"{"settings": {"keep": ["/etc/ssh/ssh_host_*"]}}"#,
    )?;
    let arguments = "keep-paths.wasm --tree tree --settings keep.json --rounds 3";
    let measured = bench(&desk, arguments, 0)?;
    let directories = measured["directories"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let paths: Vec<&str> = directories
        .iter()
        .filter_map(|it| it["path"].as_str())
        .collect();
    ensure!(paths == ["/", "/etc", "/etc/ssh"], "{measured:#}");
    // /dev and /root are the kernel's own.
    let entries: Vec<u64> = directories
        .iter()
        .filter_map(|it| it["entries"].as_u64())
        .collect();
    ensure!(entries == [4, 1, 2], "{measured:#}");
    for figures in directories.iter().chain([
        &measured["load_wasm"],
        &measured["load_native"],
        &measured["preservation"],
    ]) {
        let number = |name: &str| figures[name].as_u64();
        ensure!(
            number("min_us") <= number("median_us")
                && number("median_us") <= number("max_us")
                && number("fuel") > Some(0)
                && number("memory_bytes") >= Some(64 << 10),
            "{figures:#}"
        );
    }
    let fuel: u64 = directories
        .iter()
        .filter_map(|it| it["fuel"].as_u64())
        .sum();
    let whole = measured["preservation"]["fuel"]
        .as_u64()
        .unwrap_or_default();
    // The first call of an instance may take more than those of the next rounds.
    ensure!(whole > 0 && whole <= fuel, "{measured:#}");
    ensure!(measured["compatibility"].is_null(), "{measured:#}");
    let memory = share(&measured, "memory_bytes");
    ensure!(
        memory.is_some_and(|(used, allowed)| 0 < used && used < allowed),
        "{measured:#}"
    );
    let ran = desk.changes_nothing(&format!("policy bench {arguments}"), 0)?;
    let words = ["load, from .cwasm", "/etc/ssh", "memory_bytes", "3 rounds"];
    says(&ran.stdout, &words)
}

fn extensions_are_measured_with_the_machine_they_are_for() -> Checked {
    let desk = desk()?;
    desk.write("extensions.yaml", EXTENSIONS)?;
    let arguments = "default.wasm --extensions extensions.yaml --target-version 1.8.0 --rounds 2";
    let measured = bench(&desk, arguments, 0)?;
    ensure!(
        measured["compatibility"]["entries"] == 1
            && measured["preservation"].is_null()
            && measured["failures"] == serde_json::json!([]),
        "{measured:#}"
    );
    says(
        &measured["warnings"].to_string(),
        &["answers preservation and was not asked"],
    )?;
    // Those of the tree, where none are given.
    desk.write("tree/extensions.yaml", EXTENSIONS)?;
    let measured = bench(
        &desk,
        "default.wasm --tree tree --target-version 1.8.0 --rounds 2",
        0,
    )?;
    ensure!(
        measured["compatibility"]["entries"] == 1 && measured["directories"][0]["path"] == "/",
        "{measured:#}"
    );
    desk.fails(
        "policy bench default.wasm --tree tree",
        &["--os-release FILE"],
    )
}

fn a_policy_that_fails_is_told_with_how_near_it_came_to_its_limits() -> Checked {
    let desk = desk()?;
    for (attack, kind, limit) in [
        ("loop", "fuel", "fuel"),
        ("allocate-forever", "memory", "memory_bytes"),
    ] {
        let sidecar = serde_json::json!({
            "settings": {"attack": attack},
            "limits": {"memory_bytes": 2 << 20, "fuel": 10_000_000},
        });
        desk.write("sidecar.json", sidecar.to_string())?;
        let arguments = "hostile.wasm --tree tree --settings sidecar.json --rounds 2";
        let measured = bench(&desk, arguments, 3)?;
        ensure!(measured["failures"][0]["kind"] == kind, "{measured:#}");
        let (used, allowed) = share(&measured, limit).ok_or("no share")?;
        ensure!(used * 10 > allowed * 9, "{measured:#}");
        let ran = desk.changes_nothing(&format!("policy bench {arguments}"), 3)?;
        says(&ran.stdout, &["failed: it "])?;
    }
    // It cannot be loaded, so that there is nothing to measure.
    put(&desk, "wasi-imports")?;
    let measured = bench(&desk, "wasi-imports.wasm --tree tree --rounds 2", 3)?;
    ensure!(measured["failures"][0]["kind"] == "imports", "{measured:#}");
    Ok(())
}

fn what_cannot_be_measured_is_an_error() -> Checked {
    let desk = desk()?;
    desk.fails(
        "policy bench nowhere.wasm --tree tree",
        &["there is no file nowhere.wasm"],
    )?;
    desk.fails(
        "policy bench default.wasm --tree nowhere",
        &["cannot read nowhere"],
    )?;
    let nothing = "policy bench default.wasm --extensions nowhere.yaml --target-version 1.8.0";
    desk.fails(nothing, &["there is no file nowhere.yaml"])?;
    desk.write("bad.yaml", "not: [extensions")?;
    let bad = "policy bench default.wasm --extensions bad.yaml --target-version 1.8.0 --rounds 1";
    desk.fails(bad, &["cannot read bad.yaml"])?;
    let ran = desk.run("policy bench default.wasm --rounds 0")?;
    ensure!(ran.status == Some(2), "{}", ran.said());
    Ok(())
}

fn without_a_tree_it_says_what_it_needs_and_measures_loading() -> Checked {
    let desk = desk()?;
    let measured = bench(&desk, "keep-paths.wasm --rounds 2", 0)?;
    for load in ["load_wasm", "load_native"] {
        ensure!(measured[load]["fuel"].as_u64() > Some(0), "{measured:#}");
    }
    says(
        &measured["warnings"].to_string(),
        &["give --tree IMAGE|DIR"],
    )?;
    let measured = bench(&desk, "default.wasm --rounds 1", 0)?;
    says(
        &measured["warnings"].to_string(),
        &["give --tree IMAGE|DIR", "give --extensions FILE"],
    )
}
