//! `srctl plan`.

use std::process::Command;

use serde_json::{Value, json};
use switch_root_tests::archive;
use switch_root_tests::report::Report;
use switch_root_tests::steps::{Content, Step, Steps};

use crate::check::{ensure, says};
use crate::doctor::patient::{OTHER_ENGINE, PROGRAM, boot_program, engine};
use crate::srctl::{Desk, json};
use crate::terminal::without_colours;
use crate::tools::{Checked, Stop, cases, native, policy, program};
use crate::unpacking::{self, Member};

cases![
    a_plan_tells_what_is_kept_carried_and_deleted_and_by_whose_word,
    a_folder_has_the_plan_of_the_image_that_it_would_be,
    parts_are_read_however_they_are_compressed,
    a_path_is_explained_policy_by_policy,
    directional_characters_are_escaped_for_people_and_not_in_json,
    policies_beside_the_image_join_those_in_it,
    extensions_are_judged_for_the_machine_of_the_image,
    extensions_of_an_unknown_system_are_planned_and_unknown,
    a_plan_lists_every_path_with_its_disposition,
    a_full_plan_leaves_nothing_out_and_counts_what_stays,
    plans_and_differences_are_coloured_where_that_is_asked_for,
    a_path_that_only_a_boot_makes_is_explained,
    the_image_of_the_running_kernel_is_planned_where_none_is_named,
    a_plan_is_written_to_a_file_whole_or_not_at_all,
    a_plan_is_a_page_too,
    policies_that_the_images_program_cannot_run_have_failed,
    that_systemd_deletes_is_noted,
    a_target_version_that_is_none_is_named_by_its_flag,
    a_sidecar_that_is_masked_is_noted,
    a_dangling_folder_of_policies_is_a_policy_that_failed,
];

pub const POLICIES: &str = "/etc/switch-root/policies.d";

/// Keeps one folder and carries a file.
const SETTINGS: &str = r#"{"settings": {
    "keep": ["/var/log/boot/**", "/etc/ssh/ssh_host_*"],
    "carry": {"/etc/machine.conf": "/etc/machine.conf"}
}}"#;

pub fn steps() -> Result<Vec<Step>, Stop> {
    let large = |size| Content::Filled { byte: 1, size };
    Ok(Vec::new()
        .executable("/init", "#!/bin/sh\n")
        .file("/etc/machine.conf", "carried")
        .file("/etc/ssh/ssh_host_key", "kept")
        .file("/etc/ssh/sshd_config", "deleted")
        .file("/etc/os-release", "ID=talos\nVERSION_ID=1.7.0\n")
        .file("/var/log/boot/one", large(1000))
        .file("/var/log/boot/deep/two", large(2000))
        .file("/usr/lib/large", large(1 << 20))
        .symlink("/lib", "usr/lib")
        .file(
            format!("{POLICIES}/50-keep-paths.wasm"),
            policy("keep-paths")?,
        )
        .file(format!("{POLICIES}/50-keep-paths.json"), SETTINGS))
}

/// A folder with an image in it.
pub fn desk(steps: &[Step]) -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.write("image", archive::of(steps)?)?;
    Ok(desk)
}

fn plan(desk: &Desk, arguments: &str) -> Result<Value, Stop> {
    let ran = desk.changes_nothing(&format!("plan {arguments} --format json"), 0)?;
    json(&ran.stdout)
}

/// What is at a path of the tree.
fn at<'a>(plan: &'a Value, path: &str) -> &'a Value {
    path.split('/').skip(1).fold(&plan["tree"], |branch, name| {
        let mut children = branch["children"].as_array().into_iter().flatten();
        children
            .find(|child| child["name"] == name)
            .unwrap_or(&Value::Null)
    })
}

fn a_plan_tells_what_is_kept_carried_and_deleted_and_by_whose_word() -> Checked {
    let desk = desk(&steps()?)?;
    let plan = plan(&desk, "image")?;
    ensure!(plan["schema"] == 1, "{plan:#}");
    for (path, fate, by, bytes) in [
        ("/etc", "part", json!([]), None),
        (
            "/etc/machine.conf",
            "carry",
            json!(["50-keep-paths"]),
            Some(7),
        ),
        (
            "/etc/ssh/ssh_host_key",
            "keep",
            json!(["50-keep-paths"]),
            Some(4),
        ),
        ("/etc/ssh/sshd_config", "delete", json!([]), Some(7)),
        ("/usr", "delete", json!([]), Some(1 << 20)),
        ("/dev", "delete", json!([]), Some(0)),
        ("/lib", "delete", json!([]), Some(7)),
    ] {
        let branch = at(&plan, path);
        ensure!(
            branch["fate"] == fate && branch["by"] == by,
            "{path}: {branch:#}"
        );
        ensure!(
            bytes.is_none_or(|bytes: u64| branch["bytes"] == bytes),
            "{path}: {branch:#}"
        );
    }
    ensure!(
        at(&plan, "/etc/machine.conf")["to"] == "/etc/machine.conf",
        "{plan:#}"
    );
    let report = Report(plan.clone());
    let survivors: Vec<_> = report.survivors().into_keys().collect();
    ensure!(
        survivors
            == [
                "/etc/machine.conf",
                "/etc/ssh/ssh_host_key",
                "/var/log/boot",
            ],
        "{survivors:?}"
    );
    let summary = &plan["summary"];
    ensure!(
        summary["kept"]["bytes"] == 3004
            && summary["carried"] == json!({"files": 1, "directories": 0, "bytes": 7})
            && summary["total"]["bytes"].as_u64()
                == Some(
                    ["kept", "carried", "deleted"]
                        .iter()
                        .filter_map(|what| summary[what]["bytes"].as_u64())
                        .sum()
                ),
        "{summary:#}"
    );
    let text = desk.changes_nothing("plan image", 0)?.stdout;
    says(
        &text,
        &[
            "machine.conf",
            "carry",
            "to /etc/machine.conf; by 50-keep-paths",
            "ssh_host_key",
            "1.0 MiB",
            "00-default",
            "embedded",
        ],
    )?;
    ensure!(
        text.lines().all(|line| line.chars().count() <= 140),
        "{text}"
    );
    Ok(())
}

fn a_folder_has_the_plan_of_the_image_that_it_would_be() -> Checked {
    let desk = desk(&steps()?)?;
    desk.tree("folder", &steps()?)?;
    let mut of_image = plan(&desk, "image --full")?;
    let mut of_folder = plan(&desk, "folder --full")?;
    for plan in [&mut of_image, &mut of_folder] {
        plan["image"] = Value::Null;
        for policy in plan["policies"].as_array_mut().into_iter().flatten() {
            policy["time_us"] = Value::Null;
        }
    }
    ensure!(of_image == of_folder, "{of_image:#}\n{of_folder:#}");
    Ok(())
}

fn parts_are_read_however_they_are_compressed() -> Checked {
    let desk = Desk::new()?;
    let plain = archive::of(&steps()?)?;
    desk.write("plain", &plain)?;
    let name = "kernel/x86/microcode/GenuineIntel.bin";
    let mut image = unpacking::archive(&[Member::new(name, 0o100_644, &[0xa5; 3000])]);
    image.resize(image.len().next_multiple_of(512), 0);
    let packers: [(&str, &[&str]); 5] = [
        ("gzip", &["gzip", "-c"]),
        ("xz", &["xz", "--check=crc32", "-c"]),
        ("lzma", &["xz", "--format=lzma", "-c"]),
        ("zstd", &["zstd", "-q", "-c"]),
        ("bzip2", &["bzip2", "-c"]),
    ];
    for (format, command) in packers {
        program(command[0])?;
        let output = Command::new(command[0])
            .args(&command[1..])
            .arg(desk.path("plain"))
            .output()?;
        ensure!(output.status.success(), "{format}: {output:?}");
        desk.write("image", [&image[..], &output.stdout].concat())?;
        let plan = plan(&desk, "image").map_err(|stop| stop.during(format))?;
        let formats: Vec<&Value> = plan["image"]["parts"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|part| &part["format"])
            .collect();
        ensure!(formats == ["none", format], "{formats:?}");
        ensure!(
            at(&plan, "/etc/machine.conf")["fate"] == "carry",
            "{format}"
        );
        // Its folders are not in the archive, so the kernel does not unpack it.
        ensure!(*at(&plan, "/kernel") == Value::Null, "{format}");
    }
    Ok(())
}

fn a_path_is_explained_policy_by_policy() -> Checked {
    let desk = desk(&steps()?)?;
    let explain = |path: &str| -> Result<String, Stop> {
        let arguments = format!("plan image --explain {path}");
        Ok(desk.changes_nothing(&arguments, 0)?.stdout)
    };
    says(
        &explain("/etc/machine.conf")?,
        &[
            "/etc/machine.conf: a file, 7 B",
            "is bound read-only at /etc/machine.conf of the new root, by 50-keep-paths",
            "00-default",
            "/etc               descend",
            "/etc/machine.conf  carry to /etc/machine.conf",
        ],
    )?;
    says(
        &explain("/usr/lib/large")?,
        &["is deleted", "/usr/lib/large  not asked"],
    )?;
    says(&explain("/lib/large")?, &["that is where /lib/large leads"])?;
    let value = plan(&desk, "image --explain /etc/ssh/sshd_config")?;
    let keeper = &value["policies"][1];
    ensure!(
        value["fate"] == "delete"
            && keeper["policy"] == "50-keep-paths"
            && keeper["steps"][1]["decision"] == "descend"
            && keeper["steps"][2]["decision"] == "delete",
        "{value:#}"
    );
    desk.fails(
        "plan image --explain /etc/ssh/none/at/all",
        &["/etc/ssh/none/at/all is not in the image; what there is of it is /etc/ssh"],
    )
}

fn directional_characters_are_escaped_for_people_and_not_in_json() -> Checked {
    let desk = Desk::new()?;
    let tree = Vec::new()
        .file("/\u{202e}png.exe", "x")
        .file("/\u{200b}hidden", "x");
    desk.write("in.img", archive::of(&tree)?)?;
    let text = desk.succeeds("plan in.img")?;
    let hidden = |text: &str| text.contains(['\u{202e}', '\u{200b}']);
    ensure!(!hidden(&text), "{text:?}");
    says(&text, &[r"\xe2\x80\xaepng.exe", r"\xe2\x80\x8bhidden"])?;
    let json = desk.succeeds("plan in.img --full --format json")?;
    ensure!(json.contains("\u{202e}png.exe"), "{json}");
    // Messages of errors, too.
    let ran = desk.run("plan no\u{202e}where.img")?;
    ensure!(!hidden(&ran.stderr), "{:?}", ran.stderr);
    says(&ran.stderr, &[r"no\xe2\x80\xaewhere.img"])
}

fn policies_beside_the_image_join_those_in_it() -> Checked {
    let desk = desk(&steps()?)?;
    let more = Vec::new()
        .file("/60-more.wasm", policy("keep-paths")?)
        .file(
            "/60-more.json",
            r#"{"settings": {"keep": ["/usr/lib/large"]}}"#,
        )
        // Replaces the settings of the image's.
        .file(
            "/50-keep-paths.json",
            r#"{"settings": {"keep": ["/init"]}}"#,
        );
    desk.tree("more", &more)?;
    let plan = plan(&desk, "image --policies more")?;
    let survivors = Report(plan).survivors();
    let survivors: Vec<_> = survivors.keys().map(String::as_str).collect();
    ensure!(survivors == ["/init", "/usr/lib/large"], "{survivors:?}");
    desk.fails(
        "plan image --policies nowhere",
        &["cannot read the folder of policies nowhere"],
    )
}

fn extensions_are_judged_for_the_machine_of_the_image() -> Checked {
    let list = "layers:\n  - image: 000.a.sqsh\n    metadata: {name: a, version: '1', compatibility: {talos: {version: '>= v1.8.0'}}}\n";
    let desk = desk(&steps()?.file("/extensions.yaml", list))?;
    let ran = desk.changes_nothing("plan image --format json", 3)?;
    let report = Report(json(&ran.stdout)?);
    let (verdict, reasons) = report.extensions()["000.a.sqsh"].clone();
    ensure!(verdict == "incompatible", "{verdict}");
    says(&reasons, &["00-default", ">= v1.8.0", "1.7.0"])?;
    let plan = plan(&desk, "image --target-version v1.8.0")?;
    let report = Report(plan);
    ensure!(
        report.extensions()["000.a.sqsh"].0 == "compatible",
        "{:#}",
        report.0
    );
    // Carried by the embedded default policy.
    ensure!(
        report.carried_to("/extensions.yaml").as_deref() == Some("/etc/extensions.yaml"),
        "{:#}",
        report.0
    );
    // As Talos' imager writes it of its own layer, and as others say nothing.
    for empty in ["{version: ''}", "{version: null}", "{}", "null"] {
        let list = format!(
            "layers:\n  - image: modules.dep.sqsh\n    metadata: {{name: modules.dep, version: 6.12.6-talos, compatibility: {{talos: {empty}}}}}\n"
        );
        desk.write(
            "image",
            archive::of(&steps()?.file("/extensions.yaml", list.as_str()))?,
        )?;
        let ran = desk.changes_nothing("plan image --format json", 0)?;
        let report = Report(json(&ran.stdout)?);
        let found = report.extensions()["modules.dep.sqsh"].0.clone();
        ensure!(found == "compatible", "{empty}: {found}");
    }
    Ok(())
}

/// An image with an extension, which does not say which operating system it boots.
pub fn nobodys() -> Result<Vec<Step>, Stop> {
    let list = "layers:\n  - image: a.sqsh\n    metadata: {name: a, version: '1', compatibility: {talos: {version: '>= 1.6.0'}}}\n";
    let mut steps = steps()?;
    steps.retain(|step| step.path != b"/etc/os-release");
    Ok(steps.file("/extensions.yaml", list))
}

fn extensions_of_an_unknown_system_are_planned_and_unknown() -> Checked {
    let desk = desk(&nobodys()?)?;
    let plan = json(&desk.changes_nothing("plan image --format json", 4)?.stdout)?;
    ensure!(
        plan["extensions"][0]["name"] == "a" && plan["extensions"][0]["verdict"].is_null(),
        "{plan:#}"
    );
    says(
        &plan["unknown"].to_string(),
        &[
            "does not say which operating system",
            "--os-release FILE",
            "--target-version",
        ],
    )?;
    // All that does not depend on it is there.
    ensure!(
        at(&plan, "/etc/machine.conf")["fate"] == "carry",
        "{plan:#}"
    );
    let text = desk.changes_nothing("plan image", 4)?.stdout;
    let line = text.lines().nth(1).unwrap_or_default();
    says(line, &["NOT KNOWN: whether the extensions are compatible"])?;
    says(&text, &["not asked"])?;
    desk.changes_nothing("plan image --target-version 1.7.0", 0)?;
    // A no is a no, whatever else is not known.
    desk.changes_nothing("plan image --target-version 1.5.0", 3)?;
    let bad = nobodys()?.file(format!("{POLICIES}/60-bad.wasm"), "no policy");
    desk.write("image", archive::of(&bad)?)?;
    desk.changes_nothing("plan image", 3)?;
    Ok(())
}

/// What many directories have of one file that is kept and one that is not.
fn many() -> Result<Vec<Step>, Stop> {
    let mut steps = steps()?;
    for number in 0..80 {
        steps = steps
            .file(format!("/var/log/boot-{number:02}/keep"), "1")
            .file(format!("/var/log/boot-{number:02}/big"), "0123456789");
    }
    let settings = r#"{"settings": {"keep": ["/var/log/*/keep"]}}"#;
    Ok(steps
        .file(format!("{POLICIES}/60-more.json"), settings)
        .file(format!("{POLICIES}/60-more.wasm"), policy("keep-paths")?))
}

fn a_plan_lists_every_path_with_its_disposition() -> Checked {
    let desk = desk(&many()?)?;
    let list = desk.succeeds("plan image --list")?;
    for line in [
        "part\t/",
        "part\t/var/log/boot-79",
        "keep\t/var/log/boot-79/keep",
        "delete\t/var/log/boot-79/big",
        "carry\t/etc/machine.conf",
        "delete\t/usr/lib/large",
    ] {
        ensure!(list.lines().any(|it| it == line), "no {line:?} in\n{list}");
    }
    let plan = plan(&desk, "image --full")?;
    let entries = plan["summary"]["total"]["files"].as_u64().unwrap_or(0)
        + plan["summary"]["total"]["directories"]
            .as_u64()
            .unwrap_or(0);
    ensure!(list.lines().count() as u64 == entries, "{entries}\n{list}");
    desk.tree("odd", &Vec::new().file("/odd\n\u{202e}\\name", ""))?;
    let list = desk.succeeds("plan odd --list")?;
    says(&list, &["delete\t/odd\\x0a\\xe2\\x80\\xae\\\\name\n"])?;
    for other in ["--full", "--depth 2", "--format json", "--explain /etc"] {
        desk.changes_nothing(&format!("plan image --list {other}"), 2)?;
    }
    Ok(())
}

fn a_full_plan_leaves_nothing_out_and_counts_what_stays() -> Checked {
    let long = "n".repeat(250);
    let desk = desk(&many()?.file(format!("/usr/share/{long}"), ""))?;
    let short = desk.succeeds("plan image")?;
    says(&short, &["21 more", "part", "stays: 21 B in 21 files"])?;
    let full = desk.succeeds("plan image --full")?;
    says(&full, &["boot-79/", &long])?;
    for word in [" more ", "…"] {
        ensure!(!full.contains(word), "{full}");
    }
    Ok(())
}

fn plans_and_differences_are_coloured_where_that_is_asked_for() -> Checked {
    let desk = desk(&steps()?)?;
    desk.write("other", archive::of(&steps()?.file("/more", ""))?)?;
    for (arguments, status) in [("plan image", 0), ("diff image other", 3)] {
        let plain = desk.changes_nothing(arguments, status)?.stdout;
        let coloured = format!("{arguments} --color always");
        let coloured = desk.changes_nothing(&coloured, status)?.stdout;
        ensure!(coloured.contains("\x1b[32m"), "{coloured:?}");
        let stripped = without_colours(&coloured);
        ensure!(stripped == plain, "{stripped}\nis not\n{plain}");
    }
    Ok(())
}

fn a_path_that_only_a_boot_makes_is_explained() -> Checked {
    let desk = desk(&steps()?.symlink("/var/boot", "log/boot"))?;
    desk.fails(
        "plan image --explain /var/log/boot/later",
        &["is not in the image", "--as file,size=70000"],
    )?;
    let later = "plan image --explain /var/boot/later/on --as file,size=70000";
    let text = desk.succeeds(later)?;
    says(
        &text,
        &[
            "/var/log/boot/later/on: a file, 68.4 KiB",
            "it is not in the image",
            "survives, by 50-keep-paths",
        ],
    )?;
    let explained = json(&desk.succeeds(&format!("{later} --format json"))?)?;
    ensure!(
        explained["supposed"] == true && explained["fate"] == "keep",
        "{explained:#}"
    );
    desk.fails(
        "plan image --explain /etc/machine.conf --as file",
        &["is in the image, a file", "leave --as out"],
    )?;
    for wrong in [
        "--as file",
        "--explain /x --as dir",
        "--explain /x --as file,7",
    ] {
        desk.changes_nothing(&format!("plan image {wrong}"), 2)?;
    }
    Ok(())
}

fn the_image_of_the_running_kernel_is_planned_where_none_is_named() -> Checked {
    let desk = Desk::new()?;
    let named = desk.run("plan")?;
    let found = desk.run("doctor --format json")?;
    match json(&found.stdout)?["image"].as_str() {
        Some(image) => ensure!(named.stdout.starts_with(image), "{}", named.said()),
        None => {
            ensure!(named.status == Some(1), "{}", named.said());
            says(
                &named.stderr,
                &[
                    "the initramfs image",
                    "is not found under any name",
                    "name the image",
                ],
            )?;
        }
    }
    Ok(())
}

fn a_plan_is_written_to_a_file_whole_or_not_at_all() -> Checked {
    let desk = desk(&steps()?)?;
    desk.succeeds("plan image --format json --output plan.json")?;
    let written = json(&String::from_utf8(desk.read("plan.json")?)?)?;
    ensure!(written["schema"] == 1, "{written:#}");
    desk.fails("plan image --output nowhere/plan", &["nowhere"])
}

fn a_plan_is_a_page_too() -> Checked {
    let desk = desk(&steps()?)?;
    desk.succeeds("plan image --format html --output page.html")?;
    let page = String::from_utf8(desk.read("page.html")?)?;
    says(
        &page,
        &[
            "<!DOCTYPE html>",
            "Content-Security-Policy",
            "/etc/machine.conf",
            "sshd_config",
        ],
    )?;
    desk.fails(
        "plan image --format html --explain /etc",
        &["--explain is told as text or as JSON"],
    )
}

fn policies_that_the_images_program_cannot_run_have_failed() -> Checked {
    let desk = Desk::new()?;
    let keep = |ending: &str| format!("{POLICIES}/50-keep-paths.{ending}");
    let refuse = r#"{"settings": {"keep": ["/var/log/boot/**"]}, "on_failure": "refuse"}"#;
    for (other, sidecar, refused) in [
        (true, SETTINGS, false),
        (true, refuse, true),
        (false, refuse, false),
    ] {
        let engine = match other {
            true => OTHER_ENGINE.to_owned(),
            false => engine()?,
        };
        let program = boot_program(&engine, "this build of switch_root has no compiler");
        let image = steps()?
            .executable("/sbin/switch_root", program)
            .file(keep("cwasm"), native("keep-paths")?)
            .file(keep("json"), sidecar);
        desk.write("image", archive::of(&image)?)?;
        let status = if other { 3 } else { 0 };
        let ran = desk.changes_nothing("plan image --format json", status)?;
        let plan = json(&ran.stdout)?;
        ensure!(plan["refused"].is_string() == refused, "{plan:#}");
        let action = if other && !refused { "skip" } else { "delete" };
        ensure!(plan["deletion"]["action"] == action, "{plan:#}");
        let text = desk.changes_nothing("plan image", status)?.stdout;
        if other {
            says(&text, &["no usable ahead-of-time form"])?;
        }
    }
    Ok(())
}

fn that_systemd_deletes_is_noted() -> Checked {
    let image = steps()?
        .into_iter()
        .filter(|step| step.path != b"/init")
        .collect::<Vec<_>>()
        .symlink("/init", "usr/lib/systemd/systemd")
        .executable("/usr/lib/systemd/systemd", "systemd")
        .file(
            "/usr/lib/systemd/system/switch-root-preserve.service",
            "[Unit]\n",
        )
        .executable(PROGRAM, boot_program(&engine()?, ""));
    let by_systemd = desk(&image)?;
    let words = "systemd switches in this image, and deletes all of it by itself";
    let plan = plan(&by_systemd, "image")?;
    says(&plan["notes"].to_string(), &[words])?;
    let text = by_systemd.changes_nothing("plan image", 0)?.stdout;
    says(&text, &["note: systemd switches in this image"])?;
    let text = desk(&steps()?)?.changes_nothing("plan image", 0)?.stdout;
    ensure!(!text.contains("note: "), "{text}");
    Ok(())
}

fn a_target_version_that_is_none_is_named_by_its_flag() -> Checked {
    let desk = desk(&steps()?)?;
    let ran = desk.changes_nothing("plan image --target-version abc", 0)?;
    says(
        &ran.stderr,
        &["warning: --target-version abc is not a version"],
    )?;
    for version in ["1.2.3", "v1.9.0", "12"] {
        let ran = desk.changes_nothing(&format!("plan image --target-version {version}"), 0)?;
        ensure!(ran.stderr.is_empty(), "{}", ran.said());
    }
    Ok(())
}

fn a_sidecar_that_is_masked_is_noted() -> Checked {
    let vendor = "/usr/lib/switch-root/policies.d/50-keep-paths.json";
    let own = format!("{POLICIES}/50-keep-paths.json");
    let without = || -> Result<Vec<Step>, Stop> {
        let wasm = format!("{POLICIES}/50-keep-paths.wasm");
        Ok(Vec::new()
            .file(wasm, policy("keep-paths")?)
            .file(vendor, SETTINGS))
    };
    for (masks, steps) in [
        (false, without()?),
        (true, without()?.file(own.as_str(), "")),
        (true, without()?.symlink(own.as_str(), "/dev/null")),
    ] {
        let desk = desk(&steps)?;
        let notes = plan(&desk, "image")?["notes"].to_string();
        let words = format!("policy 50-keep-paths has the default settings and limits: {own}");
        ensure!(notes.contains(&words) == masks, "{notes}");
        let text = desk.succeeds("plan image")?;
        ensure!(text.contains(&words) == masks, "{text}");
    }
    Ok(())
}

fn a_dangling_folder_of_policies_is_a_policy_that_failed() -> Checked {
    let steps = Vec::new()
        .executable("/init", "")
        .symlink(POLICIES, "/srv/nowhere");
    let desk = desk(&steps)?;
    let ran = desk.run("plan image --format json")?;
    ensure!(ran.status == Some(3), "{}", ran.said());
    let plan = json(&ran.stdout)?;
    says(
        &plan["deletion"].to_string(),
        &[
            POLICIES,
            "cannot be read as a policy folder: it is a dangling symbolic link",
        ],
    )
}
