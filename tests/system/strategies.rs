//! Both ways to hand over, and the mounts that init finds.

use switch_root_tests::outcome::mount_points;
use switch_root_tests::scene::{NEW_ROOT, NewRoot, Root, Scene};
use switch_root_tests::steps::{Make, Steps};

use crate::check::{Booted, boots, ensure, says};
use crate::tools::{Checked, Policies, Stop, boot, cases, need_privileges, policy};

cases![
    moved_the_machine_is_handed_over,
    pivoted_the_machine_is_handed_over,
    where_it_can_be_pivoted_it_is,
    pivoted_no_mount_is_hidden_below_the_new_root,
    what_is_mounted_below_moves_along,
    in_the_foreground_the_deletion_ends_before_init_starts,
    in_the_background_the_deletion_ends_by_itself,
    a_shared_root_is_no_obstacle,
    a_ramfs_is_emptied_too,
    a_read_only_new_root_is_enough,
    a_read_only_new_root_that_lacks_a_carry_target_is_reported,
    a_missing_place_for_a_mount_is_made,
    without_proc_the_machine_is_handed_over,
    without_run_the_report_is_where_it_always_is,
    a_place_that_is_a_mount_point_already_stops_nothing,
    nothing_is_left_behind_in_the_new_root,
];

/// A boot with a survivor of each kind: kept and carried.
fn full(strategy: &str) -> Result<Scene, Stop> {
    let sidecar = r#"{"settings": {"keep": ["/kept/**"]}}"#;
    let scene = boot()?
        .options(["--strategy", strategy])
        .file("/extensions.yaml", "layers: []\n")
        .file("/kept/below/file", "kept")
        .file("/other/file", "deleted")
        .policy("50-keep", policy("keep-paths")?, Some(sidecar));
    let kept = "/run/switch-root/preserved/kept/below/file";
    Ok(scene.look_at(["/etc/extensions.yaml", kept]))
}

/// Checks that the four file systems are where init expects them.
fn pseudo_file_systems(booted: &Booted) -> Checked {
    let mounts = mount_points(&booted.seen.mounts);
    for (place, expected) in [
        ("/proc", "proc"),
        ("/sys", "sysfs"),
        ("/dev", "tmpfs"),
        ("/run", "tmpfs"),
        ("/", "tmpfs"),
    ] {
        let found = mounts.get(place).map(String::as_str);
        ensure!(
            found == Some(expected),
            "{place} is {found:?}\n{}",
            booted.seen.mounts.join("\n")
        );
    }
    Ok(())
}

fn handed_over(strategy: &str) -> Checked {
    let booted = boots(&full(strategy)?)?;
    let report = &booted.report;
    ensure!(
        report.strategy() == strategy,
        "the strategy was {}",
        report.strategy()
    );
    ensure!(
        report.deletion() == "complete",
        "the deletion is {}",
        report.0["deletion"]
    );
    booted.left(&["/extensions.yaml", "*/kept"])?;
    booted.freed(10)?;
    booted.read_only("/etc/extensions.yaml", "layers: []\\x0a")?;
    booted.read_only("/run/switch-root/preserved/kept/below/file", "kept")?;
    pseudo_file_systems(&booted)?;
    // What init finds there is what is left of the initramfs, byte for byte.
    let preserved = booted
        .seen
        .preserved
        .as_ref()
        .ok_or("there is nothing preserved")?;
    ensure!(
        preserved == &booted.outcome.after.initramfs,
        "preserved: {:?}\nleft: {:?}",
        preserved.keys(),
        booted.outcome.after.initramfs.keys()
    );
    ensure!(
        booted.seen.left.as_ref() == Some(preserved),
        "left for root: {:?}",
        booted.seen.left
    );
    Ok(())
}

fn moved_the_machine_is_handed_over() -> Checked {
    handed_over("move")
}

fn pivoted_the_machine_is_handed_over() -> Checked {
    handed_over("pivot")
}

fn where_it_can_be_pivoted_it_is() -> Checked {
    let booted = boots(&full("auto")?)?;
    ensure!(
        booted.report.strategy() == "pivot",
        "{}",
        booted.report.strategy()
    );
    Ok(())
}

fn pivoted_no_mount_is_hidden_below_the_new_root() -> Checked {
    let booted = boots(&full("pivot")?.tmpfs("/data"))?;
    let mut places: Vec<_> = booted
        .seen
        .mounts
        .iter()
        .filter_map(|line| line.split(' ').nth(4))
        // Without privileges the devices are bind mounts.
        .filter(|place| !place.starts_with("/dev/"))
        .collect();
    places.sort_unstable();
    let expected = [
        "/",
        "/dev",
        "/etc/extensions.yaml",
        "/proc",
        "/run",
        "/run/switch-root/preserved",
        "/run/switch-root/preserved/extensions.yaml",
        "/run/switch-root/preserved/kept",
        "/run/switch-root/private/initramfs",
        "/sys",
    ];
    ensure!(places == expected, "{}", booted.seen.mounts.join("\n"));
    Ok(())
}

fn what_is_mounted_below_moves_along() -> Checked {
    for strategy in ["move", "pivot"] {
        let scene = boot()?
            .options(["--strategy", strategy])
            .tmpfs("/dev/shm")
            .tmpfs("/run/credentials")
            .file("/dev/shm/file", "shm")
            .file("/run/credentials/secret", "secret")
            .look_at(["/dev/shm/file", "/run/credentials/secret"]);
        let booted = boots(&scene)?;
        let mounts = mount_points(&booted.seen.mounts);
        for (mount, file, content) in [
            ("/dev/shm", "/dev/shm/file", "shm"),
            ("/run/credentials", "/run/credentials/secret", "secret"),
        ] {
            ensure!(
                mounts.contains_key(mount),
                "{strategy}: no mount at {mount}"
            );
            let seen = booted.seen.files[file].content.as_deref();
            ensure!(seen == Some(content), "{strategy}: {file} holds {seen:?}");
        }
    }
    Ok(())
}

fn in_the_foreground_the_deletion_ends_before_init_starts() -> Checked {
    for strategy in ["move", "pivot"] {
        let scene = full(strategy)?.options(["--foreground"]);
        let scene = scene.make(
            "/many",
            Make::Many {
                directories: 20,
                files: 100,
                bytes: 100,
            },
        );
        let Booted { seen, .. } = boots(&scene)?;
        ensure!(
            seen.preserved_at_start == seen.preserved,
            "the deletion was still running"
        );
        ensure!(
            seen.report_at_start == seen.report,
            "the report was not final"
        );
    }
    Ok(())
}

fn in_the_background_the_deletion_ends_by_itself() -> Checked {
    let scene = boot()?.make(
        "/many",
        Make::Many {
            directories: 100,
            files: 100,
            bytes: 100,
        },
    );
    let booted = boots(&scene)?;
    let state = booted
        .seen
        .report_at_start
        .ok_or("there was no report at the start")?;
    let state = state["deletion"]["state"].clone();
    ensure!(
        state == "running" || state == "complete",
        "the deletion was {state}"
    );
    ensure!(
        booted.report.deletion() == "complete",
        "it is {}",
        booted.report.deletion()
    );
    Ok(())
}

fn a_shared_root_is_no_obstacle() -> Checked {
    for strategy in ["move", "pivot"] {
        let scene = full(strategy)?
            .at_last("/", Make::Shared)
            .at_last(NEW_ROOT, Make::Shared)
            .at_last("/run", Make::Shared);
        let booted = boots(&scene)?;
        pseudo_file_systems(&booted)?;
        booted.left(&["/extensions.yaml", "*/kept"])?;
    }
    Ok(())
}

fn a_ramfs_is_emptied_too() -> Checked {
    need_privileges()?;
    let mut scene = full("auto")?;
    scene.root = Root::Memory("ramfs".into());
    boots(&scene)?.left(&["/extensions.yaml", "*/kept"])
}

fn a_read_only_new_root_is_enough() -> Checked {
    for strategy in ["move", "pivot"] {
        let scene = full(strategy)?.new_root(NewRoot::ReadOnly);
        let booted = boots(&scene.in_new_root(|tree| tree.file("/etc/extensions.yaml", "")))?;
        pseudo_file_systems(&booted)?;
        booted.read_only("/etc/extensions.yaml", "layers: []\\x0a")?;
        booted.left(&["/extensions.yaml", "*/kept"])?;
    }
    Ok(())
}

fn a_read_only_new_root_that_lacks_a_carry_target_is_reported() -> Checked {
    let booted = boots(&full("auto")?.new_root(NewRoot::ReadOnly))?;
    booted.left(&["/extensions.yaml", "*/kept"])?;
    let carried = booted.report.carried_to("/extensions.yaml");
    ensure!(carried.is_none(), "carried to {carried:?}");
    says(
        &booted.report.survivor_note("/extensions.yaml"),
        &["read-only", "/etc/extensions.yaml"],
    )
}

fn a_missing_place_for_a_mount_is_made() -> Checked {
    for strategy in ["move", "pivot"] {
        let mut scene = full(strategy)?;
        scene.targets.clear();
        let booted = boots(&scene)?;
        pseudo_file_systems(&booted)?;
        booted.left(&["/extensions.yaml", "*/kept"])?;
    }
    Ok(())
}

fn without_proc_the_machine_is_handed_over() -> Checked {
    // Another proc is needed for a moment, which a user namespace does not give.
    need_privileges()?;
    for strategy in ["move", "pivot"] {
        let booted = boots(&full(strategy)?.without("/proc"))?;
        booted.left(&["/extensions.yaml", "*/kept"])?;
        booted.read_only("/etc/extensions.yaml", "layers: []\\x0a")?;
    }
    Ok(())
}

fn without_run_the_report_is_where_it_always_is() -> Checked {
    let booted = boots(&full("auto")?.without("/run"))?;
    booted.left(&["/extensions.yaml", "*/kept"])
}

fn a_place_that_is_a_mount_point_already_stops_nothing() -> Checked {
    for strategy in ["move", "pivot"] {
        let scene = full(strategy)?.in_new_root(|tree| tree.tmpfs("/run"));
        boots(&scene)?.left(&["/extensions.yaml", "*/kept"])?;
    }
    Ok(())
}

fn nothing_is_left_behind_in_the_new_root() -> Checked {
    for strategy in ["move", "pivot"] {
        let scene = full(strategy)?.in_new_root(|tree| tree.file("/etc/extensions.yaml", ""));
        let before = ["/dev", "/etc", "/proc", "/run", "/sbin", "/sys"];
        let booted = boots(&scene)?;
        ensure!(booted.seen.top == before, "{:?}", booted.seen.top);
    }
    Ok(())
}
