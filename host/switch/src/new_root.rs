//! The new root: a mounted file system of its own, that is not the initramfs.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, Mode, OFlags, StatVfsMountFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use switch_root_core::escape;

use crate::listing;
use crate::planner::NewRoot;
use crate::proc::Proc;

switch_root_core::outcomes! {
    /// Why something cannot become the root.
    pub enum Unsuitable in "new-root" {
        /// The step that mounts it did not run, or failed: look for its messages before this one.
        "SR-N01" Missing { path: String } = "the new root {path} does not exist; mount the real root there before the switch",
        /// It is a file or a device, such as the one that is to be mounted.
        "SR-N02" NotDirectory { path: String } = "the new root {path} is not a directory; name the one that the real root is mounted on",
        /// The argument is `/`, or leads there by links.
        "SR-N03" Root { path: String } = "the new root {path} is / itself; name the directory that the real root is mounted on",
        /// Nothing is mounted there; or it is a directory within what is mounted: `mount --bind DIR
        /// DIR` makes it a mount point.
        "SR-N04" NotMountPoint { path: String } = "the new root {path} is not a mount point; mount the real root there, or name the directory that it is mounted on",
        /// Deleting the initramfs would delete from it.
        "SR-N05" SameFileSystem { path: String } = "the new root {path} is on the same file system as /; mount the real root there before the switch",
        /// The file system that is mounted there is damaged or gone; the error says why.
        "SR-N06" Opening { path: String, error: io::Error } = "the new root {path} cannot be opened: {error}",
        "SR-N07" Locating { path: String, error: io::Error } = "the new root {path} cannot be located: {error}",
        "SR-N08" Examining { path: String, error: io::Error } = "the new root {path} cannot be examined: {error}",
        "SR-N09" Comparing { path: String, error: io::Error } = "the new root {path} cannot be compared with /: {error}",
    }
}

/// Opens the directory that is to be the new root.
///
/// # Errors
/// It is missing, or cannot be opened: a sentence for the operator.
pub fn directory(given: &OsStr) -> Result<OwnedFd, Unsuitable> {
    let path = escape::path(given.as_bytes());
    let opened = fs::open(
        given.as_bytes(),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let unsuitable = |error| match error {
        Errno::NOENT => Unsuitable::Missing { path },
        Errno::NOTDIR => Unsuitable::NotDirectory { path },
        error => {
            let error = error.into();
            Unsuitable::Opening { path, error }
        }
    };
    opened.map_err(unsuitable)
}

/// Opens the new root and checks that it can become the root.
///
/// # Errors
/// Why it cannot: a sentence for the operator.
pub fn open(
    given: &OsStr,
    old_root: impl AsFd,
    proc: &Proc,
) -> Result<(OwnedFd, NewRoot), Unsuitable> {
    let shown = escape::path(given.as_bytes());
    let unexamined = |error: io::Error| Unsuitable::Examining {
        path: shown.clone(),
        error,
    };
    let fd = directory(given)?;
    let path = proc.path_of(&fd).map_err(|error| Unsuitable::Locating {
        path: shown.clone(),
        error,
    })?;
    if path == b"/" {
        return Err(Unsuitable::Root { path: shown });
    }
    let stat = fs::statx(&fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .map_err(|error| unexamined(error.into()))?;
    let mount_id = listing::mount_id(&fd).map_err(unexamined)?;
    let device = fs::fstat(&fd)
        .map_err(|error| unexamined(error.into()))?
        .st_dev;
    let old_device = fs::fstat(&old_root)
        .map_err(|error| Unsuitable::Comparing {
            path: shown.clone(),
            error: error.into(),
        })?
        .st_dev;
    if !stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(Unsuitable::NotMountPoint { path: shown });
    }
    if device == old_device {
        return Err(Unsuitable::SameFileSystem { path: shown });
    }
    let options = fs::fstatvfs(&fd)
        .map_err(|error| unexamined(error.into()))?
        .f_flag;
    let read_only = options.contains(StatVfsMountFlags::RDONLY);
    let new_root = NewRoot {
        path,
        mount_id,
        read_only,
    };
    Ok((fd, new_root))
}
