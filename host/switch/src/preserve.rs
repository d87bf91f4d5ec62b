//! `--preserve`: for an initramfs whose init switches and deletes by itself, such as
//! systemd. The plan is made as for any switch; then what survives is copied to /run,
//! which outlives the switch, and what is carried is bound out of there.
//!
//! Copied, not bound: systemd deletes files of the initramfs one by one, which a mount
//! of them does not prevent, where it cannot pivot (before Linux 7.0).

mod earlier;
mod entry;
mod size;
mod store;
mod view;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::fs::{self, Mode, OFlags};
use switch_root_core::keep::Keep;
use switch_root_core::locations::{PRESERVED, PRIVATE, WHOLE};
use switch_root_core::path::Path;
use switch_root_core::plan::{Copies, Deletion, ForRoot, LeftOut, Outline, Steps};
use switch_root_core::preserved::{Survivor, is_by_policy};
use switch_root_core::report::{CopyReport, CopyTally, DeletionState, Failed, MAX_LISTED, Report};
use switch_root_core::text::{bytes, count};
use walk::Pair;

use crate::carry::not_bound;
use crate::confirm;
use crate::directories::{self, make_directory};
use crate::mount_calls::{Extent, attach, read_only_copy};
use crate::planner::{is_moved_too, not_copied};
use crate::preserved::{self};
use crate::proc::Proc;
use crate::report;
use crate::report::Account;
use crate::{carry, kernel_log, listing};

pub use size::{measure, room};
pub use store::Store;
pub use view::{Uncovered, View, uncover};

/// What is open for copies.
pub struct ToCopy {
    /// Where they go.
    pub store: Store,
    /// The initramfs without the mounts of its directories on themselves, where there are any.
    pub view: Option<View>,
}

/// What is added to the name of copies while they are made.
const UNFINISHED: &str = ".new";

/// Carries out a plan that leaves the switch to another program.
///
/// # Errors
/// Why nothing was done: a sentence for the operator. Later failures are recorded,
/// and stop nothing.
pub fn act(
    (outline, steps, copies): (&Outline, &Steps, &Copies),
    (old_root, new_root): (OwnedFd, OwnedFd),
    ToCopy { store, view }: ToCopy,
    mut account: Account,
    proc: &Proc,
    started: Instant,
) -> Result<(), String> {
    confirm::confirm(steps, &new_root)?;
    let mut judges = std::mem::take(&mut account.judges);
    let mut report = report::of(outline, steps, account);
    report.judge.peak_kib = judges.wait();
    report.deletion.state = DeletionState::Skipped;
    if let Deletion::Skip(reason) = &outline.deletion {
        report.deletion.reason = Some(reason.text.clone());
        report.deletion.code = reason.code;
    }
    let directory = match store.directory() {
        Ok(directory) => directory,
        Err(error) => {
            report.warn(directories::no_directory(&error));
            return Ok(());
        }
    };
    for warning in earlier::unmount(&store, &steps.new_root.path.0, proc) {
        report.warn(warning);
    }
    let from = view.as_ref().map_or(&old_root, View::root);
    let began = Instant::now();
    let mut tally = CopyTally::default();
    let mut done = |outcome: io::Result<(OwnedFd, CopyTally)>, to: &Path, report: &mut Report| {
        let outcome = outcome.map(|(copy, more)| {
            tally.add(more);
            copy
        });
        outcome
            .inspect_err(|error| report.warn(format!("nothing can be copied to {to}: {error}")))
            .ok()
    };
    let outcome = copy(&copies.paths, from, &directory, PRESERVED);
    let copy = done(outcome, &copies.to, &mut report);
    let private = copies.for_root.as_ref().and_then(|ForRoot { to, paths }| {
        let outcome = preserved::private(&directory)
            .and_then(|private| self::copy(paths, from, &private, WHOLE));
        done(outcome, to, &mut report)
    });
    if copies.for_root.is_none()
        && let Err(error) = without_private(&directory)
    {
        report.warn(format!(
            "what an earlier run has copied to {} cannot be removed: {error}",
            store.whole()
        ));
    }
    for Failed { path, error } in &tally.failed {
        tracing::warn!("{path} cannot be copied, or not as it is: {error}");
    }
    let failed = tally.failed.len() as u64 + tally.failed_more;
    if failed > 0 {
        report.warn(format!(
            "{} of the initramfs could not be copied, or not as it is",
            count(failed, "name", "names")
        ));
    }
    // Mounted since the plan was made.
    let new = tally.skipped_mounts.iter().filter(|point| {
        !copies.mounts.contains(point) && !is_moved_too(point, &steps.new_root.path)
    });
    for point in new {
        report.warn(not_copied(point));
    }
    let missing = missing(
        (&outline.preserved, &steps.new_root.path),
        copies,
        (copy.as_ref(), private.as_ref()),
        &tally,
    );
    for (path, error) in missing.iter().take(MAX_LISTED) {
        report.warn(format!("{path} does not survive: {error}"));
    }
    if let Some(more @ 1..) = missing.len().checked_sub(MAX_LISTED) {
        report.warn(format!(
            "{} that policies keep do not survive either",
            count(more as u64, "path", "paths")
        ));
    }
    report
        .survivors
        .retain(|survivor| !missing.contains_key(&survivor.path));
    if let Some(copy) = &copy {
        carry_out(copy, &new_root, &mut report);
        record_unsealed(seal(&directory, PRESERVED), &copies.to, &mut report);
    }
    if let (Some(_), Some(ForRoot { to, .. })) = (&private, &copies.for_root) {
        let sealed = preserved::private(&directory).and_then(|private| seal(&private, WHOLE));
        record_unsealed(sealed, to, &mut report);
    }
    let time = began.elapsed();
    tracing::info!(
        "copied {} and {} of the initramfs to {} in {} ms ({})",
        count(tally.files, "file", "files"),
        count(tally.directories, "directory", "directories"),
        copies.to,
        time.as_millis(),
        bytes(tally.bytes),
    );
    report.copied = Some(CopyReport {
        tally,
        missing: missing.into_iter().map(failure).collect(),
        time_us: time.as_micros() as u64,
    });
    if let Some(failure) = kernel_log::failure() {
        report.warn(failure);
    }
    report.timings.copied_us = Some(started.elapsed().as_micros() as u64);
    report::put(&mut report, &directory);
    Ok(())
}

/// Copies these paths into a directory of this name, and takes away what an earlier run has
/// copied. The copies have their name when they are whole.
fn copy(
    paths: &[Path],
    old_root: &OwnedFd,
    directory: &OwnedFd,
    name: &str,
) -> io::Result<(OwnedFd, CopyTally)> {
    let unfinished = format!("{name}{UNFINISHED}");
    earlier::remove(directory, name)?;
    earlier::remove(directory, &unfinished)?;
    make_directory(directory, &unfinished)?;
    let to = store::within(directory, &unfinished)?;
    let pair = Pair {
        from: listing::open(old_root, b"/", OFlags::RDONLY | OFlags::DIRECTORY)?,
        to: Some(to.try_clone()?),
    };
    let keep = Keep::new(paths.iter().map(|path| path.0.as_slice()));
    let mut tally = walk::run(pair, &keep);
    let here = entry::copy_attributes(old_root, &to, b".");
    let failed = here.unwrap_or_else(|error| vec![error]);
    tally.failed.extend(failed.into_iter().map(|error| Failed {
        path: "/".into(),
        error: error.to_string(),
    }));
    fs::renameat(directory, unfinished.as_str(), directory, name)?;
    Ok((to, tally))
}

/// Takes away what an earlier run has copied for root alone.
fn without_private(directory: &OwnedFd) -> io::Result<()> {
    match store::within(directory, PRIVATE) {
        Ok(private) => earlier::remove(&private, WHOLE),
        Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn failure((path, error): (&Path, String)) -> Failed {
    Failed {
        path: path.to_string(),
        error,
    }
}

/// The survivors that are not among the copies, each with the reason.
fn missing<'a>(
    (survivors, new_root): (&'a [Survivor], &Path),
    copies: &Copies,
    (copy, private): (Option<&OwnedFd>, Option<&OwnedFd>),
    tally: &CopyTally,
) -> BTreeMap<&'a Path, String> {
    let left_out: BTreeMap<&Path, &String> = copies
        .left_out
        .iter()
        .map(|LeftOut { path, reason }| (path, reason))
        .collect();
    let mut missing = BTreeMap::new();
    for survivor in survivors {
        let path = &survivor.path;
        if let Some(reason) = left_out.get(path) {
            missing.insert(path, (*reason).clone());
            continue;
        }
        let open = |copy: &OwnedFd| listing::open(copy, &path.0, OFlags::PATH);
        let opened = match copy.map(open) {
            // The root of the copies of policies is no copy of the whole.
            Some(Ok(_)) if path.0 != b"/" || is_by_policy(survivor) => continue,
            other if is_by_policy(survivor) => other,
            _ => private.map(open),
        };
        let shown = path.to_string();
        if matches!(opened, Some(Ok(_))) || is_moved_too(&shown, new_root) {
            continue;
        }
        let failed = tally.failed.iter().find(|failed| failed.path == shown);
        let error = match failed {
            Some(failed) => failed.error.clone(),
            None if copies.mounts.contains(&shown) => {
                "something else is mounted there, and mounts are not copied".into()
            }
            None => match opened {
                Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                    format!("its copy cannot be looked at: {error}")
                }
                _ => "there is no copy of it".into(),
            },
        };
        missing.insert(path, error);
    }
    missing
}

/// Binds those copies that are carried.
fn carry_out(copy: &OwnedFd, new_root: &OwnedFd, report: &mut Report) {
    let carried = report
        .survivors
        .iter()
        .filter(|one| one.carried_to.is_some());
    for survivor in carried.cloned().collect::<Vec<_>>() {
        let bound = listing::open(copy, &survivor.path.0, OFlags::PATH)
            .and_then(|place| Ok(read_only_copy(place, Extent::One)?))
            .and_then(|tree| carry::bind(&survivor, &tree, new_root));
        if let Err(error) = bound {
            report.warn(not_bound(&survivor, &error));
        }
    }
}

/// Makes copies read-only.
fn seal(directory: &OwnedFd, name: &str) -> io::Result<()> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = fs::openat(directory, name, flags, Mode::empty())?;
    Ok(attach(read_only_copy(&place, Extent::One)?, place)?)
}

fn record_unsealed(sealed: io::Result<()>, to: &Path, report: &mut Report) {
    if let Err(error) = sealed {
        report.warn(format!("{to} cannot be made read-only: {error}"));
    }
}
