//! Trees that deletion must get right: odd names, odd files, great depth, mounts.

use switch_root_tests::scene::{NEW_ROOT, NewRoot, Scene};
use switch_root_tests::steps::{Make, Steps};

use crate::check::{Booted, boots, ensure, says};
use crate::tools::{Checked, Policies, Stop, boot, cases, need_privileges, policy};

cases![
    names_of_any_bytes_are_deleted,
    names_of_any_bytes_survive_and_are_reported,
    a_tree_5000_deep_is_deleted,
    a_tree_300_deep_survives_whole,
    twenty_thousand_files_are_deleted_and_counted,
    a_bind_mount_of_the_same_file_system_does_not_lead_to_what_is_kept,
    a_bind_mount_of_the_same_file_system_is_no_reason_to_keep_anything,
    a_bind_mounted_file_does_not_lead_to_what_is_kept,
    what_is_mounted_in_the_initramfs_is_not_entered,
    what_is_mounted_on_a_kept_path_is_found_there,
    mount_points_are_described_as_what_lies_below_them,
    what_is_bound_into_the_new_root_survives_by_the_hosts_word,
    what_an_overlay_new_root_is_made_of_survives,
    overlay_layers_that_a_later_mount_covers_are_kept,
    overlay_layers_that_cannot_be_located_keep_everything,
    empty_overlay_layers_are_kept_so_that_the_root_can_be_listed,
    overlay_layers_whose_mount_was_moved_keep_nothing,
    overlay_layers_with_relative_names_keep_what_they_may_mean,
    overlay_layers_of_detached_mounts_keep_what_is_seen,
    fifos_sockets_and_devices_are_deleted,
    fifos_sockets_and_devices_survive,
    a_file_that_cannot_be_deleted_is_recorded_and_the_boot_goes_on,
    a_directory_that_cannot_be_emptied_is_recorded_and_the_boot_goes_on,
    links_are_deleted_and_never_followed,
    files_and_directories_that_nobody_may_read_are_deleted,
    another_name_of_a_survivor_is_deleted_and_the_survivor_is_whole,
    large_files_are_really_freed,
    a_survivor_that_is_not_there_is_no_failure,
];

/// A boot with a policy that keeps these patterns, a list in JSON without its brackets.
pub fn keeping(patterns: &str) -> Result<Scene, Stop> {
    let sidecar = format!(r#"{{"settings": {{"keep": [{patterns}]}}}}"#);
    Ok(boot()?.policy("50-keep", policy("keep-paths")?, Some(&sidecar)))
}

/// Puts nine names into `/odd` that are easily got wrong.
pub fn odd_names(scene: Scene) -> Scene {
    let long = [b"/odd/".to_vec(), vec![b'n'; 255]].concat();
    scene
        .file(b"/odd/new\nline", "1")
        .file(b"/odd/\xff\xfe\x80", "2")
        .file(long, "3")
        .file(b"/odd/\x1b[31m", "4")
        .file(b"/odd/back\\slash", "5")
        .file(b"/odd/ ", "6")
        .file(b"/odd/-rf", "7")
        .file(b"/odd/...", "")
        .directory(b"/odd/dir\xff\nectory/\x01")
}

fn names_of_any_bytes_are_deleted() -> Checked {
    let booted = boots(&odd_names(boot()?))?;
    booted.left(&[])?;
    booted.freed(2)
}

fn names_of_any_bytes_survive_and_are_reported() -> Checked {
    let booted = boots(&odd_names(keeping(r#""/odd/*""#)?))?;
    booted.left(&["*/odd"])?;
    let survivors = booted.report.survivors();
    for path in [
        "/odd/new\\x0aline",
        "/odd/\\xff\\xfe\\x80",
        "/odd/back\\\\slash",
        "/odd/ ",
    ] {
        ensure!(
            survivors.contains_key(path),
            "{path} is not among {:?}",
            survivors.keys()
        );
    }
    ensure!(
        survivors.len() == 9,
        "{} survivors are reported",
        survivors.len()
    );
    Ok(())
}

fn a_tree_5000_deep_is_deleted() -> Checked {
    for strategy in ["move", "pivot"] {
        let scene = boot()?.options(["--strategy", strategy]);
        let booted = boots(&scene.make("/deep", Make::Nested { depth: 5000 }))?;
        booted.left(&[])?;
        booted.freed(2)?;
    }
    Ok(())
}

fn a_tree_300_deep_survives_whole() -> Checked {
    let scene = keeping(r#""/deep""#)?.make("/deep", Make::Nested { depth: 300 });
    boots(&scene)?.left(&["*/deep"])
}

fn twenty_thousand_files_are_deleted_and_counted() -> Checked {
    let many = Make::Many {
        directories: 100,
        files: 200,
        bytes: 100,
    };
    let booted = boots(&boot()?.make("/many", many))?;
    booted.left(&[])?;
    booted.freed(2)?;
    let (files, directories) = (
        booted.report.deleted("files"),
        booted.report.deleted("directories"),
    );
    // Beside them: the subject itself, and /bin and /many and the emptied mount points.
    ensure!(files == 20_001, "{files} files are reported");
    ensure!(
        (102..=107).contains(&directories),
        "{directories} directories are reported"
    );
    let freed = booted.report.deleted("freed_bytes");
    let before = booted.outcome.before.usage.bytes;
    ensure!(
        freed > before / 2 && freed <= before,
        "{freed} bytes freed of {before}"
    );
    Ok(())
}

/// `/store/kept` survives, `/store/other` does not; both are also seen at `/alias`.
fn bound() -> Result<Scene, Stop> {
    let scene = keeping(r#""/store/kept""#)?;
    let scene = scene
        .file("/store/kept/file", "kept")
        .file("/store/other", "not kept");
    Ok(scene.bind("/store", "/alias"))
}

fn a_bind_mount_of_the_same_file_system_does_not_lead_to_what_is_kept() -> Checked {
    for strategy in ["move", "pivot"] {
        let booted = boots(&bound()?.options(["--strategy", strategy]))?;
        booted.left(&["*/store/kept"])?;
    }
    Ok(())
}

fn a_bind_mount_of_the_same_file_system_is_no_reason_to_keep_anything() -> Checked {
    let scene = boot()?.file("/store/file", "x").bind("/store", "/alias");
    boots(&scene)?.left(&[])
}

fn a_bind_mounted_file_does_not_lead_to_what_is_kept() -> Checked {
    let scene = keeping(r#""/store""#)?.file("/store/file", "kept");
    let booted = boots(&scene.bind("/store/file", "/alias"))?;
    let file = booted.outcome.after.initramfs.get("/store/file");
    ensure!(
        file == booted.outcome.before.initramfs.get("/store/file"),
        "{file:?}"
    );
    Ok(())
}

fn what_is_mounted_in_the_initramfs_is_not_entered() -> Checked {
    for strategy in ["move", "pivot"] {
        // Seen from two places: the one in the new root shows what became of it.
        let scene = boot()?
            .options(["--strategy", strategy])
            .tmpfs("/data")
            .file("/data/folder/file", "x")
            .bind("/data", "/sysroot/data")
            .look_at(["/data/folder/file"]);
        let booted = boots(&scene)?;
        let seen = booted.seen.files["/data/folder/file"].content.as_deref();
        ensure!(seen == Some("x"), "{strategy}: the file holds {seen:?}");
        booted.left(&[])?;
    }
    Ok(())
}

fn what_is_mounted_on_a_kept_path_is_found_there() -> Checked {
    for strategy in ["move", "pivot"] {
        let kept = "/run/switch-root/preserved/data/folder/file";
        let scene = keeping(r#""/data""#)?
            .options(["--strategy", strategy])
            .tmpfs("/data");
        let booted = boots(&scene.file("/data/folder/file", "x").look_at([kept]))?;
        let seen = booted.seen.files[kept].content.as_deref();
        ensure!(seen == Some("x"), "{strategy}: {kept} holds {seen:?}");
    }
    Ok(())
}

fn what_is_bound_into_the_new_root_survives_by_the_hosts_word() -> Checked {
    for strategy in ["move", "pivot"] {
        let scene = boot()?
            .options(["--strategy", strategy])
            .file("/lib/modules/a.ko", "module")
            .bind("/lib/modules", "/sysroot/lib/modules")
            .look_at(["/lib/modules/a.ko"]);
        let booted = boots(&scene)?;
        booted.left(&["*/lib/modules"])?;
        let seen = booted.seen.files["/lib/modules/a.ko"].content.as_deref();
        ensure!(
            seen == Some("module"),
            "{strategy}: the file holds {seen:?}"
        );
        let survivors = booted.report.survivors();
        let by = survivors.get("/lib/modules");
        ensure!(by.is_some_and(|by| by.contains("host")), "{survivors:?}");
    }
    Ok(())
}

/// The policy repeats what it is asked of a file with this name, and keeps nothing.
fn mount_points_are_described_as_what_lies_below_them() -> Checked {
    let mode = |mode| Make::Directory { mode };
    let directory = boot()?
        .make("/error", mode(0o2751))
        .file("/error/one", "")
        .file("/error/two", "")
        .at_last("/error", tmpfs())
        .at_last("/error/one", mode(0o700));
    let file = boot()?
        .make(
            "/error",
            Make::File {
                mode: 0o4640,
                content: "seven b".into(),
            },
        )
        .file("/other", "something longer")
        .at_last(
            "/error",
            Make::Bind {
                from: "/other".into(),
            },
        );
    // A tmpfs counts 20 bytes for each name in a directory, "." and ".." among them.
    for (scene, size, mode) in [(directory, 80, 0o2751), (file, 7, 0o4640)] {
        for options in [["--strategy", "move"], ["--strategy", "pivot"]] {
            let scene = scene.clone().options(options).policy(
                "50-repeats",
                policy("0.1.0-every-answer")?,
                None,
            );
            let booted = boots(&scene)?;
            let (size, mode) = (format!("size: {size},"), format!("mode: {mode},"));
            booted.failed("50-repeats", &[&size, &mode, "mount-point: true"])?;
        }
    }
    Ok(())
}

fn what_an_overlay_new_root_is_made_of_survives() -> Checked {
    for strategy in ["move", "pivot"] {
        // The directory becomes the lower one of an overlay that is mounted over it.
        let overlay = Make::Mount {
            file_system: "overlay".into(),
            options: "lowerdir=/more:/sysroot,upperdir=/over/upper,workdir=/over/work".into(),
        };
        let scene = boot()?
            .options(["--strategy", strategy])
            .new_root(NewRoot::Unmounted)
            .file("/more/etc/more", "from the upper of two layers")
            .directory("/over/upper")
            .directory("/over/work")
            .directory("/other")
            .at_last(NEW_ROOT, overlay)
            .look_at(["/etc/more"]);
        let booted = boots(&scene)?;
        let left = &booted.outcome.after.initramfs;
        for path in [
            "/sysroot/sbin/init",
            "/more/etc/more",
            "/over/upper",
            "/over/work",
        ] {
            ensure!(
                left.contains_key(path),
                "{strategy}: {path} is gone: {:?}",
                left.keys()
            );
        }
        for path in ["/other", "/bin"] {
            ensure!(!left.contains_key(path), "{strategy}: {path} is left");
        }
        let seen = booted.seen.files["/etc/more"].content.as_deref();
        ensure!(
            seen == Some("from the upper of two layers"),
            "{strategy}: {seen:?}"
        );
    }
    Ok(())
}

/// The options of an overlay that is written to, whose lower layer has this name, and whose
/// other directories lie below `over`.
fn overlay(lower: &str, over: &str) -> Make {
    Make::Mount {
        file_system: "overlay".into(),
        options: format!("lowerdir={lower},upperdir={over}/upper,workdir={over}/work"),
    }
}

/// A boot with both strategies whose new root is an overlay of `/lower`, which has the
/// system, and of what is below `/over`, with a file in the upper layer. `describe` mounts it
/// and adds what comes after that.
fn over_layers(describe: impl Fn(Scene) -> Scene) -> Result<Vec<Booted>, Stop> {
    let mut booted = Vec::new();
    for strategy in ["move", "pivot"] {
        let scene = boot()?
            .options(["--strategy", strategy])
            .new_root(NewRoot::Unmounted)
            .file("/over/upper/etc/upper", "upper")
            .directory("/over/work")
            .at_last(
                "/lower",
                Make::Renamed {
                    from: NEW_ROOT.into(),
                },
            );
        let scene = describe(scene).look_at(["/etc/upper", "/etc/os-release"]);
        let one = boots(&scene)?;
        let content = |path: &str| one.seen.files[path].content.clone().unwrap_or_default();
        ensure!(
            content("/etc/upper") == "upper" && content("/etc/os-release").contains("probeos"),
            "{strategy}: the new root has lost files: {:?}",
            one.seen.files
        );
        booted.push(one);
    }
    Ok(booted)
}

fn overlay_layers_that_a_later_mount_covers_are_kept() -> Checked {
    let booted = over_layers(|scene| {
        scene
            .at_last(NEW_ROOT, overlay("/lower", "/over"))
            .at_last("/lower", tmpfs())
            .at_last("/over", tmpfs())
    })?;
    keep(&booted, &["/lower", "/over/upper", "/over/work"])
}

fn overlay_layers_that_cannot_be_located_keep_everything() -> Checked {
    let renamed = |scene: Scene| {
        let from = "/lower".into();
        scene
            .at_last(NEW_ROOT, overlay("/lower", "/over"))
            .at_last("/was-lower", Make::Renamed { from })
    };
    let unbound = |scene: Scene| {
        let bind = |from: &str| Make::Bind { from: from.into() };
        scene
            .at_last("/bound", bind("/over"))
            .at_last(NEW_ROOT, overlay("/lower", "/bound"))
            .at_last("/bound", Make::Unmounted)
    };
    // What is left in the place of the bind mount is an empty directory of the same name.
    let gone = |lower: &'static str| {
        move |scene: Scene| {
            let from = "/lower".into();
            scene
                .at_last("/mnt", Make::Bind { from })
                .at_last(NEW_ROOT, overlay(lower, "/over"))
                .at_last("/mnt", Make::Unmounted)
        }
    };
    let scenes: [&dyn Fn(Scene) -> Scene; 4] = [&renamed, &unbound, &gone("/mnt"), &gone("mnt")];
    for describe in scenes {
        for booted in over_layers(describe)? {
            booted.everything_left()?;
            let reason = booted.report.0["deletion"]["reason"].to_string();
            says(&reason, &["the layer", "cannot be located"])?;
        }
    }
    Ok(())
}

fn empty_overlay_layers_are_kept_so_that_the_root_can_be_listed() -> Checked {
    let booted = over_layers(|scene| {
        scene
            .directory("/empty")
            .at_last(NEW_ROOT, overlay("/lower:/empty", "/over"))
            .at_last("/empty", tmpfs())
    })?;
    keep(&booted, &["/empty", "/lower", "/over/upper", "/over/work"])
}

fn overlay_layers_whose_mount_was_moved_keep_nothing() -> Checked {
    let booted = over_layers(|scene| {
        let moved = |from: &str| Make::MovedMount { from: from.into() };
        let file = |text: &str| Make::File {
            mode: 0o644,
            content: text.into(),
        };
        scene
            .at_last("/media/rw", tmpfs())
            .at_last("/media/rw/over/upper/etc/upper", file("upper"))
            .at_last("/media/rw/over/work", Make::Directory { mode: 0o755 })
            .at_last(NEW_ROOT, overlay("/lower", "/media/rw/over"))
            .at_last("/sysroot/media/rw", moved("/media/rw"))
    })?;
    booted
        .iter()
        .try_for_each(|booted| booted.left(&["*/lower"]))
}

fn overlay_layers_with_relative_names_keep_what_they_may_mean() -> Checked {
    let booted = over_layers(|scene| {
        scene
            .file("/other/lower/file", "")
            .file("/flower/file", "")
            .at_last(NEW_ROOT, overlay("lower", "over"))
    })?;
    let kept = ["/lower", "/other/lower", "/over/upper", "/over/work"];
    keep(&booted, &kept)
}

fn overlay_layers_of_detached_mounts_keep_what_is_seen() -> Checked {
    let booted = over_layers(|scene| {
        let layers = ["/elsewhere", "/over/upper", "/lower"];
        let layers = layers.map(|layer| layer.as_bytes().to_vec()).to_vec();
        scene
            .tmpfs("/elsewhere")
            .file("/elsewhere/etc/elsewhere", "")
            .at_last(NEW_ROOT, Make::OverlayOfDetached { layers })
    })?;
    keep(&booted, &["/lower", "/over/upper"])
}

/// Checks that exactly these paths are preserved, and that what is left is what they are.
pub fn keep(booted: &[Booted], paths: &[&str]) -> Checked {
    for booted in booted {
        let preserved = booted.report.survivors();
        ensure!(
            preserved
                .keys()
                .map(String::as_str)
                .eq(paths.iter().copied()),
            "preserved: {:?}",
            preserved.keys()
        );
        booted.as_reported()?;
    }
    Ok(())
}

fn tmpfs() -> Make {
    Make::Mount {
        file_system: "tmpfs".into(),
        options: "mode=0755".into(),
    }
}

fn special_files(scene: Scene) -> Scene {
    scene
        .make("/special/fifo", Make::Fifo)
        .make("/special/socket", Make::Socket)
        .make(
            "/special/block",
            Make::Device {
                block: true,
                major: 7,
                minor: 0,
            },
        )
        .make(
            "/special/character",
            Make::Device {
                block: false,
                major: 1,
                minor: 3,
            },
        )
}

fn fifos_sockets_and_devices_are_deleted() -> Checked {
    need_privileges()?;
    boots(&special_files(boot()?))?.left(&[])
}

fn fifos_sockets_and_devices_survive() -> Checked {
    need_privileges()?;
    boots(&special_files(keeping(r#""/special""#)?))?.left(&["*/special"])
}

fn a_file_that_cannot_be_deleted_is_recorded_and_the_boot_goes_on() -> Checked {
    need_privileges()?;
    let scene = boot()?
        .file("/some/immutable", "x")
        .file("/some/other", "y")
        .file("/last", "z");
    let booted = boots(&scene.at_last("/some/immutable", Make::Immutable))?;
    booted.left(&["/some/immutable"])?;
    let failed = booted.report.failed_deletions();
    let error = failed.get("/some/immutable").cloned().unwrap_or_default();
    says(&error, &["Operation not permitted"])?;
    ensure!(
        booted.report.deletion() == "complete",
        "deletion is {}",
        booted.report.deletion()
    );
    Ok(())
}

fn a_directory_that_cannot_be_emptied_is_recorded_and_the_boot_goes_on() -> Checked {
    need_privileges()?;
    let scene = boot()?
        .file("/fixed/a", "x")
        .file("/fixed/b/c", "y")
        .file("/last", "z");
    let booted = boots(&scene.at_last("/fixed", Make::Immutable))?;
    // What is in `b` can go, `b` itself cannot.
    booted.left(&["/fixed/a", "/fixed/b"])?;
    let failed = booted.report.failed_deletions();
    ensure!(
        failed.contains_key("/fixed/a") && failed.contains_key("/fixed/b"),
        "{failed:?}"
    );
    Ok(())
}

fn links_are_deleted_and_never_followed() -> Checked {
    let scene = boot()?
        .symlink("/to-new-root", "/sysroot")
        .symlink("/to-run", "/run")
        .symlink("/dangling", "/nowhere")
        .symlink("/loop", "/loop")
        .symlink("/up/up", "..")
        .file("/run/precious", "run")
        .in_new_root(|tree| tree.file("/etc/precious", "etc"))
        .look_at(["/etc/precious", "/run/precious"]);
    let booted = boots(&scene)?;
    booted.left(&[])?;
    for (path, content) in [("/etc/precious", "etc"), ("/run/precious", "run")] {
        let seen = booted.seen.files[path].content.as_deref();
        ensure!(seen == Some(content), "{path} holds {seen:?}");
    }
    Ok(())
}

fn files_and_directories_that_nobody_may_read_are_deleted() -> Checked {
    let scene = boot()?
        .file("/closed/folder/file", "x")
        .make(
            "/closed/secret",
            Make::File {
                mode: 0,
                content: "x".into(),
            },
        )
        .make("/sticky", Make::Directory { mode: 0o1777 })
        .at_last("/closed/folder", Make::Directory { mode: 0 })
        .at_last("/closed", Make::Directory { mode: 0o555 });
    boots(&scene)?.left(&[])
}

fn another_name_of_a_survivor_is_deleted_and_the_survivor_is_whole() -> Checked {
    let scene = keeping(r#""/kept/file""#)?.file("/kept/file", "bytes");
    let link = Make::HardLink {
        from: b"/kept/file".to_vec(),
    };
    boots(&scene.make("/other/name", link))?.left(&["/kept/file"])
}

fn large_files_are_really_freed() -> Checked {
    let content = switch_root_tests::steps::Content::Filled {
        byte: 7,
        size: 64 << 20,
    };
    for strategy in ["move", "pivot"] {
        let scene = boot()?
            .options(["--strategy", strategy])
            .file("/large", content.clone());
        let booted = boots(&scene)?;
        ensure!(
            booted.outcome.before.usage.bytes > 64 << 20,
            "{:?}",
            booted.outcome.before.usage
        );
        booted.left(&[])?;
        booted.freed(2)?;
    }
    Ok(())
}

fn a_survivor_that_is_not_there_is_no_failure() -> Checked {
    let booted = boots(&keeping(r#""/no/such/path", "/no*""#)?)?;
    ensure!(
        booted.report.survivors().is_empty(),
        "{:?}",
        booted.report.survivors()
    );
    booted.left(&[])
}
