//! /dev, /proc, /sys and /run of the new root that are links, that are missing, or that have
//! something in them already.

use switch_root_tests::outcome::mount_points;
use switch_root_tests::probe::{LEFT, PRESERVED};
use switch_root_tests::scene::{INIT, NEW_ROOT, NewRoot, SUBJECT, Scene};
use switch_root_tests::steps::{Make, Steps};
use switch_root_tests::testimony::Testimony;

use crate::check::{boots, ensure, refuses, said, says};
use crate::tools::{Checked, Policies, Stop, boot, cases, play, policy};

cases![
    links_are_followed_in_the_new_root,
    a_chain_of_links_is_followed,
    a_link_into_another_mount_of_the_new_root_is_followed,
    links_out_of_the_new_root_stay_in_it,
    a_plan_says_where_a_link_leads,
    a_dangling_link_is_detached_with_a_warning,
    a_link_loop_is_detached_with_a_warning,
    a_link_into_another_moved_mount_is_detached,
    of_two_links_to_one_place_the_first_counts,
    a_link_to_a_file_is_refused,
    a_link_that_would_hide_the_init_is_refused,
    a_link_to_a_mount_of_the_new_root_leaves_that_alone,
    nothing_is_carried_to_where_a_link_leads,
    nothing_is_carried_over_what_a_link_leads_through,
    a_read_only_root_without_a_place_still_boots,
    a_read_only_root_that_cannot_hold_what_is_kept_is_refused,
    a_run_where_nothing_can_be_made_cannot_hold_what_is_kept,
    a_run_where_nothing_can_be_made_has_no_report,
    what_is_carried_needs_no_run,
    a_run_with_something_in_it_is_left_alone,
    a_run_with_something_in_it_cannot_hold_what_is_kept,
    no_run_is_made_for_the_sake_of_the_report,
    a_run_is_made_for_what_is_kept,
    copies_go_to_where_run_of_the_new_root_leads,
];

const STRATEGIES: [&str; 2] = ["move", "pivot"];

/// A boot whose new root has these links instead of directories.
fn with_links(links: &[(&str, &str)]) -> Result<Scene, Stop> {
    let mut scene = boot()?.file("/run/note", "of the initramfs");
    for (place, to) in links {
        scene = scene
            .without_target(place)
            .in_new_root(|tree| tree.symlink(place, *to));
    }
    Ok(scene.look_at(["/run/note"]))
}

/// A policy that keeps something.
fn keeping(scene: Scene) -> Result<Scene, Stop> {
    let sidecar = r#"{"settings": {"keep": ["/kept"]}}"#;
    Ok(scene
        .file("/kept", "kept")
        .policy("50-keep", policy("keep-paths")?, Some(sidecar)))
}

/// Plays a scene whose init is to run although there may be no report, and checks what is
/// said. Gives what init saw.
fn runs(scene: &Scene, words: &[&str]) -> Result<Testimony, Stop> {
    let outcome = play(scene)?;
    says(&outcome.stderr, words)?;
    let all = said(&outcome);
    outcome
        .testimony
        .ok_or(Stop::Fail(format!("init was not started\n{all}")))
}

fn mounted_at(seen: &Testimony, place: &str, kind: &str) -> Checked {
    let mounts = mount_points(&seen.mounts);
    let found = mounts.get(place).map(String::as_str);
    ensure!(
        found == Some(kind),
        "{place} is {found:?}\n{}",
        seen.mounts.join("\n")
    );
    Ok(())
}

fn links_are_followed_in_the_new_root() -> Checked {
    for strategy in STRATEGIES {
        // As GoboLinux and Puppy Linux have them; one is absolute.
        let scene = with_links(&[
            ("/proc", "System/Kernel/Status"),
            ("/sys", "/System/Kernel/Objects"),
            ("/dev", "System/Kernel/Devices"),
            ("/run", "tmp"),
        ])?;
        let scene = keeping(scene)?
            .options(["--strategy", strategy])
            .in_new_root(|tree| {
                ["Status", "Objects", "Devices"]
                    .into_iter()
                    .fold(tree.directory("/tmp"), |tree, name| {
                        tree.directory(format!("/System/Kernel/{name}"))
                    })
            })
            .look_at([format!("{PRESERVED}/kept").as_str()]);
        let booted = boots(&scene)?;
        for (place, kind) in [
            ("/System/Kernel/Status", "proc"),
            ("/System/Kernel/Objects", "sysfs"),
            ("/System/Kernel/Devices", "tmpfs"),
            ("/tmp", "tmpfs"),
        ] {
            mounted_at(&booted.seen, place, kind)?;
        }
        let note = &booted.seen.files["/run/note"].content;
        ensure!(note.as_deref() == Some("of the initramfs"), "{note:?}");
        booted.read_only(&format!("{PRESERVED}/kept"), "kept")?;
        booted.left(&["/kept"])?;
        let warnings = booted.report.warnings();
        ensure!(warnings.is_empty(), "{warnings}");
    }
    Ok(())
}

fn a_chain_of_links_is_followed() -> Checked {
    let scene = with_links(&[("/run", "/one")])?.in_new_root(|tree| {
        tree.symlink("/one", "var/two")
            .symlink("/var/two", "../srv/three")
            .directory("/srv/three")
    });
    let booted = boots(&scene)?;
    mounted_at(&booted.seen, "/srv/three", "tmpfs")?;
    booted.left(&[])
}

fn a_link_into_another_mount_of_the_new_root_is_followed() -> Checked {
    let scene = with_links(&[("/run", "/var/run")])?
        .in_new_root(|tree| tree.tmpfs("/var").directory("/var/run"));
    let booted = boots(&scene)?;
    mounted_at(&booted.seen, "/var/run", "tmpfs")?;
    let note = &booted.seen.files["/run/note"].content;
    ensure!(note.as_deref() == Some("of the initramfs"), "{note:?}");
    booted.left(&[])
}

fn links_out_of_the_new_root_stay_in_it() -> Checked {
    for to in ["/tmp", "../../../tmp"] {
        // The initramfs has such a directory, too.
        let scene = with_links(&[("/run", to)])?
            .directory("/tmp")
            .in_new_root(|tree| tree.directory("/tmp"));
        let booted = boots(&scene)?;
        mounted_at(&booted.seen, "/tmp", "tmpfs")?;
        booted.left(&[])?;
    }
    Ok(())
}

fn a_plan_says_where_a_link_leads() -> Checked {
    let scene = with_links(&[("/run", "tmp"), ("/sys", "nowhere")])?
        .in_new_root(|tree| tree.directory("/tmp"));
    let outcome = play(&scene.clone().options(["--plan"]))?;
    says(
        &outcome.stdout,
        &[
            "mount      /run moved to the new root (/run is a link to /tmp there)",
            "mount      /sys detached: the new root has no place for it",
        ],
    )?;
    let outcome = play(&scene.options(["--plan", "--format", "json"]))?;
    says(
        &outcome.stdout,
        &[
            r#""leads_to": "/tmp""#,
            r#""run_leads_to": "/tmp""#,
            "has a /sys that is a dangling symbolic link",
        ],
    )?;
    ensure!(outcome.changes().is_empty(), "{:?}", outcome.changes());
    Ok(())
}

fn a_dangling_link_is_detached_with_a_warning() -> Checked {
    for strategy in STRATEGIES {
        let scene = with_links(&[("/sys", "not/there")])?.options(["--strategy", strategy]);
        let booted = boots(&scene)?;
        booted.left(&[])?;
        says(
            &booted.report.warnings(),
            &["/sys that is a dangling symbolic link", "detached"],
        )?;
        let scene = with_links(&[("/run", "not/there")])?.options(["--strategy", strategy]);
        let seen = runs(&scene, &["/run that is a dangling", "no report"])?;
        ensure!(seen.report.is_none(), "{:?}", seen.report);
        refuses(
            &keeping(scene)?,
            &[
                "50-keep keeps /kept",
                "/run",
                "switch_root.policies=default",
            ],
        )?;
    }
    Ok(())
}

fn a_link_loop_is_detached_with_a_warning() -> Checked {
    let booted = boots(&with_links(&[("/sys", "sys")])?)?;
    booted.left(&[])?;
    says(&booted.report.warnings(), &["a symbolic link loop"])?;
    let booted = boots(&with_links(&[("/sys", "/")])?)?;
    booted.left(&[])?;
    says(
        &booted.report.warnings(),
        &["a symbolic link to the new root itself"],
    )
}

fn a_link_into_another_moved_mount_is_detached() -> Checked {
    for strategy in STRATEGIES {
        // The directory is there, and will be covered.
        let scene = with_links(&[("/sys", "dev/sys")])?
            .options(["--strategy", strategy])
            .in_new_root(|tree| tree.directory("/dev/sys"));
        let booted = boots(&scene)?;
        booted.left(&[])?;
        says(
            &booted.report.warnings(),
            &["leads to /dev/sys, and /dev of the initramfs is mounted there"],
        )?;
        mounted_at(&booted.seen, "/dev", "tmpfs")?;
    }
    // In whichever order they come.
    let scene = with_links(&[("/dev", "run/dev")])?.in_new_root(|tree| tree.directory("/run/dev"));
    let booted = boots(&scene)?;
    says(&booted.report.warnings(), &["leads to /run/dev"])?;
    mounted_at(&booted.seen, "/run", "tmpfs")
}

fn of_two_links_to_one_place_the_first_counts() -> Checked {
    let scene = with_links(&[("/proc", "kernel"), ("/sys", "kernel/objects")])?
        .in_new_root(|tree| tree.directory("/kernel/objects"));
    let booted = boots(&scene)?;
    mounted_at(&booted.seen, "/kernel", "proc")?;
    says(
        &booted.report.warnings(),
        &["/kernel/objects, and /proc of the initramfs is mounted there"],
    )
}

fn a_link_to_a_file_is_refused() -> Checked {
    let scene = with_links(&[("/sys", "etc/file")])?.in_new_root(|tree| tree.file("/etc/file", ""));
    refuses(&scene, &["/sys", "/etc/file, which is not a directory"])
}

fn a_link_that_would_hide_the_init_is_refused() -> Checked {
    for (to, init) in [("/sbin", INIT), ("usr", "/link")] {
        let scene = with_links(&[("/run", to)])?
            .command([SUBJECT, NEW_ROOT, init])
            .in_new_root(|tree| {
                tree.directory("/usr")
                    .symlink("/link", "usr/to-init")
                    .symlink("/usr/to-init", "../sbin/init")
            });
        refuses(
            &scene,
            &["/run of the new root leads to /", "hide the init"],
        )?;
    }
    Ok(())
}

fn a_link_to_a_mount_of_the_new_root_leaves_that_alone() -> Checked {
    for strategy in STRATEGIES {
        let scene = with_links(&[("/run", "/var/run")])?
            .options(["--strategy", strategy])
            .in_new_root(|tree| tree.tmpfs("/var/run").file("/var/run/own", "its own"))
            .look_at(["/run/own"]);
        let booted = boots(&scene)?;
        let own = &booted.seen.files["/run/own"].content;
        ensure!(own.as_deref() == Some("its own"), "{own:?}");
        let note = &booted.seen.files["/run/note"].content;
        ensure!(note.is_none(), "{note:?}");
    }
    Ok(())
}

fn carrying(scene: Scene, target: &str) -> Result<Scene, Stop> {
    let sidecar = format!(r#"{{"settings": {{"carry": {{"/some": "{target}"}}}}}}"#);
    Ok(scene
        .file("/some/file", "x")
        .policy("50-carry", policy("keep-paths")?, Some(&sidecar)))
}

fn nothing_is_carried_to_where_a_link_leads() -> Checked {
    for target in ["/tmp/new", "/tmp/there", "/tmp", "/way/to/new"] {
        let scene = with_links(&[("/run", "tmp")])?
            .in_new_root(|tree| tree.directory("/tmp/there").symlink("/way/to", "../tmp"));
        let booted = boots(&carrying(scene, target)?)?;
        booted.left(&["*/some"])?;
        says(
            &booted.report.survivor_note("/some"),
            &["nothing is carried into /tmp, where /run of the new root leads"],
        )?;
    }
    Ok(())
}

fn nothing_is_carried_over_what_a_link_leads_through() -> Checked {
    for target in ["/var", "/srv"] {
        let scene = with_links(&[("/run", "var/run")])?
            .in_new_root(|tree| tree.symlink("/var/run", "../srv/run").directory("/srv/run"));
        let booted = boots(&carrying(scene, target)?)?;
        booted.left(&["*/some"])?;
        says(
            &booted.report.survivor_note("/some"),
            &[&format!("{target} of the new root leads to /run")],
        )?;
        mounted_at(&booted.seen, "/srv/run", "tmpfs")?;
    }
    Ok(())
}

fn a_read_only_root_without_a_place_still_boots() -> Checked {
    for strategy in STRATEGIES {
        for place in ["/dev", "/proc", "/sys", "/run"] {
            let scene = boot()?
                .options(["--strategy", strategy])
                .new_root(NewRoot::ReadOnly)
                .without_target(place)
                .file("/gone", "x");
            let warning = format!("is read-only and has no directory {place}");
            let seen = runs(&scene, &[&warning, "detached"])?;
            let mounts = mount_points(&seen.mounts);
            ensure!(!mounts.contains_key(place), "{mounts:?}");
            let reported = seen.report.is_some();
            ensure!(reported == (place != "/run"), "{place}: {reported}");
        }
    }
    Ok(())
}

fn a_read_only_root_that_cannot_hold_what_is_kept_is_refused() -> Checked {
    for with_run in [true, false] {
        let mut scene = boot()?.new_root(NewRoot::ReadOnly).without_target("/run");
        if !with_run {
            scene = scene.without("/run");
        }
        refuses(
            &keeping(scene)?,
            &[
                "policy 50-keep keeps /kept",
                "is read-only and has no directory /run",
                "switch_root.policies=default",
            ],
        )?;
    }
    Ok(())
}

/// Boots whose /run takes no directory of ours, each with why.
fn closed_runs() -> Result<Vec<(Scene, &'static str)>, Stop> {
    const NAME: &str = "/run/switch-root";
    let tmpfs = |options: &str| Make::Mount {
        file_system: "tmpfs".into(),
        options: options.into(),
    };
    let full = boot()?
        .without("/run")
        .at_last("/run", tmpfs("nr_inodes=1"));
    let mounted = boot()?.at_last(NAME, tmpfs("size=1m"));
    Ok(vec![
        (
            boot()?.at_last("/run", Make::ReadOnlyMount),
            "that is read-only",
        ),
        (full, "that has no room for a file"),
        (
            boot()?.symlink(NAME, "/tmp"),
            "whose switch-root is not a directory",
        ),
        (
            boot()?.file(NAME, ""),
            "whose switch-root is not a directory",
        ),
        (
            mounted.at_last(NAME, Make::ReadOnlyMount),
            "whose switch-root is read-only",
        ),
    ])
}

fn a_run_where_nothing_can_be_made_cannot_hold_what_is_kept() -> Checked {
    for (scene, why) in closed_runs()? {
        let words = ["policy 50-keep keeps /kept", "has a /run", why];
        refuses(&keeping(scene)?, &words)?;
    }
    Ok(())
}

fn a_run_where_nothing_can_be_made_has_no_report() -> Checked {
    for (scene, why) in closed_runs()? {
        let seen = runs(&scene, &["no report", why])?;
        ensure!(seen.report.is_none(), "{why}: there is a report");
    }
    Ok(())
}

fn what_is_carried_needs_no_run() -> Checked {
    let scene = boot()?
        .new_root(NewRoot::ReadOnly)
        .without_target("/run")
        .file("/extensions.yaml", "layers: []\n")
        .in_new_root(|tree| tree.file("/etc/extensions.yaml", ""))
        .look_at(["/etc/extensions.yaml"]);
    let seen = runs(&scene, &["no report"])?;
    let file = &seen.files["/etc/extensions.yaml"].content;
    ensure!(file.as_deref() == Some("layers: []\\x0a"), "{file:?}");
    Ok(())
}

fn a_run_with_something_in_it_is_left_alone() -> Checked {
    for strategy in STRATEGIES {
        let scene = boot()?
            .options(["--strategy", strategy])
            .without("/run")
            .in_new_root(|tree| tree.file("/run/sshd/own", "its own"))
            .look_at(["/run/sshd/own", "/run/switch-root"]);
        let seen = runs(&scene, &["has something in its own /run", "no report"])?;
        let own = &seen.files["/run/sshd/own"].content;
        ensure!(own.as_deref() == Some("its own"), "{own:?}");
        let mounts = mount_points(&seen.mounts);
        ensure!(!mounts.contains_key("/run"), "{mounts:?}");
        let ours = seen.files["/run/switch-root"].mode;
        ensure!(ours.is_none(), "made on its disk");
    }
    Ok(())
}

fn a_run_with_something_in_it_cannot_hold_what_is_kept() -> Checked {
    let scene = boot()?
        .without("/run")
        .in_new_root(|tree| tree.file("/run/sshd/own", "its own"));
    refuses(
        &keeping(scene)?,
        &[
            "has something in its own /run",
            "mount a tmpfs on /run of the initramfs",
        ],
    )
}

fn no_run_is_made_for_the_sake_of_the_report() -> Checked {
    let scene = boot()?.without("/run").without_target("/run");
    let seen = runs(&scene, &["has no directory /run", "no report"])?;
    ensure!(
        !seen.top.iter().any(|path| path == "/run"),
        "{:?}",
        seen.top
    );
    Ok(())
}

fn a_run_is_made_for_what_is_kept() -> Checked {
    let scene = keeping(boot()?.without("/run").without_target("/run"))?;
    let booted = boots(&scene.look_at([format!("{PRESERVED}/kept").as_str()]))?;
    booted.read_only(&format!("{PRESERVED}/kept"), "kept")?;
    mounted_at(&booted.seen, "/run", "tmpfs")?;
    let left = booted.seen.left.clone().ok_or("nothing for root")?;
    ensure!(left.keys().eq(["/kept"]), "{LEFT}: {left:?}");
    Ok(())
}

fn copies_go_to_where_run_of_the_new_root_leads() -> Checked {
    let scene = boot()?
        .without_target("/run")
        .in_new_root(|tree| tree.symlink("/run", "var/run").tmpfs("/var/run"));
    let mut scene = keeping(scene)?.command([SUBJECT, "--preserve", NEW_ROOT, INIT]);
    scene.first_process = false;
    let outcome = play(&scene)?;
    let copy = "/sysroot/var/run/switch-root/preserved/kept";
    ensure!(
        outcome.after.everything.contains_key(copy),
        "{}",
        said(&outcome)
    );
    Ok(())
}
