//! Opening what was found, and nothing that has taken its place.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::OFlags;
use switch_root_core::resolve::{self, Within};

/// Opens a file that was found in a directory, to be read.
pub(super) fn file(directory: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    // Without blocking: by now it could be something else.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    resolve::open(Within::Tree, directory, name, flags)
}
