//! `/`, before the switch: the initramfs.

use std::os::fd::OwnedFd;

use rustix::fs::{self, Mode, OFlags};

use crate::deletion;
use crate::planner::Initramfs;

/// Opens `/`, the initramfs.
///
/// # Errors
/// A sentence for the operator.
pub fn open() -> Result<OwnedFd, String> {
    fs::open(
        "/",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| format!("/ cannot be opened: {error}"))
}

/// Opens `/`, and examines it.
///
/// # Errors
/// A sentence for the operator.
pub fn examine() -> Result<(OwnedFd, Initramfs), String> {
    let fd = open()?;
    let (memory, read_only) =
        deletion::examine(&fd).map_err(|error| format!("/ cannot be examined: {error}"))?;
    let initramfs = Initramfs {
        memory,
        read_only,
        overlay: false,
    };
    Ok((fd, initramfs))
}
