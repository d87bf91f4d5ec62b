//! `-` as standard input and output of `srctl`: where it is taken, and that it is refused
//! elsewhere.

use std::io::Write;
use std::process::Stdio;

use switch_root_tests::archive;

use crate::check::{ensure, says};
use crate::planning::steps;
use crate::srctl::{Desk, Ran, extension, json};
use crate::tools::{Checked, Stop, cases, policy};

cases![
    an_image_is_read_from_standard_input,
    small_files_are_read_from_standard_input,
    what_is_made_goes_whole_to_standard_output,
    a_dash_is_refused_where_it_is_neither,
    nothing_is_left_of_what_was_copied,
];

/// Runs `srctl` with something at its standard input.
fn fed(desk: &Desk, arguments: &str, input: &[u8]) -> Result<(Ran, Vec<u8>), Stop> {
    let mut command = desk.command(arguments)?;
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    let input = input.to_vec();
    // It may not read all, or nothing at all.
    let feeding = std::thread::spawn(move || stdin.write_all(&input).is_ok());
    let output = child.wait_with_output()?;
    let _ = feeding.join();
    Ok((Ran::new(arguments, &output), output.stdout))
}

fn image() -> Result<Vec<u8>, Stop> {
    Ok(archive::of(&steps()?)?)
}

fn an_image_is_read_from_standard_input() -> Checked {
    let desk = Desk::new()?;
    desk.write("image", image()?)?;
    let (ran, _) = fed(&desk, "plan - --format json", &image()?)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let mut found = json(&ran.stdout)?;
    ensure!(found["image"]["name"] == "standard input", "{found:#}");
    let mut expected = json(&desk.succeeds("plan image --format json")?)?;
    for plan in [&mut found, &mut expected] {
        plan["image"]["name"] = "".into();
        for policy in plan["policies"].as_array_mut().into_iter().flatten() {
            policy["time_us"] = 0.into();
        }
    }
    ensure!(found == expected, "{found:#}\n{expected:#}");
    let (ran, _) = fed(&desk, "diff image -", &image()?)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let (ran, _) = fed(&desk, "doctor -", &image()?)?;
    says(
        &ran.stdout,
        &["image    standard input", "standard input can be read"],
    )?;
    let (ran, _) = fed(&desk, "plan -", b"no image")?;
    ensure!(ran.status == Some(1), "{}", ran.said());
    says(&ran.stderr, &["standard input"])?;
    ensure!(!ran.stderr.contains("/srctl-"), "{}", ran.said());
    Ok(())
}

fn small_files_are_read_from_standard_input() -> Checked {
    let desk = Desk::new()?;
    desk.write("image", image()?)?;
    let os_release = b"ID=talos\nVERSION_ID=1.7.0\n";
    let (ran, _) = fed(&desk, "plan image --os-release -", os_release)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let (ran, _) = fed(
        &desk,
        "policy inspect - --format json",
        &policy("keep-paths")?.bytes()?,
    )?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    let before = "machine:\n  install:\n    extensions: []\n";
    let add = "config add-extension - ghcr.io/siderolabs/gvisor:v1";
    let (ran, _) = fed(&desk, add, before.as_bytes())?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    says(&ran.stdout, &["machine:", "gvisor:v1"])?;
    let (ran, _) = fed(&desk, "status --report -", b"{}")?;
    ensure!(ran.status == Some(1), "{}", ran.said());
    says(&ran.stderr, &["standard input is not a report"])
}

fn what_is_made_goes_whole_to_standard_output() -> Checked {
    let desk = Desk::new()?;
    desk.tree("all/000.a", &extension("a"))?;
    desk.succeeds("extension pack all -o packed")?;
    let (ran, packed) = fed(&desk, "extension pack all -o -", b"")?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    ensure!(packed == desk.read("packed")?, "another archive");
    // What is said of it is said beside it.
    says(&ran.stderr, &["LAYER", "000.a.sqsh"])?;
    let keep = policy("keep-paths")?.bytes()?;
    desk.write("keep.wasm", &keep)?;
    desk.succeeds("policy compile keep.wasm")?;
    let (ran, compiled) = fed(&desk, "policy compile -", &keep)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    ensure!(compiled == desk.read("keep.cwasm")?, "other code");
    let add = "image add-policy - keep.wasm --compile none -o -";
    let (ran, made) = fed(&desk, add, &image()?)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    desk.write("made", made)?;
    says(&desk.succeeds("plan made")?, &["50-keep"])?;
    // A plan is printed there anyway.
    desk.write("image", image()?)?;
    let plan = desk.succeeds("plan image -o - --list")?;
    ensure!(plan == desk.succeeds("plan image --list")?, "{plan}");
    // Nothing goes there where the answer is no.
    desk.write("all/000.a/manifest.yaml", "no manifest")?;
    let (ran, packed) = fed(&desk, "extension pack all -o -", b"")?;
    ensure!(ran.status == Some(3) && packed.is_empty(), "{}", ran.said());
    Ok(())
}

fn a_dash_is_refused_where_it_is_neither() -> Checked {
    let desk = Desk::new()?;
    desk.write("image", image()?)?;
    for arguments in [
        "extension list -",
        "extension validate -",
        "extension validate all --policies -",
        "extension pack - -o out",
        "extension pull oci:layout -o -",
        "policy build -",
        "policy new name --lang c -o -",
        "policy verify - --signers list",
        "policy verify keep.wasm --signers -",
        "policy sign keep.wasm --key -",
        "policy test -",
        "policy push - oci:layout",
        "policy pull oci:layout -o -",
        "image stage -",
        "image add-policy image - -o out",
        "plan image --policies -",
        "rehearse image --switch-root -",
        "doctor --root -",
        "man -o -",
    ] {
        let ran = desk.changes_nothing(arguments, 2)?;
        says(&ran.stderr, &["neither standard input nor standard output"])?;
    }
    for (arguments, words) in [
        ("diff - -", "more than once"),
        ("plan - --os-release -", "more than once"),
        ("extension pack all -o - --format json", "standard output"),
        (
            "config add-extension - a/b:c --format json",
            "standard output",
        ),
    ] {
        let ran = desk.changes_nothing(arguments, 2)?;
        says(&ran.stderr, &[words])?;
    }
    // A file of this name has another one, too.
    desk.write("-", image()?)?;
    desk.succeeds("plan ./-")?;
    Ok(())
}

fn nothing_is_left_of_what_was_copied() -> Checked {
    let mut desk = Desk::new()?;
    desk.tree("tmp", &[])?;
    desk.variable("TMPDIR", desk.path("tmp"));
    desk.tree("all/000.a", &extension("a"))?;
    desk.write("image", image()?)?;
    for arguments in [
        "plan -",
        "plan - --explain /nowhere",
        "plan - --list --format json",
        "extension pack all -o -",
        "extension pack nothing -o -",
        "diff - -",
        "config add-extension - a/b:c --output out",
    ] {
        let (ran, _) = fed(&desk, arguments, &image()?)?;
        let left = desk.path("tmp").read_dir()?.count();
        ensure!(left == 0, "{left}: {}", ran.said());
    }
    Ok(())
}
