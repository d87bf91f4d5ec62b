//! `/`, before the switch: the initramfs.

use std::os::fd::OwnedFd;

use rustix::fs::{self, Mode, OFlags};

use crate::deletion;

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

/// `/`, before the switch.
pub struct OldRoot {
    /// Its directory.
    pub fd: OwnedFd,
    /// Whether it lies in memory, as an initramfs does.
    pub memory: bool,
    /// Whether nothing can be deleted there.
    pub read_only: bool,
}

/// Opens `/`, and examines it.
///
/// # Errors
/// A sentence for the operator: it does not lie in memory, and is not to be kept.
pub fn examine(keep: bool) -> Result<OldRoot, String> {
    let fd = open()?;
    let (memory, read_only) =
        deletion::examine(&fd).map_err(|error| format!("/ cannot be examined: {error}"))?;
    if !memory && !keep {
        return Err("/ is neither tmpfs nor ramfs, so it is no initramfs, and deleting it would delete data; switch with --keep-initramfs, or the kernel parameter switch_root.keep_initramfs, to delete nothing".into());
    }
    Ok(OldRoot {
        fd,
        memory,
        read_only,
    })
}
