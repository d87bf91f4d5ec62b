//! `srctl rehearse`: the real switch with an image, in namespaces and in a machine.

pub mod contained;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use cpio::newc::{Builder, ModeFileType, trailer};
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::geteuid;
use serde_json::Value;
use switch_root_tests::archive;
use switch_root_tests::steps::{Step, Steps};

use crate::check::{ensure, says};
use crate::srctl::{Desk, Ran, json};
use crate::tools::{Checked, Policies, Stop, cases, kernels, policy, program, subject};

cases![
    a_switch_goes_as_planned_and_leaves_nothing_behind,
    who_starts_it_with_sigchld_ignored_sees_the_same,
    what_policies_keep_survives_as_planned,
    an_extension_that_is_incompatible_is_told_by_the_exit_status,
    verdicts_for_an_unknown_system_are_unknown,
    a_policy_that_fails_keeps_everything_as_planned,
    a_refusal_that_was_planned_is_no_difference,
    what_is_otherwise_than_in_a_given_plan_is_told_line_by_line,
    a_root_image_decides_what_can_be_carried,
    an_image_that_boots_whole_is_rehearsed_as_far_as_it_can_be,
    an_image_without_a_root_image_is_refused_as_its_boot_is,
    devices_that_cannot_be_made_are_told_and_change_nothing,
    a_user_without_privileges_rehearses_too,
    an_image_of_systemd_is_rehearsed_as_it_preserves,
    a_machine_boots_with_the_image_as_planned,
    a_machine_that_refuses_is_told,
];

const OS_RELEASE: &str = "ID=talos\nVERSION_ID=v1.9.0\n";

/// An initramfs as a script would call our switch_root from, with directories of its own.
fn tree() -> Result<Vec<Step>, Stop> {
    let subject = fs::read(subject()?)?;
    Ok(Vec::new()
        .executable("/init", "#!/bin/sh\nexec switch_root /sysroot /sbin/init\n")
        .executable("/sbin/switch_root", subject)
        .directory("/sysroot")
        .directory("/proc")
        .file("/etc/some/file", "some text")
        .file("/etc/fstab", "")
        .symlink("/lib", "usr/lib")
        .file("/usr/lib/a.so", vec![7_u8; 100_000]))
}

/// A desk with that image, more steps in it, as `image`.
pub fn desk(change: impl FnOnce(Vec<Step>) -> Vec<Step>) -> Result<Desk, Stop> {
    let mut desk = Desk::new()?;
    desk.write("image", archive::of(&change(tree()?))?)?;
    desk.write("os-release", OS_RELEASE)?;
    // What is left there shows.
    desk.tree("tmp", &[])?;
    desk.variable("TMPDIR", desk.path("tmp"));
    Ok(desk)
}

/// Skips where this machine has no namespaces for us.
pub fn possible(ran: &Ran) -> Checked {
    match ran.stderr.contains("cannot rehearse in namespaces") {
        true => Err(Stop::Skip(ran.stderr.clone())),
        false => Ok(()),
    }
}

/// Rehearses, and checks that it ended with `status`, that the desk is as it was, and
/// that this machine's mounts are.
pub fn rehearse(desk: &Desk, arguments: &str, status: i32) -> Result<Ran, Stop> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let before = desk.everything()?;
    let ran = desk.run(&format!("rehearse {arguments}"))?;
    possible(&ran)?;
    ensure!(ran.status == Some(status), "not {status}\n{}", ran.said());
    let changed = switch_root_tests::snapshot::difference(&before, &desk.everything()?);
    ensure!(changed.is_empty(), "{changed:?}\n{}", ran.said());
    ensure!(
        fs::read_to_string("/proc/self/mountinfo")? == mounts,
        "mounts changed\n{}",
        ran.said()
    );
    let left = remains(desk)?;
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(ran)
}

/// Processes that have to do with this desk.
pub fn remains(desk: &Desk) -> Result<Vec<String>, Stop> {
    let mut found = remains_with(&desk.path("").display().to_string())?;
    for entry in fs::read_dir("/proc")?.flatten() {
        let place = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        if place == desk.path("") {
            found.push(entry.path().display().to_string());
        }
    }
    Ok(found)
}

/// Processes on whose command lines something stands.
pub fn remains_with(words: &str) -> Result<Vec<String>, Stop> {
    let commands = fs::read_dir("/proc")?.flatten().map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&command).replace('\0', " ")
    });
    Ok(commands.filter(|command| command.contains(words)).collect())
}

/// Rehearses what must fail with one sentence that has these words.
pub fn fails(desk: &Desk, arguments: &str, words: &[&str]) -> Checked {
    let ran = rehearse(desk, arguments, 1)?;
    ensure!(ran.stdout.is_empty(), "it printed\n{}", ran.said());
    ensure!(ran.stderr.starts_with("srctl: "), "{}", ran.said());
    says(&ran.stderr, words)
}

fn differences(value: &Value) -> Vec<&str> {
    let list = value["differences"].as_array().into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

fn a_switch_goes_as_planned_and_leaves_nothing_behind() -> Checked {
    let desk = desk(|tree| tree)?;
    let ran = rehearse(&desk, "image --os-release os-release --format json", 0)?;
    let value = json(&ran.stdout)?;
    ensure!(value["as_planned"] == true, "{}", ran.said());
    ensure!(
        value["switch_root"] == "/sbin/switch_root of the image",
        "{}",
        ran.said()
    );
    let deletion = &value["report"]["deletion"];
    ensure!(deletion["state"] == "complete", "{deletion}");
    // init, switch_root, file, fstab, lib, a.so, and the console that the kernel has.
    ensure!(deletion["files"] == 7, "{deletion}");
    ensure!(
        value["preserved"]["entries"] == serde_json::json!([]),
        "{}",
        value["preserved"]
    );
    let text = rehearse(&desk, "image --os-release os-release", 0)?.stdout;
    says(
        &text,
        &[
            "switched",
            "7 files and",
            "freed",
            "00-default",
            "as planned",
        ],
    )
}

fn who_starts_it_with_sigchld_ignored_sees_the_same() -> Checked {
    let desk = desk(|tree| tree)?;
    let mut command = desk.command("rehearse image --os-release os-release --format json")?;
    let ignore = || {
        // SAFETY: installs no handler.
        unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
        Ok(())
    };
    // SAFETY: sets a signal, and nothing else, between fork and exec.
    unsafe { command.pre_exec(ignore) };
    let ran = Ran::new("rehearse with SIGCHLD ignored", &command.output()?);
    possible(&ran)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    ensure!(json(&ran.stdout)?["as_planned"] == true, "{}", ran.said());
    Ok(())
}

fn what_policies_keep_survives_as_planned() -> Checked {
    let settings = r#"{"settings": {"keep": ["/etc/some/*", "/usr/lib"], "carry": {"/etc/fstab": "/etc/fstab"}}}"#;
    let keep_paths = policy("keep-paths")?;
    let desk = desk(|tree| {
        tree.policy("50-keep", keep_paths, Some(settings))
            .file("/extensions.yaml", "layers: []\n")
    })?;
    let ran = rehearse(&desk, "image --os-release os-release --format json", 0)?;
    let value = json(&ran.stdout)?;
    ensure!(value["as_planned"] == true, "{}", ran.said());
    let paths: Vec<&str> = value["preserved"]["entries"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["path"].as_str())
        .collect();
    for path in [
        "/etc/some/file",
        "/etc/fstab",
        "/usr/lib/a.so",
        "/extensions.yaml",
    ] {
        ensure!(paths.contains(&path), "no {path} in {paths:?}");
    }
    ensure!(!paths.contains(&"/init"), "{paths:?}");
    let text = rehearse(&desk, "image --os-release os-release", 0)?.stdout;
    says(&text, &["/etc/fstab", "50-keep", "as planned"])
}

/// An extensions.yaml with one extension that is for such versions of Talos.
fn extensions(versions: &str) -> String {
    format!(
        "layers:\n  - image: 000.one.sqsh\n    metadata:\n      name: one\n      version: \"1\"\n      author: A\n      description: D\n      compatibility:\n        talos:\n          version: {versions:?}\n"
    )
}

fn an_extension_that_is_incompatible_is_told_by_the_exit_status() -> Checked {
    for (versions, status, word) in [(">= v1.6.0", 0, "compatible"), (">= v2.0.0", 3, "v2.0.0")] {
        let desk = desk(|tree| tree.file("/extensions.yaml", extensions(versions).as_str()))?;
        let ran = rehearse(&desk, "image --os-release os-release", status)?;
        says(&ran.stdout, &["000.one.sqsh", word, "as planned"])?;
    }
    Ok(())
}

fn verdicts_for_an_unknown_system_are_unknown() -> Checked {
    for versions in [">= v1.6.0", ">= v2.0.0"] {
        let desk = desk(|tree| tree.file("/extensions.yaml", extensions(versions).as_str()))?;
        let ran = rehearse(&desk, "image", 4)?;
        says(
            &ran.stdout,
            &[
                "NOT KNOWN: whether the extensions",
                "--os-release FILE",
                "as planned",
            ],
        )?;
        // Not a difference where the plan could not ask.
        let plan = desk.run("plan image --format json")?;
        ensure!(plan.status == Some(4), "{}", plan.said());
        desk.write("plan.json", &plan.stdout)?;
        let ran = rehearse(&desk, "image --plan plan.json", 4)?;
        says(
            &ran.stdout,
            &["no policy was asked about extension 000.one"],
        )?;
    }
    Ok(())
}

fn a_policy_that_fails_keeps_everything_as_planned() -> Checked {
    let hostile = policy("hostile")?;
    let desk = desk(|tree| {
        tree.policy(
            "50-hostile",
            hostile,
            Some(r#"{"settings": {"attack": "trap"}}"#),
        )
    })?;
    let ran = rehearse(&desk, "image --os-release os-release", 3)?;
    says(
        &ran.stdout,
        &["nothing: policy 50-hostile failed", "trap", "as planned"],
    )
}

fn a_refusal_that_was_planned_is_no_difference() -> Checked {
    let hostile = policy("hostile")?;
    let sidecar = r#"{"settings": {"attack": "trap"}, "on_failure": "refuse"}"#;
    let desk = desk(|tree| tree.policy("50-hostile", hostile, Some(sidecar)))?;
    let ran = rehearse(&desk, "image --os-release os-release --format json", 3)?;
    let value = json(&ran.stdout)?;
    ensure!(
        value["as_planned"] == true && value["report"].is_null(),
        "{}",
        ran.said()
    );
    let refused = value["refused"].as_str().unwrap_or_default();
    says(refused, &["50-hostile", "sidecar says to refuse"])?;
    // Which is how an operator gets past it.
    let append = "--append switch_root.policies=default";
    let ran = rehearse(&desk, &format!("image --os-release os-release {append}"), 0)?;
    says(&ran.stdout, &["switched", "as planned"])
}

fn what_is_otherwise_than_in_a_given_plan_is_told_line_by_line() -> Checked {
    let desk = desk(|tree| tree.file("/extensions.yaml", extensions(">= v1.6.0").as_str()))?;
    let plan = desk.run("plan image --os-release os-release --format json")?;
    ensure!(plan.status == Some(0), "{}", plan.said());
    let mut plan = json(&plan.stdout)?;
    desk.write("plan.json", plan.to_string())?;
    let same = rehearse(&desk, "image --os-release os-release --plan plan.json", 0)?;
    says(&same.stdout, &["as planned"])?;
    plan["survivors"] = serde_json::json!([
        {"path": "/init", "kind": "file", "bytes": 1, "by": ["mine"], "carried_to": null, "note": null},
    ]);
    plan["extensions"][0]["verdict"] = "incompatible".into();
    plan["summary"]["deleted"]["files"] = 1000.into();
    plan["policies"][0]["digest"] = "sha256:00".into();
    desk.write("plan.json", plan.to_string())?;
    let arguments = "image --os-release os-release --plan plan.json";
    let ran = rehearse(&desk, &format!("{arguments} --format json"), 1)?;
    let value = json(&ran.stdout)?;
    ensure!(value["as_planned"] == false, "{}", ran.said());
    let lines = differences(&value).join("\n");
    says(
        &lines,
        &[
            "/init was to survive, and did not",
            "/extensions.yaml survived, which was not planned (kept by 00-default)",
            "extension 000.one.sqsh was to be incompatible, and is compatible",
            "1000 files were to be deleted",
            "policy 00-default was to be sha256:00",
        ],
    )?;
    ensure!(lines.lines().count() == 5, "{lines}");
    let ran = rehearse(&desk, arguments, 1)?;
    says(&ran.stdout, &["not as planned:\n  "])?;
    says(&ran.stderr, &["does not switch as planned"])?;
    desk.write("plan.json", "{}")?;
    fails(&desk, arguments, &["plan.json is no plan"])
}

/// Makes a root image, with more steps in it, as `root.sqsh`.
fn root_image(desk: &Desk, change: impl FnOnce(Vec<Step>) -> Vec<Step>) -> Checked {
    let mksquashfs = program("mksquashfs")?;
    let root = Vec::new()
        .file("/usr/lib/os-release", OS_RELEASE)
        .symlink("/etc/os-release", "../usr/lib/os-release")
        .executable("/usr/lib/systemd/systemd", "x")
        .symlink("/sbin", "usr/sbin")
        .symlink("/usr/sbin/init", "../lib/systemd/systemd");
    let root = ["/dev", "/proc", "/sys", "/run"]
        .into_iter()
        .fold(root, |root, path| root.directory(path));
    desk.tree("root", &change(root))?;
    let made = Command::new(mksquashfs)
        .args([desk.path("root"), desk.path("root.sqsh")])
        .args(["-all-root", "-quiet", "-no-progress"])
        .output()?;
    ensure!(made.status.success(), "{made:?}");
    Ok(())
}

fn a_root_image_decides_what_can_be_carried() -> Checked {
    let desk = desk(|tree| tree)?;
    root_image(&desk, |root| root)?;
    let tree = tree()?
        .file("/rootfs.sqsh", desk.read("root.sqsh")?)
        .file("/extensions.yaml", "layers: []\n");
    desk.write("image", archive::of(&tree)?)?;
    // Its os-release is that of the root image.
    let ran = rehearse(&desk, "image", 0)?;
    says(
        &ran.stdout,
        &[
            "note: /extensions.yaml survives, and is not carried",
            "read-only",
            "as planned",
        ],
    )
}

fn an_image_that_boots_whole_is_rehearsed_as_far_as_it_can_be() -> Checked {
    let desk = desk(|tree| tree)?;
    root_image(&desk, |root| root.file("/etc/extensions.yaml", ""))?;
    let tree = Vec::new()
        .executable("/init", fs::read(subject()?)?)
        .file("/rootfs.sqsh", desk.read("root.sqsh")?)
        .file("/000.one.sqsh", "no layer")
        .file("/extensions.yaml", extensions(">= v1.6.0").as_str());
    desk.write("image", archive::of(&tree)?)?;
    let ran = rehearse(&desk, "image", 0)?;
    says(
        &ran.stdout,
        &[
            "/init of the image",
            "/etc/extensions.yaml",
            "000.one.sqsh",
            "note: at boot the image's init mounts",
            "as planned",
        ],
    )
}

fn an_image_without_a_root_image_is_refused_as_its_boot_is() -> Checked {
    let desk = desk(|tree| tree)?;
    let tree = Vec::new()
        .executable("/init", fs::read(subject()?)?)
        .file("/extensions.yaml", extensions(">= v1.6.0").as_str());
    desk.write("image", archive::of(&tree)?)?;
    for (arguments, words) in [
        (
            "image",
            "the initramfs has no root image, none of /rootfs.sqsh",
        ),
        (
            "image --append switch_root.root=/other",
            "the root image /other is missing in the initramfs",
        ),
    ] {
        let ran = rehearse(&desk, arguments, 3)?;
        says(&ran.stdout, &["refused", words, "nothing was executed"])?;
    }
    Ok(())
}

/// An archive with a device, and a file of somebody.
fn odd_members() -> Result<Vec<u8>, Stop> {
    let device = Builder::new("some-device")
        .ino(1000)
        .mode(0o600)
        .rdev_major(1)
        .rdev_minor(5)
        .set_mode_file_type(ModeFileType::Char);
    let file = Builder::new("some-file")
        .ino(1001)
        .mode(0o644)
        .uid(4_000_000)
        .gid(4_000_000)
        .set_mode_file_type(ModeFileType::Regular);
    let bytes = device.write(Vec::new(), 0).finish()?;
    let bytes = file.write(bytes, 0).finish()?;
    Ok(trailer(bytes)?)
}

fn devices_that_cannot_be_made_are_told_and_change_nothing() -> Checked {
    let settings = r#"{"settings": {"keep": ["/some-*"]}}"#;
    let keep_paths = policy("keep-paths")?;
    let desk = desk(|tree| tree.policy("50-keep", keep_paths, Some(settings)))?;
    let mut image = desk.read("image")?;
    image.resize(image.len().next_multiple_of(4), 0);
    image.extend(odd_members()?);
    desk.write("image", image)?;
    let ran = rehearse(&desk, "image --os-release os-release", 0)?;
    says(
        &ran.stdout,
        &[
            "note: 1 members of the image belong to users or groups that are not known here",
            "/some-device",
            "as planned",
        ],
    )
}

fn a_user_without_privileges_rehearses_too() -> Checked {
    if !geteuid().is_root() {
        return Err(Stop::Skip("is run by such a user already".into()));
    }
    let setpriv = program("setpriv")?;
    let desk = desk(|tree| tree.file("/extensions.yaml", "layers: []\n"))?;
    // Readable for everybody; the programs as well.
    fs::set_permissions(desk.path(""), fs::Permissions::from_mode(0o755))?;
    let srctl = desk.path("srctl");
    fs::copy(crate::tools::srctl()?, &srctl)?;
    let output = Command::new(setpriv)
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&srctl)
        .args(["rehearse", "image", "--os-release", "os-release"])
        .current_dir(desk.path(""))
        .output()?;
    let ran = Ran::new("rehearse", &output);
    possible(&ran)?;
    ensure!(ran.status == Some(0), "{}", ran.said());
    says(&ran.stdout, &["as planned"])?;
    let left = remains(&desk)?;
    ensure!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

fn a_machine_boots_with_the_image_as_planned() -> Checked {
    // Compiling them may take long in a machine that is emulated.
    let patient = r#"{"limits": {"deadline_ms": 100000}}"#;
    let settings = r#"{"settings": {"keep": ["/etc/some/*"]}, "limits": {"deadline_ms": 100000}}"#;
    let (default, keep_paths) = (policy("default")?, policy("keep-paths")?);
    let desk = desk(|tree| {
        tree.policy("00-default", default, Some(patient))
            .policy("50-keep", keep_paths, Some(settings))
            .file("/extensions.yaml", extensions(">= v1.6.0").as_str())
    })?;
    for kernel in kernels()? {
        let kernel = kernel.display();
        let arguments =
            format!("image --os-release os-release --timeout 300 --vm --kernel {kernel}");
        let ran = rehearse(&desk, &format!("{arguments} --format json"), 0)?;
        let value = json(&ran.stdout)?;
        ensure!(value["as_planned"] == true, "{}", ran.said());
        let release = value["kernel"]["release"].as_str().unwrap_or_default();
        ensure!(
            kernel.to_string().ends_with(release) && !release.is_empty(),
            "{release}"
        );
        ensure!(
            value["report"]["deletion"]["state"] == "complete",
            "{}",
            ran.said()
        );
        let entries = value["preserved"]["entries"].to_string();
        says(&entries, &["/etc/some/file", "/extensions.yaml"])?;
    }
    Ok(())
}

fn a_machine_that_refuses_is_told() -> Checked {
    let hostile = policy("hostile")?;
    let sidecar = r#"{"settings": {"attack": "trap"}, "on_failure": "refuse"}"#;
    let desk = desk(|tree| tree.policy("50-hostile", hostile, Some(sidecar)))?;
    let kernels = kernels()?;
    let kernel = kernels.last().ok_or("there is no kernel")?.display();
    let arguments = format!("image --os-release os-release --timeout 300 --vm --kernel {kernel}");
    let ran = rehearse(&desk, &arguments, 3)?;
    says(&ran.stdout, &["refused", "50-hostile", "as planned"])
}

fn an_image_of_systemd_is_rehearsed_as_it_preserves() -> Checked {
    let place = "/usr/lib/switch-root/switch_root";
    let desk = desk(|tree| {
        let subject = tree
            .iter()
            .find(|step| step.path == b"/sbin/switch_root")
            .map(|step| step.make.clone());
        let other = |step: &Step| step.path != b"/init" && step.path != b"/sbin/switch_root";
        let tree: Vec<Step> = tree.into_iter().filter(other).collect();
        subject
            .into_iter()
            .fold(tree, |tree, program| tree.make(place, program))
            .symlink("/init", "usr/lib/systemd/systemd")
            .executable("/usr/lib/systemd/systemd", "systemd")
            .file(
                "/usr/lib/systemd/system/switch-root-preserve.service",
                "[Unit]\n",
            )
    })?;
    let ran = rehearse(&desk, "image --os-release os-release", 0)?;
    says(
        &ran.stdout,
        &[
            "/usr/lib/switch-root/switch_root of the image",
            "note: systemd switches in this image",
            "Here it is called like that",
            "nothing: freeing the initramfs is left to the program that switches",
            "as planned",
        ],
    )
}
