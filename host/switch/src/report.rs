//! What happened, for the running system: `/run/switch-root/report.json`. The
//! schema is described in REPORT.md and report.schema.json; whatever changes here
//! changes there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use policy::account::{ExtensionReport, PolicyReport, ReviewReport};
use policy::session::Dismissed;
use policy::survivors::Survivor;
use rustix::fs::{self, Mode, OFlags};
use serde::Serialize;
use switch_root_core::path::Path;

use crate::deletion::Tally;
use crate::plan::{Plan, Strategy};
use crate::preserve::CopyReport;
use crate::processes::Process;

/// The version of the schema. Fields may be added within one version; none is
/// removed or changes its meaning.
const SCHEMA: u32 = 1;

/// The file's name in [`DIRECTORY`].
const NAME: &str = "report.json";
/// Where the report and the survivors are, below /run.
pub const DIRECTORY: &str = "switch-root";

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Of the program that switched.
    pub version: &'static str,
    /// The kernel's name for this boot, which tells a reader whether the report is of
    /// the boot that it runs in; absent where the kernel does not tell.
    pub boot_id: Option<String>,
    /// `uname -r`; absent where the kernel does not tell.
    pub kernel: Option<String>,
    /// How it switched.
    pub strategy: Strategy,
    /// Where the new root was mounted.
    pub new_root: Path,
    /// The init, as given.
    pub init: Path,
    /// Every policy, in the order in which they were asked.
    pub policies: Vec<PolicyReport>,
    /// The names of policies that are masked, and were not asked.
    pub masked_policies: Vec<String>,
    /// Which directories and entries policies looked at.
    pub review: ReviewReport,
    /// What confined the process that ran them.
    pub judge: JudgeReport,
    /// What survived.
    pub survivors: Vec<Survivor>,
    /// Every extension that extensions.yaml names.
    pub extensions: Vec<ExtensionReport>,
    /// Processes of the initramfs that live on, fifty of them at most.
    pub processes: Vec<Process>,
    /// How many more there are.
    pub processes_more: u64,
    /// The deletion.
    pub deletion: DeletionReport,
    /// What was copied; absent where the program itself switched.
    pub copied: Option<CopyReport>,
    /// What was not as it should be.
    pub warnings: Vec<String>,
    /// Microseconds since the program started.
    pub timings: Timings,
}

/// The judge.
#[derive(Clone, Debug, Default, Serialize)]
pub struct JudgeReport {
    /// What confined it.
    #[serde(flatten)]
    pub protections: policy::session::Protections,
    /// The most memory it held.
    pub peak_kib: u64,
    /// From its start to its last answer.
    pub time_us: u64,
}

/// How far the deletion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DeletionState {
    /// Nothing is deleted.
    Skipped,
    /// It is going on.
    Running,
    /// It has ended.
    Complete,
}

/// The deletion.
#[derive(Clone, Debug, Serialize)]
pub struct DeletionReport {
    /// How far it is.
    pub state: DeletionState,
    /// Why nothing is deleted.
    pub reason: Option<String>,
    /// What was done; all zero before it has ended.
    #[serde(flatten)]
    pub tally: Tally,
    /// How long it took.
    pub time_us: u64,
    /// Bytes that the initramfs occupied before and after, as its file system
    /// accounts for them; absent before the deletion has ended, and where it
    /// does not count (ramfs).
    pub used_before: Option<u64>,
    /// See `used_before`.
    pub used_after: Option<u64>,
    /// The difference.
    pub freed_bytes: Option<u64>,
    /// `MemAvailable` before.
    pub memory_available_before: Option<u64>,
    /// `MemAvailable` after.
    pub memory_available_after: Option<u64>,
}

/// When what was done, in microseconds since the program started.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Timings {
    /// The policies had been asked.
    pub policies_us: u64,
    /// The plan was made.
    pub plan_us: u64,
    /// The new root was the root; absent where another program switches.
    pub switched_us: Option<u64>,
    /// The deletion had ended.
    pub deleted_us: Option<u64>,
    /// The copies were made; absent where the program itself switched.
    pub copied_us: Option<u64>,
}

impl Report {
    /// The report of a plan that is about to be acted on.
    pub fn new(plan: &Plan, facts: Facts) -> Self {
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            boot_id: facts.boot_id,
            kernel: facts.kernel,
            strategy: plan.strategy,
            new_root: plan.new_root.path.clone(),
            init: plan.init.path.clone(),
            policies: facts.policies,
            masked_policies: facts.masked_policies,
            review: facts.review,
            judge: facts.judge,
            survivors: plan.survivors.clone(),
            extensions: facts.extensions,
            processes: plan.processes.clone(),
            processes_more: plan.processes_more,
            deletion: DeletionReport {
                state: DeletionState::Running,
                reason: None,
                tally: Tally::default(),
                time_us: 0,
                used_before: None,
                used_after: None,
                freed_bytes: None,
                memory_available_before: None,
                memory_available_after: None,
            },
            copied: None,
            warnings: facts.warnings,
            timings: facts.timings,
        }
    }

    /// Records something that is not as it should be, and logs it.
    pub fn warn(&mut self, warning: String) {
        tracing::warn!("{warning}");
        self.warnings.push(warning);
    }

    /// Writes the report into its directory. Tries twice: an old one would say for ever
    /// what is not so.
    pub fn put(&mut self, directory: &OwnedFd) {
        if let Err(error) = self.write(directory) {
            self.warn(format!(
                "the report cannot be written to /run/switch-root: {error}; it is tried once more"
            ));
            if let Err(error) = self.write(directory) {
                tracing::warn!("the report cannot be written to /run/switch-root: {error}");
            }
        }
    }

    /// Writes the report into its directory, whole or not at all.
    fn write(&self, directory: impl AsFd) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self)?;
        let temporary = ".report.json.new";
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
        let file: OwnedFd = fs::openat(&directory, temporary, flags, mode)?;
        let mut file = std::fs::File::from(file);
        io::Write::write_all(&mut file, &text)?;
        fs::renameat(&directory, temporary, &directory, NAME)?;
        Ok(())
    }
}

/// What was found out beside the plan, for the report.
#[derive(Default)]
pub struct Facts {
    /// The kernel's name for this boot.
    pub boot_id: Option<String>,
    /// `uname -r`.
    pub kernel: Option<String>,
    /// Every policy.
    pub policies: Vec<PolicyReport>,
    /// The names of those that are masked.
    pub masked_policies: Vec<String>,
    /// How much they looked at.
    pub review: ReviewReport,
    /// What ran them; how much memory it held is known when it was waited for.
    pub judge: JudgeReport,
    /// Processes to be waited for before init is executed.
    pub judges: Dismissed,
    /// Every extension.
    pub extensions: Vec<ExtensionReport>,
    /// What is not as it should be.
    pub warnings: Vec<String>,
    /// When what was done.
    pub timings: Timings,
}

#[cfg(test)]
mod tests;
