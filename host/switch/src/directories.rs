//! Directories below /run/switch-root, which only root may change.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

switch_root_core::outcomes! {
    /// That /run/switch-root cannot be made.
    pub enum NoDirectory in "switch-warnings" {
        /// `/run` of the new root is full or cannot be written to, or something else has that name.
        "SR-W10" Because { error: Errno } = "/run/switch-root cannot be made: {error}; there is no report, and what survives cannot be reached",
    }
}

/// Makes a directory, unless it is there.
///
/// # Errors
/// Those of mkdir(2).
pub fn make_directory(parent: impl AsFd, name: &str) -> rustix::io::Result<()> {
    match fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        outcome => outcome,
    }
}

/// Opens a directory that only root can change, with these permissions, which is made if
/// need be. One that is there may be anybody's who could write to `/run` before.
///
/// # Errors
/// Those of mkdir(2), open(2), chown(2) and chmod(2).
pub fn directory_of_root(parent: impl AsFd, name: &str, mode: Mode) -> rustix::io::Result<OwnedFd> {
    let made = fs::mkdirat(&parent, name, mode);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = fs::openat(parent, name, flags, Mode::empty()).map_err(|error| {
        // Why it could not be made says more than that it is not there.
        made.err().filter(|it| *it != Errno::EXIST).unwrap_or(error)
    })?;
    if made.is_err() {
        fs::fchown(&directory, Some(Uid::ROOT), Some(Gid::ROOT))?;
        fs::fchmod(&directory, mode)?;
    }
    Ok(directory)
}
