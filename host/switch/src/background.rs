//! The deletion, after the switch: beside init, or before it, with the report
//! that it completes.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use nix::sys::prctl;
use nix::unistd::{ForkResult, fork};
use rustix::fs::{self, Mode, OFlags};
use switch_root_core::outcome::{self, Outcomes};
use switch_root_core::plan::{Deletion, Plan};
use switch_root_core::report::{DeletionState, DeletionTally, Failed, Report};
use switch_root_core::text::{bytes, count};

use crate::deletion::{self, Action};
use crate::preserved::{Hidden, Later};
use crate::proc::Proc;
use crate::report;
use crate::{kernel_log, start};

switch_root_core::outcomes! {
    /// What becomes of the deletion.
    pub enum Undeleted in "deletion" {
        /// The memory is not freed before the machine restarts.
        "SR-D01" Nothing { error: std::io::Error } = "nothing of the initramfs was deleted: {error}",
        /// Each is named in the report under `deletion.failed`: mostly files with the attribute `i`
        /// (chattr), or mounts that appeared meanwhile. The rest is gone.
        "SR-D03" Some { names: String } = "{names} of the initramfs could not be deleted",
        /// No process can be started concurrently with this one.
        "SR-D05" Foreground { error: nix::Error } = "the deletion cannot go on in the background ({error}): init waits for it",
    }
}

/// What the deletion works on.
pub struct Work<'a> {
    /// What was planned.
    pub plan: &'a Plan,
    /// Whether init waits for it.
    pub foreground: bool,
    /// The directory of the initramfs.
    pub old_root: OwnedFd,
    /// Where the report is, if anywhere.
    pub report_directory: Option<OwnedFd>,
    /// What is shown to all when nothing else is left.
    pub later: Option<Later>,
    /// The kernel's view of memory.
    pub proc: &'a Proc,
    /// When the program started.
    pub started: Instant,
}

/// Starts the deletion, or does it where the plan says so. Returns when init
/// can be executed.
pub fn start(work: Work<'_>, mut report: Report) {
    match &work.plan.outline().deletion {
        Deletion::Skip(reason) => {
            let place = work.report_directory.as_ref().map_or(
                "",
                |_| "; root finds all of it at /run/switch-root/private/initramfs",
            );
            let what =
                |reason: &str| format!("nothing of the initramfs is deleted: {reason}{place}");
            outcome::warn(&reason.clone().reworded(what));
            report.deletion.state = DeletionState::Skipped;
            report.deletion.reason = Some(reason.text.clone());
            report.deletion.code = reason.code;
            note_unpacking(&mut report);
            write(&work, &mut report);
            return;
        }
        Deletion::Delete => {}
    }
    write(&work, &mut report);
    if work.foreground {
        return delete(&work, report);
    }
    // SAFETY: there is one thread, so the child may use all that it inherits.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { .. }) => {}
        Ok(ForkResult::Child) => {
            // To be recognized in a list of processes.
            let _ = prctl::set_name(c"switch_root_rm");
            silence();
            delete(&work, report);
            // SAFETY: ends the child without the exit handlers of the program
            // that it was forked from.
            unsafe { libc::_exit(0) }
        }
        Err(error) => {
            report.warn(Undeleted::Foreground { error });
            delete(&work, report);
        }
    }
}

fn delete(work: &Work<'_>, mut report: Report) {
    report.deletion.used_before = used(&work.old_root);
    report.deletion.memory_available_before = work.proc.memory_available();
    let keep = work.plan.keep();
    let started = Instant::now();
    let outcome = work
        .old_root
        .try_clone()
        .and_then(|root| deletion::run(root, &keep, Action::Delete));
    let outcome = outcome.unwrap_or_else(|error| {
        let mut tally = DeletionTally::default();
        let text = error.to_string();
        let nothing = Undeleted::Nothing { error };
        tally.failed.push(Failed {
            path: "/".into(),
            error: text,
            code: Some(nothing.code()),
        });
        report.warn(nothing);
        tally
    });
    let time = started.elapsed();
    let after = used(&work.old_root);
    let deletion = &mut report.deletion;
    deletion.state = DeletionState::Complete;
    deletion.time_us = time.as_micros() as u64;
    deletion.used_after = after;
    deletion.freed_bytes = deletion
        .used_before
        .zip(after)
        .map(|(before, after)| before.saturating_sub(after));
    deletion.memory_available_after = work.proc.memory_available();
    deletion.tally = outcome;
    report.timings.deleted_us = Some(work.started.elapsed().as_micros() as u64);
    let freed = deletion
        .freed_bytes
        .map(|freed| format!(", {} freed", bytes(freed)))
        .unwrap_or_default();
    tracing::info!(
        "deleted {} and {} of the initramfs in {} ms{freed}",
        count(deletion.tally.files, "file", "files"),
        count(deletion.tally.directories, "directory", "directories"),
        time.as_millis(),
    );
    let failed = deletion.tally.failed.len() as u64 + deletion.tally.failed_more;
    if failed > 0 {
        report.warn(Undeleted::Some {
            names: count(failed, "name", "names"),
        });
    }
    show(work, &mut report);
    // Not on the way to init, which the kernel's log is too long for.
    note_unpacking(&mut report);
    write(work, &mut report);
}

/// Reports an initramfs that was not whole in the first place.
fn note_unpacking(report: &mut Report) {
    if let Some(failure) = kernel_log::failure() {
        report.warn(failure);
    }
}

/// Shows what is left to others than root, where that is no more than what policies keep.
fn show(work: &Work<'_>, report: &mut Report) {
    let tally = &report.deletion.tally;
    if !tally.failed.is_empty() || !tally.skipped_mounts.is_empty() {
        return;
    }
    if let Some(Err(error)) = work.later.as_ref().map(Later::show) {
        report.warn(Hidden::Preserved { error });
    }
}

/// Bytes that the file system says are in use; none where it does not count.
fn used(root: impl AsFd) -> Option<u64> {
    let stat = fs::fstatfs(root).ok()?;
    (stat.f_blocks > 0).then(|| (stat.f_blocks - stat.f_bfree) * stat.f_bsize as u64)
}

/// Writes the report, where there is a place for it.
fn write(work: &Work<'_>, report: &mut Report) {
    if let Some(directory) = &work.report_directory {
        report::put(report, directory);
    }
}

/// The console is init's from now on.
fn silence() {
    if let Ok(null) = fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()) {
        let _ = start::become_standard(&null);
    }
}
