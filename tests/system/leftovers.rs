//! What others than root find of the initramfs, at any time: what policies keep, and the
//! directories above it. Root finds all that is left.

use std::collections::BTreeSet;

use switch_root_tests::probe::{LEFT, OURS, PRESERVED};
use switch_root_tests::scene::{INIT, NEW_ROOT, SUBJECT, Scene};
use switch_root_tests::steps::{Make, Steps};

use crate::check::{Booted, boots, ensure, said, says};
use crate::odd_trees::{keeping, odd_names};
use crate::tools::{Checked, Policies, Stop, boot, cases, need_privileges};

cases![
    while_the_deletion_runs_others_see_kept_paths_alone,
    where_a_policy_failed_others_see_kept_paths_alone,
    where_all_is_kept_others_see_what_policies_keep,
    what_cannot_be_deleted_is_for_root_alone,
    what_the_host_keeps_is_for_root_alone,
    files_of_every_kind_are_shown_as_they_are,
    directories_above_have_their_modes_and_owners,
    what_is_shown_cannot_be_written_to,
    many_paths_are_shown_when_the_rest_is_deleted,
    many_paths_are_for_root_where_nothing_is_deleted,
    many_paths_that_fill_their_directory_are_shown_at_any_time,
    directories_that_somebody_made_before_become_those_of_root,
    an_earlier_switch_is_moved_aside_and_reported,
    where_nothing_is_kept_nothing_is_shown,
];

/// Files that take a while to delete.
const MANY: Make = Make::Many {
    directories: 100,
    files: 100,
    bytes: 10,
};

/// Checks that nobody finds exactly these paths below /run/switch-root/preserved, at the
/// start and in the end, and nothing of what is for root.
fn others_find(booted: &Booted, expected: &[&str]) -> Checked {
    for found in [&booted.seen.found_at_start, &booted.seen.found] {
        let found = found.as_ref().ok_or("nobody was not asked")?;
        let mut wanted: BTreeSet<String> = ["preserved", "private", "report.json"]
            .map(|name| format!("{OURS}/{name}"))
            .into();
        wanted.extend(expected.iter().map(|path| format!("{PRESERVED}{path}")));
        // The report is being written.
        let found: BTreeSet<String> = found
            .iter()
            .filter(|path| !path.ends_with(".report.json.new"))
            .cloned()
            .collect();
        ensure!(
            found == wanted,
            "found {found:?}\nnot {wanted:?}\n{}",
            said(&booted.outcome)
        );
    }
    Ok(())
}

/// Checks that root finds all that is left of the initramfs, as it was.
fn root_finds_all(booted: &Booted) -> Checked {
    let left = booted.seen.left.as_ref().ok_or("nothing for root")?;
    let difference = switch_root_tests::snapshot::difference(&booted.outcome.after.initramfs, left);
    ensure!(difference.is_empty(), "{}", difference.join("\n"));
    Ok(())
}

fn while_the_deletion_runs_others_see_kept_paths_alone() -> Checked {
    need_privileges()?;
    for strategy in ["move", "pivot"] {
        let scene = keeping(r#""/etc/kept/**", "/etc/one""#)?
            .options(["--strategy", strategy])
            .make("/many", MANY)
            .file("/etc/kept/file", "kept")
            .file("/etc/one", "kept")
            .file("/etc/secret", "not kept")
            .look_at([format!("{PRESERVED}/etc/kept/file").as_str()]);
        let booted = boots(&scene)?;
        booted.left(&["*/etc/kept", "/etc/one"])?;
        others_find(
            &booted,
            &["/etc", "/etc/kept", "/etc/kept/file", "/etc/one"],
        )?;
        root_finds_all(&booted)?;
        booted.read_only(&format!("{PRESERVED}/etc/kept/file"), "kept")?;
    }
    Ok(())
}

fn where_a_policy_failed_others_see_kept_paths_alone() -> Checked {
    need_privileges()?;
    for strategy in ["move", "pivot"] {
        let scene = keeping(r#""/kept""#)?
            .options(["--strategy", strategy])
            .policy("60-broken", "not WebAssembly".into(), None)
            .tmpfs("/data")
            .file("/data/file", "on another mount")
            .file("/kept/file", "kept")
            .file("/secret", "not kept")
            .look_at([format!("{LEFT}/data/file").as_str()]);
        let booted = boots(&scene)?;
        booted.everything_left()?;
        others_find(&booted, &["/kept", "/kept/file"])?;
        let all = booted.seen.left.as_ref().ok_or("nothing for root")?;
        ensure!(all.contains_key("/secret"), "{:?}", all.keys());
        let data = &booted.seen.files[&format!("{LEFT}/data/file")];
        ensure!(
            data.content.as_deref() == Some("on another mount"),
            "{data:?}"
        );
        says(
            &booted.outcome.stderr,
            &["nothing of the initramfs is deleted", LEFT],
        )?;
    }
    Ok(())
}

fn where_all_is_kept_others_see_what_policies_keep() -> Checked {
    need_privileges()?;
    let scene = keeping(r#""/kept""#)?
        .options(["--keep-initramfs"])
        .file("/kept", "kept")
        .file("/secret", "not kept");
    let booted = boots(&scene)?;
    booted.everything_left()?;
    others_find(&booted, &["/kept"])?;
    root_finds_all(&booted)
}

fn what_cannot_be_deleted_is_for_root_alone() -> Checked {
    need_privileges()?;
    let scene = keeping(r#""/kept""#)?
        .file("/kept", "kept")
        .file("/stays", "a secret")
        .at_last("/stays", Make::Immutable);
    let booted = boots(&scene)?;
    booted.left(&["/kept", "/stays"])?;
    others_find(&booted, &["/kept"])?;
    root_finds_all(&booted)
}

fn what_the_host_keeps_is_for_root_alone() -> Checked {
    need_privileges()?;
    let scene = keeping(r#""/kept""#)?
        .file("/kept", "kept")
        .file("/layers/one/key", "used by the new root")
        .bind("/layers/one", "/sysroot/opt");
    let booted = boots(&scene)?;
    booted.left(&["/kept", "*/layers/one"])?;
    others_find(&booted, &["/kept"])?;
    root_finds_all(&booted)
}

fn files_of_every_kind_are_shown_as_they_are() -> Checked {
    need_privileges()?;
    let device = |block, major, minor| Make::Device {
        block,
        major,
        minor,
    };
    let paths = [
        "block",
        "character",
        "fifo",
        "socket",
        "link",
        "none",
        "folder",
    ];
    let patterns: Vec<String> = paths.iter().map(|path| format!("\"/a/{path}\"")).collect();
    let scene = keeping(&patterns.join(", "))?
        .make("/a/block", device(true, 7, 0))
        .make("/a/character", device(false, 1, 3))
        .make("/a/fifo", Make::Fifo)
        .make("/a/socket", Make::Socket)
        .symlink("/a/link", "/sysroot/nowhere")
        .make("/a/link", Make::Owner { user: 3, group: 4 })
        .make(
            "/a/none",
            Make::File {
                mode: 0,
                content: "x".into(),
            },
        )
        .file("/a/other", "not kept");
    let scene = odd_names(scene.make("/a/folder", Make::Directory { mode: 0o1777 }));
    let booted = boots(&scene)?;
    let paths = paths.map(|path| format!("/a/{path}"));
    let expected: Vec<&str> = paths.iter().map(String::as_str).collect();
    booted.left(&expected)?;
    ensure!(
        booted.seen.preserved.as_ref() == Some(&booted.outcome.after.initramfs),
        "{:?}",
        booted.seen.preserved
    );
    root_finds_all(&booted)
}

fn directories_above_have_their_modes_and_owners() -> Checked {
    need_privileges()?;
    let owner = Make::Owner {
        user: 1000,
        group: 2000,
    };
    let scene = keeping(r#""/closed/inner/kept", "/open/kept""#)?
        .file("/closed/inner/kept", "kept")
        .file("/open/kept", "kept")
        .make("/closed", Make::Directory { mode: 0o700 })
        .make("/open", owner)
        .make("/open", Make::Directory { mode: 0o2751 });
    let booted = boots(&scene)?;
    ensure!(
        booted.seen.preserved.as_ref() == Some(&booted.outcome.after.initramfs),
        "{:?}",
        booted.seen.preserved
    );
    // Nobody may list the other one, as it was.
    others_find(&booted, &["/closed", "/open"])
}

fn what_is_shown_cannot_be_written_to() -> Checked {
    let places =
        ["", "/folder", "/folder/kept", "/folder/below"].map(|path| format!("{PRESERVED}{path}"));
    let scene = keeping(r#""/folder/kept", "/folder/below""#)?
        .file("/folder/kept", "kept")
        .file("/folder/below/file", "kept")
        .look_at(places.iter().map(String::as_str));
    let booted = boots(&scene)?;
    for place in &places {
        let error = booted.seen.files[place].write_error.as_deref();
        ensure!(error == Some("EROFS"), "{place}: {error:?}");
    }
    for place in [PRESERVED, &places[2], LEFT] {
        let line = booted
            .seen
            .mounts
            .iter()
            .find(|line| line.split(' ').nth(4) == Some(place));
        let options = line.and_then(|line| line.split(' ').nth(5));
        says(options.unwrap_or_default(), &["ro", "nosuid", "nodev"])?;
    }
    Ok(())
}

/// A boot in which more paths are kept than are bound one by one.
fn keeping_many() -> Result<(Scene, Vec<String>), Stop> {
    let paths: Vec<String> = (0..300)
        .map(|number| format!("/etc/file-{number}"))
        .collect();
    let mut scene = keeping(r#""/etc/file-*""#)?.file("/etc/secret", "not kept");
    for path in &paths {
        scene = scene.file(path, "kept");
    }
    Ok((scene.make("/many", MANY), paths))
}

fn many_paths_are_shown_when_the_rest_is_deleted() -> Checked {
    need_privileges()?;
    let (scene, paths) = keeping_many()?;
    let booted = boots(&scene)?;
    let expected: Vec<&str> = paths.iter().map(String::as_str).collect();
    booted.left(&expected)?;
    let found = booted.seen.found.clone().unwrap_or_default();
    for path in &paths {
        ensure!(
            found.contains(&format!("{PRESERVED}{path}")),
            "{path}: {found:?}"
        );
    }
    for found in [
        booted.seen.found_at_start.clone().unwrap_or_default(),
        found,
    ] {
        let secret = found
            .iter()
            .find(|path| path.contains("/many") || path.contains("secret"));
        ensure!(secret.is_none(), "{secret:?}");
    }
    ensure!(
        booted.seen.preserved == booted.seen.left,
        "{:?}",
        booted.seen.preserved
    );
    says(
        &booted.report.warnings(),
        &["policies keep 300 paths", PRESERVED, LEFT],
    )
}

fn many_paths_are_for_root_where_nothing_is_deleted() -> Checked {
    need_privileges()?;
    let (scene, _) = keeping_many()?;
    let booted = boots(&scene.options(["--keep-initramfs"]))?;
    others_find(&booted, &[])?;
    root_finds_all(&booted)
}

fn many_paths_that_fill_their_directory_are_shown_at_any_time() -> Checked {
    need_privileges()?;
    let kept = || {
        let number = 0..300;
        number.map(|number| format!("/etc/kept/{}/file-{number}", number % 2))
    };
    let mut scene = keeping(r#""/etc/kept/*/file-*", "/etc/one""#)?
        .file("/etc/one", "kept")
        .file("/etc/secret", "not kept");
    for path in kept() {
        scene = scene.file(path, "kept");
    }
    let scene = scene.make("/many", MANY);
    let directories = [
        "/etc",
        "/etc/one",
        "/etc/kept",
        "/etc/kept/0",
        "/etc/kept/1",
    ];
    let expected: Vec<String> = directories
        .map(String::from)
        .into_iter()
        .chain(kept())
        .collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let booted = boots(&scene)?;
    booted.left(&["*/etc/kept", "/etc/one"])?;
    others_find(&booted, &expected)?;
    let below = |line: &&String| line.contains(&format!(" {PRESERVED}/"));
    let mounts = booted.seen.mounts.iter().filter(below).count();
    ensure!(mounts == 2, "{:?}", booted.seen.mounts);
    let whole = boots(&scene.options(["--keep-initramfs"]))?;
    whole.everything_left()?;
    others_find(&whole, &expected)
}

fn directories_that_somebody_made_before_become_those_of_root() -> Checked {
    need_privileges()?;
    let nobody = || Make::Owner {
        user: 65534,
        group: 65534,
    };
    let private = format!("{OURS}/private");
    for strategy in ["move", "pivot"] {
        let scene = boot()?
            .options(["--keep-initramfs", "--strategy", strategy])
            .file("/secret", "x")
            .make(OURS, Make::Directory { mode: 0o777 })
            .make(OURS, nobody())
            .make(&private, Make::Directory { mode: 0o777 })
            .make(&private, nobody())
            .look_at([OURS, private.as_str()]);
        let booted = boots(&scene)?;
        others_find(&booted, &[])?;
        root_finds_all(&booted)?;
        for (path, mode) in [(OURS, 0o755), (private.as_str(), 0o700)] {
            let found = booted.seen.files[path].mode;
            ensure!(found == Some(mode), "{strategy}: {path}: {found:?}");
        }
    }
    Ok(())
}

fn an_earlier_switch_is_moved_aside_and_reported() -> Checked {
    for strategy in ["move", "pivot"] {
        let earlier = [PRESERVED, LEFT].map(|place| format!("{place}.1/earlier"));
        let scene = keeping(r#""/kept""#)?
            .options(["--strategy", strategy])
            .file("/kept", "kept")
            .tmpfs(PRESERVED)
            .file(format!("{PRESERVED}/earlier"), "of the first switch")
            .tmpfs(LEFT)
            .file(format!("{LEFT}/earlier"), "of the first switch")
            .look_at(earlier.iter().map(String::as_str));
        let booted = boots(&scene)?;
        booted.left(&["/kept"])?;
        for place in &earlier {
            let seen = &booted.seen.files[place].content;
            ensure!(
                seen.as_deref() == Some("of the first switch"),
                "{strategy}: {place}: {seen:?}\n{}",
                said(&booted.outcome)
            );
        }
        let preserved = booted.seen.preserved.clone().unwrap_or_default();
        ensure!(preserved.keys().eq(["/kept"]), "{preserved:?}");
        says(
            &booted.report.warnings(),
            &["an earlier switch", "preserved.1"],
        )?;
    }
    Ok(())
}

fn where_nothing_is_kept_nothing_is_shown() -> Checked {
    need_privileges()?;
    let scene = boot()?.file("/secret", "x").make("/many", MANY);
    let booted = boots(&scene.command([SUBJECT, NEW_ROOT, INIT]))?;
    booted.left(&[])?;
    others_find(&booted, &[])?;
    root_finds_all(&booted)
}
