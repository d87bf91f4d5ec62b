//! File systems that do not answer: FUSE whose program was stopped stands for all of them.
//! A mount of the initramfs is never accessed, and a new root is refused in time.

use std::path::Path;
use std::time::{Duration, Instant};

use switch_root_tests::companion::COMPANION;
use switch_root_tests::fuse;
use switch_root_tests::outcome::End;
use switch_root_tests::scene::{NEW_ROOT, NewRoot, Scene};
use switch_root_tests::steps::{Content, Make, Steps};

use crate::check::{boots, ensure, refuses, said, says};
use crate::tools::{Checked, Policies, Stop, boot, cases, need_privileges, play, policy, probe};

cases![
    hung_mount_in_the_root_does_not_block_the_switch,
    hung_mount_in_the_root_does_not_block_the_plan,
    hung_mount_that_a_policy_keeps_does_not_block_the_switch,
    hung_new_root_is_refused_in_time,
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
        booted.left(&["*/kept"])?;
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
    ensure!(left == ["/hung"], "{left:?}");
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
