//! What happened, for the running system: `/run/switch-root/report.json`.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use policy::session::Dismissed;
use rustix::fs::{self, Mode, OFlags};
use switch_root_core::locations::REPORT;
use switch_root_core::outcome;
use switch_root_core::plan::{Outline, Steps};
use switch_root_core::report::{
    DeletionReport, DeletionState, DeletionTally, JudgeReport, PolicyReport, Report, ReviewReport,
    SCHEMA, Timings,
};

switch_root_core::outcomes! {
    /// That there is no report.
    pub enum Unwritten in "deletion" {
        /// `/run` is full. The kernel's log has the warnings.
        "SR-D20" Again { error: io::Error } = "the report cannot be written to /run/switch-root: {error}; it is tried once more",
        "SR-D21" Given { error: io::Error } = "the report cannot be written to /run/switch-root: {error}",
    }
}

/// The report of a plan that is about to be acted on.
pub fn of(outline: &Outline, steps: &Steps, account: Account) -> Report {
    let (warnings, warning_codes) = outcome::split(&outline.warnings);
    Report {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        boot_id: account.boot_id,
        kernel: account.kernel,
        strategy: steps.strategy(),
        new_root: steps.new_root.path.clone(),
        init: steps.init.path.clone(),
        policies: account.policies,
        masked_policies: account.masked_policies,
        review: account.review,
        judge: account.judge,
        survivors: outline.preserved.clone(),
        extensions: outline.extensions.clone(),
        processes: steps.processes.clone(),
        processes_more: steps.processes_more,
        deletion: DeletionReport {
            state: DeletionState::Running,
            reason: None,
            code: None,
            tally: DeletionTally::default(),
            time_us: 0,
            used_before: None,
            used_after: None,
            freed_bytes: None,
            memory_available_before: None,
            memory_available_after: None,
        },
        copied: None,
        warnings,
        warning_codes,
        timings: account.timings,
    }
}

/// Writes the report into its directory. Tries twice: an old one would say for ever
/// what is not so.
pub fn put(report: &mut Report, directory: &OwnedFd) {
    if let Err(error) = write(report, directory) {
        report.warn(Unwritten::Again { error });
        if let Err(error) = write(report, directory) {
            outcome::warn(&Unwritten::Given { error }.into());
        }
    }
}

/// Writes the report into its directory, whole or not at all.
fn write(report: &Report, directory: impl AsFd) -> io::Result<()> {
    let text = serde_json::to_vec_pretty(report)?;
    let temporary = ".report.json.new";
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::ROTH;
    let file: OwnedFd = fs::openat(&directory, temporary, flags, mode)?;
    let mut file = std::fs::File::from(file);
    io::Write::write_all(&mut file, &text)?;
    fs::renameat(&directory, temporary, &directory, REPORT)?;
    Ok(())
}

/// What was found out beside the plan, for the report.
#[derive(Default)]
pub struct Account {
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
    /// When what was done.
    pub timings: Timings,
}

#[cfg(test)]
mod tests;
