//! `switch_root --preserve`: what survives where another program switches, as systemd
//! does. It is played by the stand-in of delegating.rs, which deletes the initramfs.

pub mod failing;
pub mod overlay;
pub mod preflight;
pub mod room;

use switch_root_tests::delegating::{DELEGATOR, NEXT};
use switch_root_tests::outcome::End;
use switch_root_tests::probe::PRESERVED;
use switch_root_tests::scene::{INIT, Limit, NEW_ROOT, Root, SUBJECT, Scene};
use switch_root_tests::snapshot::Tree;
use switch_root_tests::steps::{Content, Make, Steps};

use crate::check::{Booted, boots, content, ensure, said, says};
use crate::odd_trees::odd_names;
use crate::tools::{
    Checked, Policies, Stop, boot, boot_small, cases, copied, native, need_privileges, play,
    policy, probe,
};
use room::with_a_broken_policy;

cases![
    what_survives_is_copied_exactly_and_outlives_the_initramfs,
    owners_devices_and_attributes_are_copied,
    times_modes_and_holes_are_copied,
    a_tree_deeper_than_paths_are_long_is_copied_with_few_descriptors,
    what_is_carried_is_bound_read_only_out_of_the_copy,
    the_build_without_a_compiler_preserves_too,
    copies_out_of_a_ramfs_are_the_same,
    mounts_are_not_crossed_and_are_told,
    what_is_mounted_on_itself_is_copied_like_the_rest,
    what_is_mounted_on_itself_with_another_mount_is_told,
    links_are_copied_and_not_followed,
    a_second_run_replaces_the_first_and_stacks_nothing,
    what_the_new_root_uses_of_the_initramfs_is_told,
    a_run_of_the_new_root_is_where_copies_go,
    verdicts_are_reported,
    messages_reach_the_journal_with_their_priorities,
];

/// An initramfs whose init runs these commands before it switches and deletes.
pub fn delegating(scene: Scene, commands: &[&[&str]]) -> Result<Scene, Stop> {
    let probe = copied(probe()?.into())?;
    let command: Vec<&str> = std::iter::once(DELEGATOR)
        .chain(commands.join(&NEXT))
        .collect();
    Ok(scene.executable(DELEGATOR, probe).command(command))
}

/// The command under test.
pub const PRESERVE: &[&str] = &[SUBJECT, "--preserve", NEW_ROOT, INIT];

/// Settings of keep-paths, as a sidecar.
fn sidecar(settings: &str) -> String {
    format!(r#"{{"settings": {settings}}}"#)
}

/// An initramfs in which a policy keeps these patterns, a list in JSON without its
/// brackets.
pub fn keeping(patterns: &str) -> Result<Scene, Stop> {
    with_settings(boot()?, &format!(r#"{{"keep": [{patterns}]}}"#))
}

pub fn with_settings(scene: Scene, settings: &str) -> Result<Scene, Stop> {
    let scene = scene.policy("50-keep", policy("keep-paths")?, Some(&sidecar(settings)));
    delegating(scene, &[PRESERVE])
}

/// Plays a scene to its end: the new root's init runs, the initramfs is gone, and the
/// report says that somebody else switched.
pub fn preserves(scene: &Scene) -> Result<Booted, Stop> {
    let booted = boots(scene)?;
    booted.left(&[])?;
    let report = &booted.report;
    ensure!(
        report.strategy() == "delegated",
        "strategy: {}",
        report.strategy()
    );
    ensure!(
        report.deletion() == "skipped",
        "deletion: {}",
        report.deletion()
    );
    says(
        report.deletion_reason(),
        &["left to the program that switches"],
    )?;
    Ok(booted)
}

/// Checks that the copies are exactly these paths, beside the directories above them,
/// and are as they were in the initramfs. Paths that begin with `*` are directories with
/// all that is in them.
pub fn copied_exactly(booted: &Booted, expected: &[&str]) -> Checked {
    let before = &booted.outcome.before.initramfs;
    let mut wanted = Tree::new();
    let mut want = |path: &str| -> Checked {
        let entry = before.get(path).ok_or(format!("{path} was never there"))?;
        wanted.insert(path.into(), entry.clone());
        Ok(())
    };
    for path in expected {
        let whole = path.strip_prefix('*');
        let path = whole.unwrap_or(path);
        for (end, _) in path.match_indices('/').skip(1) {
            want(&path[..end])?;
        }
        want(path)?;
        let below = format!("{path}/");
        for inside in before.keys() {
            if whole.is_some() && inside.starts_with(&below) {
                want(inside)?;
            }
        }
    }
    let copies = booted.seen.preserved.as_ref().ok_or("no copies")?;
    let difference = switch_root_tests::snapshot::difference(&wanted, copies);
    ensure!(
        difference.is_empty(),
        "{}\n{}",
        difference.join("\n"),
        said(&booted.outcome)
    );
    Ok(())
}

/// The place of the copy of a path.
pub fn copy_of(path: &str) -> String {
    format!("{PRESERVED}{path}")
}

/// How many mounts there are at a place.
fn mounted(booted: &Booted, place: &str) -> usize {
    let at = |line: &&String| line.split(' ').nth(4) == Some(place);
    booted.seen.mounts.iter().filter(at).count()
}

fn what_survives_is_copied_exactly_and_outlives_the_initramfs() -> Checked {
    let many = Make::Many {
        directories: 5,
        files: 200,
        bytes: 3000,
    };
    let link = Make::HardLink {
        from: b"/odd/-rf".to_vec(),
    };
    let large = Content::Filled {
        byte: 7,
        size: (3 << 20) + 5,
    };
    let scene = odd_names(keeping(
        r#""/odd", "/etc/machine.conf", "/deep/**", "/large""#,
    )?)
    .make("/odd/second-name", link)
    .make("/odd/fifo", Make::Fifo)
    .make("/odd/socket", Make::Socket)
    .make("/odd/many", many)
    .make("/deep/down", Make::Nested { depth: 300 })
    .file("/large", large)
    .file("/etc/machine.conf", "kept")
    .file("/etc/secret", "not kept")
    .file("/etcetera", "not kept");
    let booted = preserves(&scene)?;
    copied_exactly(&booted, &["*/odd", "/etc/machine.conf", "*/deep", "/large"])?;
    let survivors = booted.report.survivors();
    ensure!(survivors["/odd"].contains("50-keep"), "{survivors:?}");
    let copied = &booted.report.0["copied"];
    let (files, directories) = (&copied["files"], &copied["directories"]);
    ensure!(files == 1014 && directories == 312, "{copied:#}");
    for nothing in ["failed", "skipped_mounts", "missing"] {
        let none = copied[nothing].as_array().is_some_and(Vec::is_empty);
        ensure!(none, "{nothing}: {copied:#}");
    }
    // Nobody changes it any more.
    ensure!(mounted(&booted, PRESERVED) == 1, "{:?}", booted.seen.mounts);
    let writes = preserves(&scene.look_at([PRESERVED, &copy_of("/large")]))?;
    for place in [PRESERVED, &copy_of("/large")] {
        let error = writes.seen.files[place].write_error.as_deref();
        ensure!(error == Some("EROFS"), "{place}: {error:?}");
    }
    Ok(())
}

fn owners_devices_and_attributes_are_copied() -> Checked {
    need_privileges()?;
    let device = |block, major, minor| Make::Device {
        block,
        major,
        minor,
    };
    let attribute = |name: &str| Make::Attribute {
        name: name.into(),
        value: b"va\0lue\xff".to_vec(),
    };
    let owner = |user, group| Make::Owner { user, group };
    let scene = keeping(r#""/kept""#)?
        .make("/kept/block", device(true, 7, 0))
        .make("/kept/character", device(false, 1, 3))
        .file("/kept/file", "x")
        .make("/kept/file", owner(1000, 2000))
        .make(
            "/kept/set-user-id",
            Make::File {
                mode: 0o755,
                content: "x".into(),
            },
        )
        .make("/kept/set-user-id", owner(1000, 1000))
        .symlink("/kept/link", "nowhere")
        .make("/kept/link", owner(3, 4))
        .make("/kept/fifo", Make::Fifo)
        .make("/kept/fifo", owner(5, 6))
        .make("/kept/folder", Make::Directory { mode: 0o2770 })
        .make("/kept/folder", owner(7, 8));
    let names = ["file", "folder", "link", "block"];
    let mut scene = scene;
    for name in names {
        scene = scene.make(format!("/kept/{name}"), attribute("trusted.of-the-test"));
    }
    let places = names.map(|name| copy_of(&format!("/kept/{name}")));
    let scene = scene.examine(places.iter().map(String::as_str));
    let booted = preserves(&scene)?;
    copied_exactly(&booted, &["*/kept"])?;
    for place in &places {
        let attributes = &booted.seen.details[place].attributes;
        let value = attributes.get("trusted.of-the-test");
        ensure!(
            value.is_some_and(|value| value == "va\\x00lue\\xff"),
            "{place}: {attributes:?}"
        );
    }
    Ok(())
}

fn times_modes_and_holes_are_copied() -> Checked {
    let file = |mode| Make::File {
        mode,
        content: "x".into(),
    };
    let modified = Make::Modified {
        seconds: 981_173_106,
    };
    let size = 64 << 20;
    let places = ["", "/set", "/folder", "/folder/none", "/link", "/sparse"]
        .map(|name| copy_of(&format!("/kept{name}")));
    let mut scene = keeping(r#""/kept""#)?
        .make("/kept/set", file(0o6755))
        .make("/kept/folder/none", file(0))
        .symlink("/kept/link", "nowhere")
        .make("/kept/sparse", Make::Sparse { size })
        .make("/kept/folder", Make::Directory { mode: 0o1500 })
        .examine(places.iter().map(String::as_str));
    for name in ["/set", "/folder/none", "/link", "/sparse", "/folder", ""] {
        scene = scene.at_last(format!("/kept{name}"), modified.clone());
    }
    let booted = preserves(&scene)?;
    copied_exactly(&booted, &["*/kept"])?;
    for place in &places {
        let seen = &booted.seen.details[place];
        ensure!(seen.modified == Some(981_173_106), "{place}: {seen:?}");
    }
    let sparse = &booted.seen.details[&copy_of("/kept/sparse")];
    ensure!(
        sparse.occupied.is_some_and(|bytes| bytes <= 64 << 10),
        "{sparse:?}"
    );
    Ok(())
}

fn a_tree_deeper_than_paths_are_long_is_copied_with_few_descriptors() -> Checked {
    let depth = 3000;
    let scene = keeping(r#""/deep""#)?
        .make("/deep", Make::Nested { depth })
        .limit(Limit::Descriptors(64));
    let outcome = play(&alone(scene))?;
    ensure!(outcome.end == End::Exited(0), "{}", said(&outcome));
    let bottom = format!("/deep{}/bottom", "/d".repeat(depth as usize));
    let everything = &outcome.after.everything;
    let (original, copy) = (everything.get(&bottom), everything.get(&copy_of(&bottom)));
    ensure!(
        original.is_some() && original == copy,
        "{copy:?}\n{}",
        said(&outcome)
    );
    Ok(())
}

fn what_is_carried_is_bound_read_only_out_of_the_copy() -> Checked {
    let settings = r#"{"carry": {
        "/etc/machine.conf": "/etc/machine.conf",
        "/etc/keys": "/etc/keys",
        "/etc/nowhere": "/missing/folder/file",
        "/etc/shadow-link": "/etc/over-init"
    }}"#;
    let scene = with_settings(boot()?, settings)?
        .file("/etc/machine.conf", "carried")
        .file("/etc/keys/a", "a key")
        .file("/etc/nowhere", "x")
        .file("/etc/extensions.yaml", "layers: []\n")
        .in_new_root(|tree| tree.directory("/etc/keys").file("/etc/machine.conf", "old"))
        .look_at([
            "/etc/machine.conf",
            "/etc/keys/a",
            "/etc/keys",
            "/etc/extensions.yaml",
        ]);
    for transfer in ["bind", "move"] {
        let mut scene = scene.clone();
        if transfer == "move" {
            scene = delegating(scene, &[PRESERVE, &[transfer]])?;
        }
        carried(&preserves(&scene)?).map_err(|stop| stop.during(transfer))?;
    }
    Ok(())
}

fn carried(booted: &Booted) -> Checked {
    booted.read_only("/etc/machine.conf", "carried")?;
    booted.read_only("/etc/keys/a", "a key")?;
    // The embedded policy's, where the new root has no such file.
    booted.read_only("/etc/extensions.yaml", "layers: []\\x0a")?;
    for place in ["/etc/machine.conf", "/etc/keys", "/etc/extensions.yaml"] {
        ensure!(mounted(booted, place) == 1, "{:?}", booted.seen.mounts);
    }
    says(&booted.report.survivor_note("/etc/nowhere"), &["/missing"])?;
    copied_exactly(
        booted,
        &[
            "/etc/machine.conf",
            "*/etc/keys",
            "/etc/nowhere",
            "/etc/extensions.yaml",
        ],
    )
}

fn the_build_without_a_compiler_preserves_too() -> Checked {
    let folder = "/usr/lib/switch-root/policies.d";
    let scene = delegating(boot_small()?, &[PRESERVE])?
        .policy(
            "50-keep",
            policy("keep-paths")?,
            Some(&sidecar(r#"{"keep": ["/kept"]}"#)),
        )
        .file(format!("{folder}/50-keep.cwasm"), native("keep-paths")?)
        .file(format!("{folder}/00-default.wasm"), "")
        .file("/kept/file", "x");
    copied_exactly(&preserves(&scene)?, &["*/kept"])
}

fn copies_out_of_a_ramfs_are_the_same() -> Checked {
    let mut scene = odd_names(keeping(r#""/odd", "/kept""#)?).file("/kept/file", "x");
    scene.root = Root::Memory("ramfs".into());
    copied_exactly(&preserves(&scene)?, &["*/odd", "*/kept"])
}

/// As systemd mounts /usr.
fn what_is_mounted_on_itself_is_copied_like_the_rest() -> Checked {
    let scene = odd_names(with_settings(
        boot()?,
        r#"{"keep": ["/odd", "/usr/kept/**", "/usr/lib/one"], "carry": {"/usr/kept": "/data"}}"#,
    )?)
    .file("/usr/kept/file", "kept")
    .file("/usr/kept/deep/er/file", "kept, too")
    .file("/usr/lib/one", "kept")
    .file("/usr/lib/other", "not kept")
    .in_new_root(|root| root.directory("/data"))
    .look_at(["/data/file"]);
    let kept = ["*/odd", "*/usr/kept", "/usr/lib/one"];
    let plain = preserves(&scene)?;
    copied_exactly(&plain, &kept)?;
    // As systemd has it; and twice, and a directory below, too.
    let read_only = scene
        .clone()
        .bind("/usr", "/usr")
        .at_last("/usr", Make::ReadOnlyMount);
    let twice = scene
        .bind("/usr", "/usr")
        .bind("/usr", "/usr")
        .bind("/usr/kept", "/usr/kept");
    for bound in [read_only, twice] {
        let bound = preserves(&bound)?;
        // What is below is not in the tree of before: it stops at mounts.
        let copies = [&plain, &bound].map(|booted| booted.seen.preserved.clone());
        let [Some(expected), Some(copies)] = copies else {
            return Err(Stop::Fail("no copies".into()));
        };
        let difference = switch_root_tests::snapshot::difference(&expected, &copies);
        ensure!(difference.is_empty(), "{}", difference.join("\n"));
        ensure!(
            bound.report.survivors() == plain.report.survivors(),
            "{:#}\n{:#}",
            plain.report.0,
            bound.report.0
        );
        let warnings = bound.report.warnings();
        ensure!(warnings.is_empty(), "{warnings}");
        bound.read_only("/data/file", "kept")?;
    }
    Ok(())
}

fn what_is_mounted_on_itself_with_another_mount_is_told() -> Checked {
    let scene = keeping(r#""/kept", "/usr/kept""#)?
        .file("/kept/file", "kept")
        .file("/usr/kept", "not found")
        .bind("/usr", "/usr")
        .tmpfs("/usr/other");
    let booted = preserves(&scene)?;
    copied_exactly(&booted, &["*/kept"])?;
    let told = [
        "/usr of the initramfs is mounted on itself, and is not looked into, since /usr/other is a mount, too",
        "nothing of it survives",
    ];
    says(&booted.report.warnings(), &told)?;
    says(&booted.outcome.stderr, &told)
}

fn mounts_are_not_crossed_and_are_told() -> Checked {
    let scene = keeping(r#""/kept", "/mounted""#)?
        .file("/kept/file", "kept")
        .file("/other/file", "not kept")
        .tmpfs("/kept/inside")
        .file("/kept/inside/file", "on another file system")
        .bind("/other", "/kept/bound")
        .bind("/other/file", "/kept/bound-file")
        .tmpfs("/mounted")
        .file("/mounted/file", "on another file system");
    let booted = preserves(&scene)?;
    copied_exactly(&booted, &["/kept/file"])?;
    let warnings = booted.report.warnings();
    for place in [
        "/kept/inside",
        "/kept/bound",
        "/kept/bound-file",
        "/mounted",
    ] {
        let sentence = format!("what is mounted on {place} is not copied");
        says(&warnings, &[&sentence])?;
        says(&booted.outcome.stderr, &[&sentence])?;
    }
    let survivors = booted.report.survivors();
    ensure!(
        survivors.keys().eq(["/kept"]),
        "{survivors:?}\n{}",
        said(&booted.outcome)
    );
    says(
        &booted.report.0["copied"]["missing"].to_string(),
        &["/mounted", "mounts are not copied"],
    )
}

fn links_are_copied_and_not_followed() -> Checked {
    let scene = keeping(r#""/kept", "/dangling""#)?
        .symlink("/kept/to-new-root", "/sysroot")
        .symlink("/kept/to-run", "/run")
        .symlink("/kept/loop", "/kept/loop")
        .symlink("/kept/up", "..")
        .symlink("/kept/long", [b'n'; 3000])
        .symlink("/dangling", "/nowhere");
    copied_exactly(&preserves(&scene)?, &["*/kept", "/dangling"])
}

fn a_second_run_replaces_the_first_and_stacks_nothing() -> Checked {
    let settings = r#"{"keep": ["/kept"], "carry": {"/etc/a": "/etc/a", "/etc/b": "/etc/b"}}"#;
    let scene = with_settings(boot()?, settings)?
        .file("/kept/gone", "x")
        .file("/kept/changed", "before")
        .file("/etc/a", "before")
        .file("/etc/b", "b")
        .look_at(["/etc/a", "/etc/b", &copy_of("/kept/changed")]);
    let scene = delegating(
        scene,
        &[
            PRESERVE,
            PRESERVE,
            &["remove", "/kept/gone"],
            &["write", "/kept/changed", "after"],
            &["remove", "/etc/b"],
            &["write", "/etc/a", "after"],
            PRESERVE,
        ],
    )?;
    let booted = preserves(&scene)?;
    let copies = booted.seen.preserved.clone().unwrap_or_default();
    let names: Vec<&str> = copies.keys().map(String::as_str).collect();
    ensure!(
        names == ["/etc", "/etc/a", "/kept", "/kept/changed"],
        "{names:?}\n{}",
        said(&booted.outcome)
    );
    booted.read_only("/etc/a", "after")?;
    booted.read_only(&copy_of("/kept/changed"), "after")?;
    // What was made there to bind it on is there, and nothing is bound any more.
    ensure!(content(&booted.seen, "/etc/b") == Some(""), "/etc/b");
    for (place, times) in [(PRESERVED, 1), ("/etc/a", 1), ("/etc/b", 0)] {
        ensure!(
            mounted(&booted, place) == times,
            "{place}: {:?}",
            booted.seen.mounts
        );
    }
    ensure!(
        booted.report.warnings().is_empty(),
        "{}",
        booted.report.warnings()
    );
    Ok(())
}

fn what_the_new_root_uses_of_the_initramfs_is_told() -> Checked {
    let scene = delegating(boot()?, &[PRESERVE])?
        .file("/lib/modules/a.ko", "module")
        .bind("/lib/modules", "/sysroot/lib/modules");
    let booted = preserves(&scene)?;
    says(
        &booted.report.warnings(),
        &[
            "/lib/modules of the initramfs may be deleted",
            "it is mounted on",
        ],
    )
}

fn a_run_of_the_new_root_is_where_copies_go() -> Checked {
    let scene = keeping(r#""/kept""#)?
        .file("/kept/file", "x")
        .tmpfs("/sysroot/run");
    copied_exactly(&preserves(&scene)?, &["*/kept"])?;
    // There may be none but that.
    copied_exactly(&preserves(&scene.without("/run"))?, &["*/kept"])
}

fn verdicts_are_reported() -> Checked {
    let list = "layers:\n- image: a.sqsh\n  metadata:\n    name: a\n    version: 1.0.0\n    \
                compatibility: {probeos: {version: \">= 3\"}}\n";
    let scene = delegating(boot()?, &[PRESERVE])?.file("/etc/extensions.yaml", list);
    let booted = preserves(&scene)?;
    let extensions = booted.report.extensions();
    let verdict = extensions
        .get("a.sqsh")
        .map(|(verdict, _)| verdict.as_str());
    ensure!(verdict.is_some(), "{extensions:?}");
    Ok(())
}

/// The subject alone, as a process that is not the first.
pub fn alone(scene: Scene) -> Scene {
    let mut scene = scene.command(PRESERVE.iter());
    scene.first_process = false;
    scene
}

fn messages_reach_the_journal_with_their_priorities() -> Checked {
    let scene = with_a_broken_policy()?;
    let scene = delegating(scene, &[PRESERVE, &["journal"], PRESERVE])?;
    let stderr = preserves(&scene)?.outcome.stderr;
    let lines = |start: &str| {
        stderr
            .lines()
            .filter(|line| line.starts_with(start))
            .count()
    };
    ensure!(lines("<6>switch_root: copied ") == 1, "{stderr}");
    ensure!(lines("switch_root: copied ") == 1, "{stderr}");
    ensure!(
        lines("<4>switch_root: warning: / survives") == 1,
        "{stderr}"
    );
    ensure!(lines("<3>switch_root: error: ") == 1, "{stderr}");
    Ok(())
}
