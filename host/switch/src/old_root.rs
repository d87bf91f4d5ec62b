//! `/`, before the switch: the initramfs.

use std::os::fd::OwnedFd;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;

use crate::deletion;
use crate::planner::Initramfs;

switch_root_core::outcomes! {
    /// Why `/` is no initramfs that can be left.
    pub enum NoInitramfs in "start" {
        /// Not to be expected of an initramfs; the error says why.
        "SR-A21" Opening { error: Errno } = "/ cannot be opened: {error}",
        "SR-A22" Examining { error: std::io::Error } = "/ cannot be examined: {error}",
    }
}

/// Opens `/`, the initramfs.
///
/// # Errors
/// A sentence for the operator.
pub fn open() -> Result<OwnedFd, NoInitramfs> {
    fs::open(
        "/",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| NoInitramfs::Opening { error })
}

/// Opens `/`, and examines it.
///
/// # Errors
/// A sentence for the operator.
pub fn examine() -> Result<(OwnedFd, Initramfs), NoInitramfs> {
    let fd = open()?;
    let (memory, read_only) =
        deletion::examine(&fd).map_err(|error| NoInitramfs::Examining { error })?;
    let initramfs = Initramfs {
        memory,
        read_only,
        overlay: false,
    };
    Ok((fd, initramfs))
}
