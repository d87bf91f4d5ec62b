//! `srctl extension list` and `srctl extension validate`.

use std::fs;

use serde_json::{Value, json};
use switch_root_tests::steps::{Content, Make, Step, Steps};

use crate::check::{ensure, says};
use crate::srctl::{Desk, extension, json, manifest};
use crate::tools::{Checked, cases, policy};

cases![
    extensions_are_listed_in_the_order_of_their_numbers,
    everything_that_is_wrong_is_found_at_once,
    an_extension_without_fault_is_told_so,
    what_is_no_folder_of_extensions_is_refused,
    the_version_of_the_operating_system_decides,
    policies_of_a_folder_are_asked_too,
    an_extension_for_another_kernel_is_incompatible_where_a_policy_compares_kernels,
];

fn extensions_are_listed_in_the_order_of_their_numbers() -> Checked {
    let desk = Desk::new()?;
    for name in ["010.ten", "2.two", "1.one"] {
        desk.tree(&format!("all/{name}"), &extension(&name.replace('.', "-")))?;
    }
    desk.tree("all/999.odd", &Vec::new().file("/manifest.yaml", "["))?;
    let before = desk.everything()?;
    let table = desk.succeeds("extension list all")?;
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    ensure!(
        lines[0] == ["FOLDER", "NAME", "VERSION", "AUTHOR", "SIZE", "FOR"],
        "{table}"
    );
    let folders: Vec<&str> = lines[1..].iter().map(|line| line[0]).collect();
    ensure!(
        folders == ["1.one", "2.two", "010.ten", "999.odd"],
        "{table}"
    );
    let one = ["1.one", "1-one", "1.10", "Somebody"];
    ensure!(lines[1][..4] == one, "{table}");
    says(&table, &["talos >= v1.6.0"])?;
    let list = json(&desk.succeeds("extension list all --format json")?)?;
    let first = &list[0];
    ensure!(
        first["folder"] == "1.one"
            && first["metadata"]["name"] == "1-one"
            // As it is written, and not as the number that it could be.
            && first["metadata"]["version"] == "1.10"
            && first["metadata"]["compatibility"]["talos"]["version"] == ">= v1.6.0"
            && first["size"].as_u64().is_some_and(|size| size > 40_000)
            && list[3]["metadata"] == Value::Null,
        "{list:#}"
    );
    ensure!(desk.everything()? == before, "listing changed something");
    Ok(())
}

fn mode(steps: Vec<Step>, path: &str, mode: u32) -> Vec<Step> {
    let content: Content = "x".into();
    steps.make(path, Make::File { mode, content })
}

/// Severity, extension, path and rule of what is wrong in [`faulty`].
const FAULTS: [[&str; 4]; 14] = [
    ["error", "000.a", "README", "unexpected-file"],
    ["error", "000.a", "/usr/bin/su", "outside-allowed-paths"],
    ["error", "000.a", "/usr/bin/su", "setuid"],
    ["error", "000.a", "/usr/localevil", "outside-allowed-paths"],
    ["error", "000.a", "/usr/local/all", "world-writable"],
    ["error", "000.a", "/usr/local/climber", "symlink-escapes"],
    ["error", "000.a", "/usr/local/pipe", "special-file"],
    ["error", "000.a", "/usr/local", "directory-mode"],
    ["error", "000.a", "/", "root-directory-mode"],
    ["error", "001.b", "manifest.yaml", "manifest-missing"],
    ["error", "001.b", "rootfs", "rootfs-missing"],
    ["error", "002.c", "manifest.yaml", "duplicate-name"],
    ["error", "003.d", "manifest.yaml", "constraint"],
    ["error", "004.e", "manifest.yaml", "manifest-invalid"],
];

/// Extensions with those faults.
pub fn faulty(desk: &Desk) -> Checked {
    let bad = extension("same")
        .file("/README", "read me")
        .file("/rootfs/usr/localevil", "x")
        .symlink("/rootfs/usr/local/climber", "../../../../etc/shadow")
        .make("/rootfs/usr/local/pipe", Make::Fifo);
    let bad = mode(bad, "/rootfs/usr/bin/su", 0o4755);
    let bad = mode(bad, "/rootfs/usr/local/all", 0o666)
        .make("/rootfs/usr/local", Make::Directory { mode: 0o750 })
        .make("/rootfs", Make::Directory { mode: 0o700 });
    desk.tree("all/000.a", &bad)?;
    desk.tree("all/001.b", &[])?;
    let plain = |manifest: &str| {
        Vec::new()
            .file("/manifest.yaml", manifest)
            .directory("/rootfs")
    };
    desk.tree("all/002.c", &plain(&manifest("same", ">= v1.6.0")))?;
    desk.tree("all/003.d", &plain(&manifest("d", ">= one")))?;
    desk.tree(
        "all/004.e",
        &plain("version: v2\nmetadata: {name: e, version: 1}\n"),
    )?;
    Ok(())
}

fn everything_that_is_wrong_is_found_at_once() -> Checked {
    let desk = Desk::new()?;
    faulty(&desk)?;
    let ran = desk.changes_nothing("extension validate all --format json", 3)?;
    let printed = json(&ran.stdout)?;
    let findings = printed["findings"].as_array().cloned().unwrap_or_default();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let mut found: Vec<[String; 4]> = findings
        .iter()
        .map(|it| ["severity", "extension", "path", "rule"].map(|key| text(it, key)))
        .collect();
    let mut expected: Vec<[String; 4]> = FAULTS.iter().map(|it| it.map(String::from)).collect();
    found.sort();
    expected.sort();
    ensure!(found == expected, "found {found:#?}");
    ensure!(printed["verdicts"] == Value::Null, "{printed:#}");
    // For people the same, in a line each.
    let ran = desk.changes_nothing("extension validate all", 3)?;
    for [severity, extension, path, rule] in FAULTS {
        let begin = format!("{severity}: {extension}: {path}: ");
        let end = format!(" [{rule}]");
        let mut lines = ran.stdout.lines();
        ensure!(
            lines.any(|line| line.starts_with(&begin) && line.ends_with(&end)),
            "no line {begin}...{end}\n{}",
            ran.said()
        );
    }
    says(
        &ran.stdout,
        &["5 extensions, 14 findings", "the policies were not asked"],
    )?;
    // And nothing of it is packed.
    let ran = desk.changes_nothing("extension pack all --output all.img", 3)?;
    says(&ran.stderr, &["[setuid]", "[manifest-missing]"])
}

fn an_extension_without_fault_is_told_so() -> Checked {
    let desk = Desk::new()?;
    desk.tree("all/000.a", &extension("a"))?;
    let ran = desk.changes_nothing("extension validate all --target-version 1.7.0", 0)?;
    says(&ran.stdout, &["compatible", "1 extension, 0 findings"])
}

fn what_is_no_folder_of_extensions_is_refused() -> Checked {
    let desk = Desk::new()?;
    desk.tree("all/000.a", &extension("a"))?;
    desk.write("all/notes.txt", "mine")?;
    for command in ["list all", "validate all", "pack all --output all.img"] {
        desk.fails(
            &format!("extension {command}"),
            &["all/notes.txt", "is not a folder"],
        )?;
    }
    fs::remove_file(desk.path("all/notes.txt"))?;
    std::os::unix::fs::symlink("000.a", desk.path("all/001.b"))?;
    desk.fails("extension list all", &["all/001.b", "symbolic link"])?;
    for command in [
        "list nowhere",
        "validate nowhere",
        "pack nowhere --output all.img",
    ] {
        desk.fails(
            &format!("extension {command}"),
            &["there is no folder nowhere", "srctl extension pull"],
        )?;
    }
    Ok(())
}

fn the_version_of_the_operating_system_decides() -> Checked {
    let desk = Desk::new()?;
    desk.tree("all/000.a", &extension("a"))?;
    desk.write("os-release", "ID=talos\nVERSION_ID=v1.5.9\n")?;
    let ask = "extension validate all --format json";
    for (machine, status, verdict) in [
        ("--target-version 1.6.0", 0, "compatible"),
        ("--target-version v1.6.0-alpha.2", 0, "compatible"),
        ("--target-version 1.5.9", 3, "incompatible"),
        ("--os-release os-release", 3, "incompatible"),
        // It is made for another system.
        (
            "--target-version 1.5.9 --target-os other",
            3,
            "incompatible",
        ),
    ] {
        let ran = desk.changes_nothing(&format!("{ask} {machine}"), status)?;
        let printed = json(&ran.stdout)?;
        ensure!(
            printed["verdicts"][0]["verdict"] == verdict && printed["findings"] == json!([]),
            "{machine}: {printed:#}"
        );
        if status == 3 {
            says(&ran.stdout, &["1.5.9", "talos"])?;
        }
    }
    desk.fails(
        &format!("{ask} --os-release nowhere"),
        &["cannot read nowhere"],
    )
}

fn policies_of_a_folder_are_asked_too() -> Checked {
    let desk = Desk::new()?;
    desk.tree("all/000.a", &extension("a"))?;
    let ask = "extension validate all --target-version 1.7.0 --format json";
    let allow = policy("extension-allowlist")?;
    let policies = Vec::new().file("/50-allow.wasm", allow);
    let sidecar = |name: &str| format!(r#"{{"settings": {{"allow": [{{"name": "{name}"}}]}}}}"#);
    for (allowed, status) in [("a", 0), ("b", 3)] {
        let policies = policies
            .clone()
            .file("/50-allow.json", sidecar(allowed).as_str());
        desk.tree("policies", &policies)?;
        let ran = desk.changes_nothing(&format!("{ask} --policies policies"), status)?;
        if status == 3 {
            let printed = json(&ran.stdout)?;
            let reason = &printed["verdicts"][0]["reasons"][0];
            ensure!(reason["policy"] == "50-allow", "{printed:#}");
            says(&ran.stdout, &["not on the list"])?;
        }
    }
    desk.fails(
        "extension validate all --policies policies",
        &["--os-release FILE", "--target-version VERSION"],
    )?;
    desk.fails(
        &format!("{ask} --policies nowhere"),
        &["folder of policies", "nowhere"],
    )
}

fn an_extension_for_another_kernel_is_incompatible_where_a_policy_compares_kernels() -> Checked {
    let desk = Desk::new()?;
    let described = extension("a").file(
        "/manifest.yaml",
        format!(
            "{}  extraInfo:\n    kernelRelease: 6.12.6-talos\n",
            manifest("a", ">= v1.6.0")
        )
        .as_str(),
    );
    desk.tree("all/000.a", &described)?;
    let ask = "extension validate all --target-version 1.7.0 --format json";
    desk.tree(
        "abi",
        &Vec::new().file("/30-abi.wasm", policy("kernel-abi")?),
    )?;
    for (release, status) in [("6.12.6-talos", 0), ("6.1.0", 3)] {
        let ran = desk.changes_nothing(
            &format!("{ask} --policies abi --kernel-release {release}"),
            status,
        )?;
        if status == 3 {
            says(&ran.stdout, &["30-abi", "6.12.6-talos", "6.1.0"])?;
        }
    }
    Ok(())
}
