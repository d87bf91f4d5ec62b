//! The machines that kernels are booted on, and what a boot there came to.

use std::path::{Path, PathBuf};

use switch_root_tests::architecture::Architecture;
use switch_root_tests::machine::{self, Boot, version};
use switch_root_tests::modules::release;
use switch_root_tests::report::Report;
use switch_root_tests::scene::Scene;
use switch_root_tests::steps::Content;
use switch_root_tests::testimony::{Stage1, Testimony};
use switch_root_tests::thorough;

use crate::check::ensure;
use crate::tools::{
    Checked, Stop, all_kernels, copied, kernels_of, named_by, policies, probe, small, subject,
};

/// The first kernel whose rootfs can be pivoted away.
const NULLFS: (u32, u32, u32) = (7, 0, 0);

/// The programs of one architecture.
#[derive(Clone)]
pub struct Programs {
    /// `switch_root`.
    pub subject: PathBuf,
    /// The build of it that has no compiler.
    pub small: PathBuf,
    /// The init of new roots.
    pub probe: PathBuf,
    /// A folder with policies that were compiled ahead of time.
    pub native: PathBuf,
}

/// A kernel, and the programs that it can execute.
pub struct Machine {
    /// The kernel's file.
    pub kernel: PathBuf,
    /// Programs of its architecture.
    pub programs: Programs,
}

/// A machine that came as far as init.
pub struct Up {
    /// What init saw.
    pub seen: Testimony,
    /// The report in the end.
    pub report: Report,
    /// The machine before the subject was started.
    pub before: Stage1,
}

/// Kernels for x86_64, and the programs that are tested in namespaces, too.
pub fn here() -> Result<Vec<Machine>, Stop> {
    let programs = Programs {
        subject: subject()?,
        small: small()?,
        probe: probe()?.into(),
        native: policies()?,
    };
    Ok(with(&programs, all_kernels()?))
}

/// Kernels for aarch64, and programs that were built for it on this machine.
pub fn aarch64() -> Result<Vec<Machine>, Stop> {
    const PROGRAMS: &str = "SWITCH_ROOT_AARCH64";
    if !thorough() && std::env::var_os(PROGRAMS).is_none() {
        return Err(Stop::NotThere("run by `cargo xtask prove aarch64`".into()));
    }
    let folder = named_by(PROGRAMS, "a directory with programs for aarch64")?;
    let programs = Programs {
        subject: folder.join("switch_root"),
        small: folder.join("switch_root-aot"),
        probe: folder.join("probe"),
        native: folder,
    };
    Ok(with(&programs, kernels_of(Architecture::Aarch64)?))
}

fn with(programs: &Programs, kernels: Vec<PathBuf>) -> Vec<Machine> {
    let machine = |kernel| Machine {
        kernel,
        programs: programs.clone(),
    };
    kernels.into_iter().map(machine).collect()
}

/// The oldest and the newest: the sample of what may take long. All are thorough.
pub fn sample<T>(mut oldest_first: Vec<T>) -> Vec<T> {
    if !thorough() {
        let inner = 1..oldest_first.len().saturating_sub(1).max(1);
        oldest_first.drain(inner);
    }
    oldest_first
}

/// Checks each machine of a list, and names it in what fails.
pub fn each(machines: Vec<Machine>, check: fn(&Machine) -> Checked) -> Checked {
    machines
        .iter()
        .try_for_each(|machine| check(machine).map_err(|stop| stop.during(&machine.name())))
}

impl Machine {
    /// The kernel's release, for sentences.
    pub fn name(&self) -> String {
        release(&self.kernel)
    }

    /// Whether this kernel's rootfs can be pivoted away.
    pub fn can_pivot(&self) -> bool {
        version(&self.name()) >= NULLFS
    }

    /// An ordinary boot with the program under test.
    pub fn scene(&self) -> Scene {
        Scene::boot(&self.programs.subject, &self.programs.probe)
    }

    /// The same with the build that has no compiler.
    pub fn small_scene(&self) -> Scene {
        Scene::boot(&self.programs.small, &self.programs.probe)
    }

    /// A policy that was compiled ahead of time for this machine.
    pub fn native(&self, name: &str) -> Result<Content, Stop> {
        copied(self.programs.native.join(format!("{name}.cwasm")))
    }

    /// Plays a scene.
    pub fn boot(&self, scene: &Scene) -> Result<Boot, Stop> {
        let scratch = tempfile::tempdir()?;
        let probe: &Path = &self.programs.probe;
        let boot = machine::boot(&self.kernel, scene, probe, scratch.path())?;
        Ok(boot)
    }

    /// Plays a scene that is to start the new root's init, and to end with a final report.
    pub fn up(&self, scene: &Scene) -> Result<Up, Stop> {
        let Boot {
            console,
            testimony,
            timed_out,
        } = self.boot(scene)?;
        let Some(seen) = testimony else {
            return Err(Stop::Fail(format!(
                "init was not started (timed out: {timed_out})\n{console}"
            )));
        };
        ensure!(
            seen.settled,
            "the deletion did not end: {:?}\n{console}",
            seen.report
        );
        let report = seen
            .report
            .clone()
            .map(Report)
            .ok_or("there is no report")?;
        let before = seen.stage1.clone().ok_or("stage 1 left no record")?;
        Ok(Up {
            seen,
            report,
            before,
        })
    }
}
