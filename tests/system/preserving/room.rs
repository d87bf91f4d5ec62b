//! What there is room for, and what there is to be kept where nothing is to be deleted.

use switch_root_tests::outcome::End;
use switch_root_tests::probe::PRESERVED;
use switch_root_tests::report::REPORT;
use switch_root_tests::scene::{NEW_ROOT, Root, SUBJECT, Scene};
use switch_root_tests::steps::{Content, Make, Steps};

use super::{PRESERVE, alone, copied_exactly, copy_of, delegating, keeping, preserves};
use crate::check::{ensure, said, says};
use crate::tools::{Checked, Policies, Stop, cases, play, policy};

cases![
    what_does_not_fit_is_named_and_the_rest_is_copied,
    files_beyond_those_that_run_may_hold_are_named,
    a_second_run_needs_no_room_for_both,
    where_a_policy_failed_everything_is_copied,
    where_the_initramfs_is_to_be_kept_everything_is_copied,
    a_root_on_disk_is_not_copied_whole,
    where_a_policy_failed_and_everything_does_not_fit_that_is_told,
];

/// What root alone may enter.
const PRIVATE: &str = "/run/switch-root/private";

/// With a /run of its own size.
pub fn with_run(mut scene: Scene, options: &str) -> Scene {
    scene.pseudo.retain(|place| place != "/run");
    let make = Make::Mount {
        file_system: "tmpfs".into(),
        options: format!("mode=0755,{options}"),
    };
    scene.make("/run", make)
}

fn what_does_not_fit_is_named_and_the_rest_is_copied() -> Checked {
    let filled = |size| Content::Filled { byte: 1, size };
    let small = Some(r#"{"settings": {"keep": ["/folder/small"]}}"#);
    let scene = keeping(r#""/a", "/b", "/c", "/folder""#)?
        .policy("51-small", policy("keep-paths")?, small)
        .file("/a", filled(300 << 10))
        .file("/b", filled(900 << 10))
        .file("/c", filled(300 << 10))
        .file("/folder/large", filled(2 << 20))
        .file("/folder/small", "small");
    let booted = preserves(&with_run(scene, "size=1m"))?;
    copied_exactly(&booted, &["/a", "/c", "/folder/small"])?;
    let missing = &booted.report.0["copied"]["missing"];
    ensure!(
        missing[0]["path"] == "/b" && missing[1]["path"] == "/folder",
        "{missing:#}"
    );
    says(
        &missing[0]["error"].to_string(),
        &["takes 900.0 KiB", "there is room for"],
    )?;
    for path in ["/b", "/folder"] {
        ensure!(!booted.report.survivors().contains_key(path), "{path}");
        let sentence = format!("warning: {path} does not survive");
        says(&booted.outcome.stderr, &[&sentence])?;
    }
    Ok(())
}

fn files_beyond_those_that_run_may_hold_are_named() -> Checked {
    let many = |files| Make::Many {
        directories: 1,
        files,
        bytes: 0,
    };
    let scene = keeping(r#""/few", "/many""#)?
        .make("/few", many(20))
        .make("/many", many(200));
    let booted = preserves(&with_run(scene, "nr_inodes=100"))?;
    copied_exactly(&booted, &["*/few"])?;
    says(
        &booted.report.0["copied"]["missing"].to_string(),
        &["/many", "202 files and directories"],
    )
}

fn a_second_run_needs_no_room_for_both() -> Checked {
    let filled = Content::Filled {
        byte: 1,
        size: 700 << 10,
    };
    let scene = keeping(r#""/kept""#)?.file("/kept/file", filled);
    let scene = delegating(with_run(scene, "size=1m"), &[PRESERVE, PRESERVE])?;
    copied_exactly(&preserves(&scene)?, &["*/kept"])
}

/// An initramfs with a policy that fails beside one that keeps something.
pub fn with_a_broken_policy() -> Result<Scene, Stop> {
    Ok(keeping(r#""/kept""#)?
        .policy("60-broken", "not WebAssembly".into(), None)
        .file("/kept/file", "kept")
        .file("/other", "also"))
}

fn where_a_policy_failed_everything_is_copied() -> Checked {
    let scene = with_a_broken_policy()?
        .tmpfs("/data")
        .file("/data/file", "x");
    let booted = preserves(&scene)?;
    let before = &booted.outcome.before.initramfs;
    let everything: Vec<&str> = before
        .iter()
        .filter(|(_, entry)| entry.kind != "mount")
        .map(|(path, _)| path.as_str())
        .collect();
    // For root alone, but for what a policy keeps.
    copied_exactly(&booted, &["*/kept"])?;
    let left = booted.seen.left.clone().unwrap_or_default();
    let copied: Vec<&str> = left.keys().map(String::as_str).collect();
    ensure!(copied == everything, "{copied:?}, not {everything:?}");
    if let Some(found) = &booted.seen.found {
        let kept = |path: &&String| path.starts_with(&format!("{PRESERVED}/kept"));
        let rest: Vec<&String> = found.iter().filter(|path| !kept(path)).collect();
        ensure!(
            rest == [PRESERVED, PRIVATE, REPORT],
            "nobody finds {rest:?}"
        );
    }
    says(
        &booted.report.survivor_note("/"),
        &["policy 60-broken failed"],
    )?;
    let by = &booted.report.survivors()["/"];
    ensure!(by.contains("host"), "{by:?}");
    says(
        &booted.report.warnings(),
        &["what is mounted on /data is not copied"],
    )
}

fn where_the_initramfs_is_to_be_kept_everything_is_copied() -> Checked {
    let scene = keeping(r#""/kept""#)?
        .file("/kept/file", "x")
        .file("/other", "also");
    let by_option = delegating(
        scene.clone(),
        &[&[SUBJECT, "--preserve", "--keep-initramfs", NEW_ROOT]],
    )?;
    let by_parameter = scene.kernel_command_line("switch_root.keep_initramfs");
    for scene in [by_option, by_parameter] {
        let booted = preserves(&scene)?;
        copied_exactly(&booted, &["*/kept"])?;
        let copies = booted.seen.left.clone().unwrap_or_default();
        for path in ["/kept/file", "/other", SUBJECT] {
            ensure!(copies.contains_key(path), "{path}: {:?}", copies.keys());
        }
        says(
            &booted.report.survivor_note("/"),
            &["the initramfs is to be kept"],
        )?;
    }
    Ok(())
}

fn a_root_on_disk_is_not_copied_whole() -> Checked {
    let mut scene = alone(keeping(r#""/kept""#)?)
        .options(["--keep-initramfs"])
        .file("/kept/file", "x")
        .file("/other", "data");
    scene.root = Root::Disk;
    let outcome = play(&scene)?;
    ensure!(outcome.end == End::Exited(0), "{}", said(&outcome));
    let there = |path: &str| outcome.after.everything.contains_key(&copy_of(path));
    ensure!(
        there("/kept/file") && !there("/other"),
        "{}",
        said(&outcome)
    );
    Ok(())
}

fn where_a_policy_failed_and_everything_does_not_fit_that_is_told() -> Checked {
    let booted = preserves(&with_run(with_a_broken_policy()?, "size=512k"))?;
    copied_exactly(&booted, &["*/kept"])?;
    let survivors = booted.report.survivors();
    ensure!(survivors.keys().eq(["/kept"]), "{survivors:?}");
    says(
        &booted.report.warnings(),
        &["/ does not survive: it takes", "there is room for"],
    )
}
