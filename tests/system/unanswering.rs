//! File systems that do not answer: FUSE whose program was stopped stands for all of them.
//! A mount of the initramfs is never accessed, and a new root is refused in time.

use std::path::Path;
use std::time::{Duration, Instant};

use switch_root_tests::companion::COMPANION;
use switch_root_tests::fuse;
use switch_root_tests::outcome::End;
use switch_root_tests::scene::{INIT, NEW_ROOT, NewRoot, SUBJECT, Scene};
use switch_root_tests::steps::{Content, Make, Steps};

use crate::check::{boots, content, ensure, refuses, said, says};
use crate::command_line::with_shell;
use crate::tools::{Checked, Policies, Stop, boot, cases, need_privileges, play, policy, probe};

cases![
    hung_mount_in_the_root_does_not_block_the_switch,
    hung_mount_in_the_root_does_not_block_the_plan,
    hung_mount_that_a_policy_keeps_does_not_block_the_switch,
    hung_new_root_is_refused_in_time,
    new_root_of_a_hung_layer_is_refused_in_time,
    overlay_layer_that_a_hung_mount_covers_is_kept,
    overlay_layer_on_a_hung_mount_keeps_everything,
];

/// A boot with companions, which may serve FUSE.
pub fn with_companions(scene: Scene) -> Result<Scene, Stop> {
    need_privileges()?;
    if !Path::new(fuse::DEVICE).exists() {
        let reason = format!("there is no {}: load the module fuse", fuse::DEVICE);
        return Err(Stop::Skip(reason));
    }
    let (major, minor) = fuse::DEVICE_NUMBER;
    let device = Make::Device {
        block: false,
        major,
        minor,
    };
    Ok(scene
        .executable(COMPANION, Content::Copy(probe()?.into()))
        .make(fuse::DEVICE, device))
}

/// A boot with a mount in `/` that does not answer, and a policy that looks into `/`.
fn hung(keep: &str) -> Result<Scene, Stop> {
    let sidecar = format!(r#"{{"settings": {{"keep": ["{keep}"]}}}}"#);
    let scene = with_companions(boot()?)?
        .file("/served/file", "served")
        .directory("/hung")
        .file("/kept/file", "kept")
        .policy("50-keep", policy("keep-paths")?, Some(&sidecar));
    Ok(living(
        scene.before([COMPANION, "stopped", "/served", "/hung"]),
        &["stopped"],
    ))
}

/// The names of companions that live on.
pub fn living(mut scene: Scene, names: &[&str]) -> Scene {
    let names = names.iter().map(|name| (*name).to_owned());
    scene.questions.living.extend(names);
    scene
}

fn hung_mount_in_the_root_does_not_block_the_switch() -> Checked {
    for strategy in ["move", "pivot"] {
        let scene = hung("/kept/**")?.options(["--strategy", strategy]);
        let booted = boots(&scene)?;
        // Whoever serves it may serve more, and keeps what it uses.
        booted.left(&[
            "*/kept", "*/served", COMPANION, "/hung", "/dev", "/proc", "/run", "/sys",
        ])?;
    }
    Ok(())
}

fn hung_mount_in_the_root_does_not_block_the_plan() -> Checked {
    let outcome = play(&hung("/kept/**")?.options(["--plan"]))?;
    ensure!(outcome.end == End::Exited(0), "{}", said(&outcome));
    says(&outcome.stdout, &["keep       /kept", "deletes "])?;
    ensure!(outcome.changes().is_empty(), "{:?}", outcome.changes());
    Ok(())
}

fn hung_mount_that_a_policy_keeps_does_not_block_the_switch() -> Checked {
    let booted = boots(&hung("/hung")?)?;
    let left: Vec<&String> = booted.outcome.after.initramfs.keys().collect();
    // With what whoever serves it uses, or would have served.
    let expected = [
        "/bin",
        COMPANION,
        "/dev",
        "/hung",
        "/proc",
        "/run",
        "/served",
        "/served/file",
        "/sys",
    ];
    ensure!(left == expected, "{left:?}");
    Ok(())
}

fn hung_new_root_is_refused_in_time() -> Checked {
    let scene = with_companions(boot()?.new_root(NewRoot::Missing))?;
    let scene = scene
        .directory(NEW_ROOT)
        .directory("/served")
        .before([COMPANION, "stopped", "/served", NEW_ROOT]);
    let started = Instant::now();
    refuses(
        &scene,
        &["/sysroot", "30 s", "fuse.companion", "does not answer"],
    )?;
    let took = started.elapsed();
    ensure!(
        took >= Duration::from_secs(29),
        "it was refused after {took:?}"
    );
    Ok(())
}

/// A boot whose process 1 mounts FUSE on `/hung`, of what is in `/served`, and an overlay of
/// `/hung/lower` on `point`; then FUSE stops answering.
fn over_a_hung_layer(scene: Scene, point: &str) -> Result<Scene, Stop> {
    let script = format!(
        "/bin/busybox mount -t overlay -o lowerdir=/hung/lower:/other served {point} \
         && /bin/busybox killall -STOP companion && exec {SUBJECT} {NEW_ROOT} {INIT}"
    );
    let scene = with_shell(with_companions(scene)?, &script)?
        .file("/served/lower/layer", "layer")
        .directory("/hung")
        .directory("/other")
        .before([COMPANION, "serve", "/served", "/hung"]);
    Ok(living(scene, &["serve"]))
}

fn new_root_of_a_hung_layer_is_refused_in_time() -> Checked {
    let scene = boot()?.new_root(NewRoot::Missing).directory(NEW_ROOT);
    // Not `refuses`: the script before has mounted something.
    let outcome = play(&over_a_hung_layer(scene, NEW_ROOT)?)?;
    ensure!(outcome.end == End::Exited(1), "{}", said(&outcome));
    ensure!(outcome.testimony.is_none(), "{}", said(&outcome));
    let words = ["/sysroot", "30 s", "fuse.companion", "/hung"];
    says(&outcome.stderr, &words)?;
    says(&outcome.stderr, &["does not answer", "nothing was changed"])
}

fn overlay_layer_that_a_hung_mount_covers_is_kept() -> Checked {
    let overlay = Make::Mount {
        file_system: "overlay".into(),
        options: "lowerdir=/lower/system:/more".into(),
    };
    let scene = with_companions(boot()?.new_root(NewRoot::Unmounted))?
        .file("/served/file", "served")
        .file("/other/file", "not kept")
        .file("/more/etc/more", "")
        .at_last(
            "/lower/system",
            Make::Renamed {
                from: NEW_ROOT.into(),
            },
        )
        .at_last(NEW_ROOT, overlay)
        .look_at(["/etc/os-release", "/etc/more"])
        .before([COMPANION, "stopped", "/served", "/lower"]);
    let booted = boots(&living(scene, &["stopped"]))?;
    says(
        &booted.outcome.stderr,
        &["locating /lower/system", "a mount there does not answer"],
    )?;
    // Two of them for the sake of whoever serves the mount.
    let expected = [COMPANION, "/lower/system", "/more", "/served"];
    let preserved = booted.report.survivors();
    ensure!(preserved.keys().eq(expected), "{:?}", preserved.keys());
    // The mount stays, and covers it: that it is there is seen in the new root.
    for path in ["/etc/os-release", "/etc/more"] {
        ensure!(content(&booted.seen, path).is_some(), "{path} is gone");
    }
    Ok(())
}

fn overlay_layer_on_a_hung_mount_keeps_everything() -> Checked {
    let scene = boot()?.directory("/sysroot/data").file("/file", "x");
    let booted = boots(&over_a_hung_layer(scene, "/sysroot/data")?)?;
    booted.everything_left()?;
    says(
        booted.report.deletion_reason(),
        &["the layer /hung/lower", "cannot be located"],
    )
}
