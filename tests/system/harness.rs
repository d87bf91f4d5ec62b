//! The harness itself, tried with a switch_root whose behaviour is known: that of
//! busybox. What it deletes and what it leaves is seen and measured.

use switch_root_tests::outcome::End;
use switch_root_tests::scene::{INIT, NEW_ROOT, NewRoot, SUBJECT, Scene};
use switch_root_tests::steps::{Make, Steps};

use crate::check::{ensure, said};
use crate::tools::{Checked, Stop, boot_kernel, cases, kernels, play, probe, program};

cases![
    a_switch_that_deletes_everything_is_seen_to,
    a_switch_that_fails_is_seen_to,
    what_init_gets_is_seen,
    a_subject_that_hangs_is_killed,
    an_emptied_rootfs_is_measured_in_a_virtual_machine,
];

/// A boot with busybox, which wants an `/init` and stands under its own name.
fn busybox() -> Result<Scene, Stop> {
    let busybox = program("busybox")?;
    let scene = Scene::boot(&busybox, probe()?).executable("/init", "#!/bin/sh\n");
    Ok(scene.command([SUBJECT, NEW_ROOT, INIT, "argument"]))
}

fn a_switch_that_deletes_everything_is_seen_to() -> Checked {
    let scene = busybox()?
        .file(b"/odd\xff\nname", "x")
        .make(
            "/many",
            Make::Many {
                directories: 10,
                files: 50,
                bytes: 5000,
            },
        )
        .tmpfs("/data")
        .file("/data/file", "on another file system");
    let outcome = play(&scene)?;
    let all = said(&outcome);
    ensure!(outcome.end == End::Exited(0), "{all}");
    ensure!(outcome.testimony.is_some(), "no testimony\n{all}");
    ensure!(
        outcome.before.initramfs.contains_key("/odd\\xff\\x0aname"),
        "odd name not seen"
    );
    ensure!(
        outcome.before.usage.inodes > 500,
        "usage before: {:?}",
        outcome.before.usage
    );
    ensure!(
        outcome.before.usage.bytes > 2_500_000,
        "usage before: {:?}",
        outcome.before.usage
    );
    // busybox leaves directories, and what is mounted.
    let left = outcome.after.initramfs.iter();
    let left: Vec<_> = left
        .filter(|(_, entry)| entry.kind != "directory")
        .collect();
    let mounts: Vec<_> = left
        .iter()
        .filter(|(_, entry)| entry.kind == "mount")
        .collect();
    ensure!(left.len() == mounts.len() && mounts.len() == 5, "{left:?}");
    ensure!(
        outcome.after.usage.inodes < 30,
        "usage after: {:?}",
        outcome.after.usage
    );
    Ok(())
}

fn a_switch_that_fails_is_seen_to() -> Checked {
    let outcome = play(&busybox()?.new_root(NewRoot::Unmounted))?;
    let all = said(&outcome);
    ensure!(
        outcome.testimony.is_none() && outcome.end != End::Exited(0),
        "{all}"
    );
    ensure!(outcome.stderr.contains("must be a mountpoint"), "{all}");
    ensure!(outcome.changes().is_empty(), "{:?}", outcome.changes());
    Ok(())
}

fn what_init_gets_is_seen() -> Checked {
    let scene = busybox()?.look_at(["/etc/os-release"]);
    let outcome = play(&scene)?;
    let seen = outcome.testimony.clone().ok_or_else(|| said(&outcome))?;
    ensure!(seen.process == 1, "process {}", seen.process);
    ensure!(
        seen.environment == ["HOME=/", "PATH=/sbin:/bin"],
        "{:?}",
        seen.environment
    );
    ensure!(
        seen.directory == "/",
        "working directory {}",
        seen.directory
    );
    let file = &seen.files["/etc/os-release"];
    ensure!(
        file.content
            .as_ref()
            .is_some_and(|text| text.starts_with("ID=probeos")),
        "{file:?}"
    );
    ensure!(file.write_error.is_none(), "{file:?}");
    Ok(())
}

fn a_subject_that_hangs_is_killed() -> Checked {
    let mut scene = busybox()?.symlink("/bin/sleep", "switch_root");
    scene = scene.command(["/bin/sleep", "1000"]);
    scene.time_limit_ms = 300;
    let outcome = play(&scene)?;
    ensure!(outcome.end == End::TimedOut, "{}", said(&outcome));
    Ok(())
}

fn an_emptied_rootfs_is_measured_in_a_virtual_machine() -> Checked {
    let kernels = kernels()?;
    let kernel = kernels.first().ok_or("there is no kernel")?;
    let scene = busybox()?.make(
        "/many",
        Make::Many {
            directories: 10,
            files: 100,
            bytes: 65536,
        },
    );
    let boot = boot_kernel(kernel, &scene)?;
    let seen = boot.testimony.ok_or(boot.console)?;
    let before = seen.stage1.ok_or("stage 1 left no record")?;
    ensure!(
        before.usage.bytes > 64 << 20,
        "usage before: {:?}",
        before.usage
    );
    let (was, is) = (before.memory["MemAvailable"], seen.memory["MemAvailable"]);
    ensure!(is > was + 60_000, "available: {was} kB, then {is} kB");
    Ok(())
}
