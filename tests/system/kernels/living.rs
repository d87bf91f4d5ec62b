//! Processes of the initramfs that live on, and programs that the kernel starts later, where
//! `/` is the kernel's own rootfs.

use std::fs;

use switch_root_tests::companion::COMPANION;
use switch_root_tests::modules::folder;
use switch_root_tests::probe::HELPED;
use switch_root_tests::report::Report;
use switch_root_tests::scene::{Ending, NEW_ROOT, Scene};
use switch_root_tests::steps::{Content, Steps};
use switch_root_tests::testimony::Testimony;
use switch_root_tests::thorough;

use crate::check::ensure;
use crate::machines::Machine;
use crate::processes::daemons::{Daemon, each_daemon};
use crate::processes::{BRANCH, served_from, went_on};
use crate::tools::{Checked, Stop};
use crate::unanswering::living;

/// Where the module for FUSE lies in the initramfs.
const MODULE: &str = "/fuse.ko";

/// A boot with companions, which may serve FUSE.
fn with_companions(machine: &Machine) -> Result<Scene, Stop> {
    let mut scene = machine.scene().time_limit(300);
    scene.questions.ending = Ending::PowerOff;
    let scene = scene.executable(COMPANION, Content::Copy(machine.programs.probe.clone()));
    let modules = folder(&machine.kernel);
    let index = fs::read_to_string(modules.join("modules.dep"))?;
    let mut files = index.lines().filter_map(|line| line.split(':').next());
    let wanted = fs::read_to_string(modules.join("looked-for")).unwrap_or_default();
    if !wanted.split(' ').any(|name| name == "fuse") {
        return Err(Stop::Skip(format!(
            "{} was fetched without the module fuse: fetch it again (cargo xtask kernels)",
            machine.name()
        )));
    }
    // Some kernels have it built in.
    let Some(module) = files.find(|file| file.ends_with("/fuse.ko")) else {
        return Ok(scene);
    };
    let module = Content::Copy(modules.join(module));
    Ok(scene
        .file(MODULE, module)
        .before([COMPANION, "load", MODULE]))
}

/// Boots, and gives what init saw, and the report. Where the new root is read-only the
/// machine before the switch leaves no record.
fn up(machine: &Machine, scene: &Scene) -> Result<(Testimony, Report), Stop> {
    let boot = machine.boot(scene)?;
    let Some(seen) = boot.testimony else {
        return Err(Stop::Fail(format!(
            "init was not started\n{}",
            boot.console
        )));
    };
    ensure!(seen.settled, "it did not settle\n{}", boot.console);
    let report = seen.report.clone().map(Report);
    Ok((seen, report.ok_or("there is no report")?))
}

/// Once from a mount of the initramfs, and once from one of its directories.
pub fn goes_on_serving_the_new_root(machine: &Machine) -> Checked {
    for mounted in [true, false] {
        let scene = living(with_companions(machine)?, &["serve"]).file("/other/file", "deleted");
        let scene = match mounted {
            true => scene.tmpfs(BRANCH),
            false => scene,
        };
        let scene = served_from(scene, BRANCH)?.before([COMPANION, "serve", BRANCH, NEW_ROOT]);
        let (seen, report) = up(machine, &scene)?;
        went_on(&seen, &report, "serve")?;
        ensure!(report.deletion() == "complete", "{}", report.deletion());
    }
    Ok(())
}

/// With the first of the daemons, or all.
pub fn daemons_go_on_serving_the_new_root(machine: &Machine) -> Checked {
    let mut tried = 0;
    each_daemon(|daemon: &Daemon| {
        if tried > 0 && !thorough() {
            return Ok(());
        }
        let scene = living(with_companions(machine)?, &[daemon.name]);
        let (seen, report) = up(machine, &daemon.serves(scene)?)?;
        tried += 1;
        went_on(&seen, &report, daemon.name)
    })
}

/// By every strategy that there is, with others that live on and without.
pub fn starts_programs_in_the_new_root(machine: &Machine) -> Checked {
    let pivots = machine.can_pivot().then_some("pivot");
    for strategy in ["auto", "move"].into_iter().chain(pivots) {
        for others in [false, true] {
            let companion = Content::Copy(machine.programs.probe.clone());
            let mut scene = with_companions(machine)?
                .options(["--strategy", strategy])
                .file("/etc/os-release", "ID=initramfs\n")
                .in_new_root(|tree| tree.executable(COMPANION, companion));
            if others {
                let command = [COMPANION, "feed", "/run/fed"];
                scene = living(scene.before(command), &["feed"]);
            }
            scene.questions.helpers = true;
            let (seen, report) = up(machine, &scene)?;
            for (helper, _) in HELPED {
                let said = seen.helpers.get(helper).map(String::as_str);
                ensure!(
                    said.is_some_and(|said| said.starts_with("ID=probeos")),
                    "{strategy}, others {others}: {helper} saw {said:?}"
                );
            }
            let expected = match (strategy, machine.can_pivot()) {
                ("auto" | "pivot", true) if !others => "pivot",
                _ => "move",
            };
            ensure!(report.strategy() == expected, "{}", report.strategy());
        }
    }
    Ok(())
}
