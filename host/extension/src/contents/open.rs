//! Opening what was found, and nothing that has taken its place.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags, ResolveFlags};

/// What is opened must be where it was found, and no link on the way there.
pub(super) const STRICT: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);

/// Opens a file that was found in a directory, to be read.
pub(super) fn file(directory: BorrowedFd<'_>, name: &CStr) -> rustix::io::Result<OwnedFd> {
    // Without blocking: by now it could be something else.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    fs::openat2(directory, name, flags, Mode::empty(), STRICT)
}
