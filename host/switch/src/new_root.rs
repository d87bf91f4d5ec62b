//! The new root: a mounted file system of its own, that is not the initramfs.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{self, AtFlags, Mode, OFlags, StatVfsMountFlags, StatxAttributes, StatxFlags};
use switch_root_core::escape;

use crate::listing;
use crate::planner::NewRoot;
use crate::proc::Proc;

/// Opens the directory that is to be the new root.
///
/// # Errors
/// It is missing, or cannot be opened: a sentence for the operator.
pub fn directory(given: &OsStr) -> Result<OwnedFd, String> {
    let shown = escape::path(given.as_bytes());
    fs::open(
        given.as_bytes(),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| match error {
        rustix::io::Errno::NOENT => format!(
            "the new root {shown} does not exist; mount the real root there before the switch"
        ),
        rustix::io::Errno::NOTDIR => format!(
            "the new root {shown} is not a directory; name the one that the real root is mounted on"
        ),
        error => format!(
            "the new root {shown} cannot be opened: {}",
            std::io::Error::from(error)
        ),
    })
}

/// Opens the new root and checks that it can become the root.
///
/// # Errors
/// Why it cannot: a sentence for the operator.
pub fn open(given: &OsStr, old_root: impl AsFd, proc: &Proc) -> Result<(OwnedFd, NewRoot), String> {
    let shown = escape::path(given.as_bytes());
    let failed = |what: &str, error: std::io::Error| {
        format!("the new root {shown} cannot be {what}: {error}")
    };
    let fd = directory(given)?;
    let path = proc
        .path_of(&fd)
        .map_err(|error| failed("located", error))?;
    if path == b"/" {
        return Err(format!(
            "the new root {shown} is / itself; name the directory that the real root is mounted on"
        ));
    }
    let stat = fs::statx(&fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .map_err(|error| failed("examined", error.into()))?;
    let mount_id = listing::mount_id(&fd).map_err(|error| failed("examined", error))?;
    let device = fs::fstat(&fd)
        .map_err(|error| failed("examined", error.into()))?
        .st_dev;
    let old_device = fs::fstat(&old_root)
        .map_err(|error| failed("compared with /", error.into()))?
        .st_dev;
    if !stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(format!(
            "the new root {shown} is not a mount point; mount the real root there, or name the directory that it is mounted on"
        ));
    }
    if device == old_device {
        return Err(format!(
            "the new root {shown} is on the same file system as /; mount the real root there before the switch"
        ));
    }
    let options = fs::fstatvfs(&fd)
        .map_err(|error| failed("examined", error.into()))?
        .f_flag;
    let read_only = options.contains(StatVfsMountFlags::RDONLY);
    let new_root = NewRoot {
        path,
        mount_id,
        read_only,
    };
    Ok((fd, new_root))
}
