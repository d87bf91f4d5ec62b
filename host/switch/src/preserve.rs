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
use switch_root_core::outcome::{self, Message, Outcomes};
use switch_root_core::path::Path;
use switch_root_core::plan::{Copies, Deletion, ForRoot, LeftOut, Outline, Steps};
use switch_root_core::preserved::{Survivor, is_by_policy};
use switch_root_core::report::{CopyReport, CopyTally, DeletionState, Failed, MAX_LISTED, Report};
use switch_root_core::text::{bytes, count};
use walk::{Incomplete, Pair, incomplete};

use crate::carry::not_bound;
use crate::confirm;
use crate::directories::{NoDirectory, make_directory};
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

switch_root_core::outcomes! {
    /// What is lost.
    pub enum Lost in "not-copied" {
        /// The reason is one of the next, or the kernel's word. The report lists all under
        /// `copied.missing`.
        "SR-W60" Survivor { path: Path, reason: String } = "{path} does not survive: {reason}",
        "SR-W61" More { paths: String } = "{paths} that policies keep do not survive either",
        /// A policy keeps a path with a mount on it. Mount it below `/run`, or in the new root.
        "SR-W69" Mount = "something else is mounted there, and mounts are not copied",
        /// It was removed after the policies were asked, or a directory above it could not be copied.
        "SR-W70" NoCopy = "there is no copy of it",
        "SR-W71" Unexamined { error: io::Error } = "its copy cannot be looked at: {error}",
    }
}

switch_root_core::outcomes! {
    /// What is not copied as it is.
    pub enum Uncopied in "not-copied" {
        /// Each is named in the report under `copied.failed`.
        "SR-W76" Some { names: String } = "{names} of the initramfs could not be copied, or not as it is",
        /// `/run` is read-only or full, or something else is at that path.
        "SR-W79" All { path: Path, error: io::Error } = "nothing can be copied to {path}: {error}",
    }
}

switch_root_core::outcomes! {
    /// What is not as it should be with the copies.
    pub enum Unsealed in "copy-warnings" {
        /// The copies are there, and root can change them.
        "SR-W80" Copies { path: Path, error: io::Error } = "{path} cannot be made read-only: {error}",
        /// It takes memory, for root alone.
        "SR-W81" Earlier { path: Path, error: io::Error } = "what an earlier run has copied to {path} cannot be removed: {error}",
    }
}

/// The outcomes of the modules of this one, for documents.
pub const TABLES: &[outcome::Table] = &[
    earlier::Left::TABLE,
    entry::Lacking::TABLE,
    store::NoRun::TABLE,
    view::Covered::TABLE,
    view::Why::TABLE,
    walk::Incomplete::TABLE,
];

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
) -> Result<(), Message> {
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
            report.warn(NoDirectory::Because { error });
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
        let warn = |error| {
            let path = to.clone();
            report.warn(Uncopied::All { path, error });
        };
        outcome.map_err(warn).ok()
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
        let path = store.whole();
        report.warn(Unsealed::Earlier { path, error });
    }
    for failed in &tally.failed {
        let (path, error) = (failed.path.clone(), failed.error.clone());
        outcome::warn(&Incomplete::Copy { path, error }.into());
    }
    let failed = tally.failed.len() as u64 + tally.failed_more;
    if failed > 0 {
        let names = count(failed, "name", "names");
        report.warn(Uncopied::Some { names });
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
    for (path, reason) in missing.iter().take(MAX_LISTED) {
        let (path, reason) = ((*path).clone(), reason.text.clone());
        report.warn(Lost::Survivor { path, reason });
    }
    if let Some(more @ 1..) = missing.len().checked_sub(MAX_LISTED) {
        let paths = count(more as u64, "path", "paths");
        report.warn(Lost::More { paths });
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
    tally.failed.extend(
        failed
            .into_iter()
            .map(|error| incomplete("/".into(), &error)),
    );
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

fn failure((path, reason): (&Path, Message)) -> Failed {
    Failed {
        path: path.to_string(),
        error: reason.text,
        code: reason.code,
    }
}

/// The survivors that are not among the copies, each with the reason.
fn missing<'a>(
    (survivors, new_root): (&'a [Survivor], &Path),
    copies: &Copies,
    (copy, private): (Option<&OwnedFd>, Option<&OwnedFd>),
    tally: &CopyTally,
) -> BTreeMap<&'a Path, Message> {
    let left_out: BTreeMap<&Path, &LeftOut> =
        copies.left_out.iter().map(|one| (&one.path, one)).collect();
    let mut missing = BTreeMap::new();
    for survivor in survivors {
        let path = &survivor.path;
        if let Some(left_out) = left_out.get(path) {
            missing.insert(path, left_out.why());
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
        let reason = match failed {
            Some(failed) => failed.why(),
            None if copies.mounts.contains(&shown) => Lost::Mount.into(),
            None => match opened {
                Some(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                    Lost::Unexamined { error }.into()
                }
                _ => Lost::NoCopy.into(),
            },
        };
        missing.insert(path, reason);
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
        let path = to.clone();
        report.warn(Unsealed::Copies { path, error });
    }
}
