//! Where the running system finds what a switch leaves of the initramfs.
//!
//! Others than root see what policies keep, and nothing else, at any time: each of these
//! paths is bound into a skeleton of the directories above it, at
//! /run/switch-root/preserved. All that is left, whatever the reason, is for root alone, in
//! a directory that nobody else may enter: what is still to be deleted, what could not be,
//! what the host keeps, and everything where nothing is deleted.

mod merged;
mod skeleton;

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags};
use rustix::mount::{MoveMountFlags, move_mount};
use skeleton::Skeleton;
use switch_root_core::locations::{PRESERVED, PRIVATE, WHOLE};
use switch_root_core::outcome::{Outcomes, Table};
use switch_root_core::path::Path;
use switch_root_core::plan::Steps;
use switch_root_core::preserved::{Survivor, by_policies, is_by_policy};
use switch_root_core::report::Report;
use switch_root_core::text::count;

use crate::directories::directory_of_root;
use crate::listing;
use crate::mount_calls::{Extent, attach, copy, read_only_copy};

switch_root_core::outcomes! {
    /// What cannot be reached that is preserved.
    pub enum Hidden in "switch-warnings" {
        /// What survives is still in memory, and out of reach. Where it matters, restart.
        "SR-W11" Whole { error: io::Error } = "the initramfs cannot be mounted on /run/switch-root/private/initramfs: {error}; what survives cannot be reached",
        "SR-W12" Mount { point: Path, error: io::Error } = "the mount on {point} cannot be moved to /run/switch-root/preserved: {error}",
        /// Others than root do not see it. Bind it by hand where it is needed.
        "SR-W13" Preserved { error: io::Error } = "/run/switch-root/preserved cannot be mounted: {error}; root finds what survives at /run/switch-root/private/initramfs",
        /// Each path that is bound is a mount of the running system. Where something cannot be
        /// deleted, or the host keeps something, others than root do not see them at all.
        "SR-W15" Many { paths: String } = "policies keep {paths}, and up to {MOST} are bound one by one: /run/switch-root/preserved shows them when everything else is deleted, and root finds them at /run/switch-root/private/initramfs; let the policies keep directories instead",
    }
}

switch_root_core::outcomes! {
    /// What becomes of the mounts of an earlier switch.
    pub enum Earlier in "switch-warnings" {
        /// The machine has switched twice. What the first switch left is still in memory: unmount it
        /// where it is not needed.
        "SR-W16" Moved { path: String, number: u32 } = "what an earlier switch has mounted on {path} was moved to {path}.{number}",
        "SR-W17" Covered { path: String, error: io::Error } = "what an earlier switch has mounted on {path} is covered, since it cannot be moved aside: {error}",
    }
}

/// The outcomes of the module of this one, for documents.
pub const TABLES: &[Table] = &[skeleton::Unbound::TABLE];

/// As many paths are bound one by one: each is a mount of the running system, and takes some
/// 20 µs to make. Where policies keep more, those that fill their directory count as one; if
/// they are still more, all of them are shown at once, by one mount, as soon as nothing else
/// is left.
const MOST: usize = 256;
/// The mounts of earlier switches that are moved aside.
const EARLIER: u32 = 99;

/// How a directory is opened here.
const FLAGS: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What is made before anything is changed.
pub struct Preserved {
    /// The initramfs.
    whole: OwnedFd,
    /// Where paths are bound one by one.
    skeleton: Option<Skeleton>,
    /// There are too many of them for that.
    too_many: bool,
}

/// The paths of policies that are shown when the deletion is complete, since there are too
/// many of them.
pub struct Later {
    whole: OwnedFd,
    place: OwnedFd,
}

impl Preserved {
    /// Copies the mount of the initramfs, and makes the directories above what policies keep,
    /// attached nowhere yet.
    ///
    /// # Errors
    /// The kernel does not make such mounts, or has no memory for them.
    pub fn prepare(old_root: &OwnedFd, survivors: &[Survivor]) -> io::Result<Self> {
        let whole = read_only_copy(old_root, Extent::One)?;
        let mut paths = by_policies(survivors);
        let merged;
        if paths.len() > MOST {
            merged = merged::merge(&paths, |directory, names| {
                merged::is_filled(&whole, directory, names)
            });
            paths = merged.iter().collect();
        }
        let skeleton = match paths.len() {
            1..=MOST => Some(Skeleton::make(&whole, &paths)?),
            _ => None,
        };
        Ok(Self {
            whole,
            skeleton,
            too_many: paths.len() > MOST,
        })
    }

    /// Mounts all of it below /run/switch-root, the `directory`, and moves the mounts there
    /// that are kept. What fails is recorded.
    pub fn attach(
        self,
        survivors: &[Survivor],
        steps: &Steps,
        old_root: &OwnedFd,
        directory: &OwnedFd,
        report: &mut Report,
    ) -> Option<Later> {
        let Self {
            whole,
            skeleton,
            too_many,
        } = self;
        let hidden = private(directory).and_then(|private| {
            let place = vacant(&private, WHOLE, report)?;
            Ok(attach(&whole, place)?)
        });
        if let Err(error) = hidden {
            report.warn(Hidden::Whole { error });
            return None;
        }
        let mut place = vacant(directory, PRESERVED, report)
            .map_err(|error| report.warn(Hidden::Preserved { error }))
            .ok();
        let skeleton = skeleton.filter(|skeleton| {
            let attached = place
                .take()
                .map(|place| skeleton.attach(&whole, place, report));
            match attached {
                Some(Ok(())) => true,
                Some(Err(error)) => {
                    report.warn(Hidden::Preserved { error });
                    false
                }
                None => false,
            }
        });
        for point in &steps.kept_mounts {
            let shown = skeleton.as_ref().and_then(|it| it.place_of(point));
            let outcome = shown
                .unwrap_or_else(|| listing::open(&whole, &point.0, OFlags::PATH))
                .and_then(|place| {
                    bring(
                        point,
                        &place,
                        steps.staying_mounts.contains(point),
                        old_root,
                    )
                });
            if let Err(error) = outcome {
                let point = point.clone();
                report.warn(Hidden::Mount { point, error });
            }
        }
        if !too_many {
            return None;
        }
        let paths = by_policies(survivors).len();
        report.warn(Hidden::Many {
            paths: count(paths as u64, "path", "paths"),
        });
        // What the host keeps is nobody else's business.
        let all = survivors.iter().all(is_by_policy);
        place.filter(|_| all).map(|place| Later { whole, place })
    }
}

impl Later {
    /// Shows to all what is left of the initramfs.
    ///
    /// # Errors
    /// Those of open_tree(2) and move_mount(2).
    pub fn show(&self) -> io::Result<()> {
        Ok(attach(copy(&self.whole, Extent::All)?, &self.place)?)
    }
}

/// Brings a mount of the initramfs to a place: it is moved, or where it is to stay it is
/// bound there.
fn bring(point: &Path, place: &OwnedFd, stays: bool, old_root: &OwnedFd) -> io::Result<()> {
    if stays {
        let mount = listing::open_at_mount(old_root, &point.0)?;
        return Ok(attach(copy(mount, Extent::All)?, place)?);
    }
    let flags = MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(fs::CWD, point.0.as_slice(), place, c"", flags)?)
}

/// Opens the directory that root alone may enter, which is made if need be.
///
/// # Errors
/// Those of mkdir(2), open(2), chown(2) and chmod(2).
pub fn private(directory: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(directory_of_root(directory, PRIVATE, Mode::RWXU)?)
}

/// Opens a directory that something is to be mounted on, which is made if need be. What an
/// earlier switch has mounted there is moved aside, so that it is not covered unseen.
fn vacant(directory: &OwnedFd, name: &str, report: &mut Report) -> io::Result<OwnedFd> {
    let place = || fs::openat(directory, name, FLAGS, Mode::empty());
    match fs::mkdirat(directory, name, Mode::from_raw_mode(0o755)) {
        Ok(()) => return Ok(place()?),
        Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let there = place()?;
    if listing::mount_id(&there)? == listing::mount_id(directory)? {
        return Ok(there);
    }
    let path = match name {
        WHOLE => format!("/run/switch-root/{PRIVATE}/{WHOLE}"),
        name => format!("/run/switch-root/{name}"),
    };
    match aside(directory, name, &there) {
        Ok(number) => report.warn(Earlier::Moved { path, number }),
        Err(error) => report.warn(Earlier::Covered { path, error }),
    }
    Ok(place()?)
}

/// Moves a mount to the first name with a number that is free. Returns the number.
fn aside(directory: &OwnedFd, name: &str, there: impl AsFd) -> io::Result<u32> {
    for number in 1..=EARLIER {
        let other = format!("{name}.{number}");
        match fs::mkdirat(directory, other.as_str(), Mode::from_raw_mode(0o755)) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => continue,
            Err(error) => return Err(error.into()),
        }
        let place = fs::openat(directory, other.as_str(), FLAGS, Mode::empty())?;
        attach(there, place)?;
        return Ok(number);
    }
    Err(rustix::io::Errno::EXIST.into())
}
