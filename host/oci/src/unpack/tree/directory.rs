//! The directories of the folder, opened one name at a time.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

switch_root_core::outcomes! {
    /// Why an image's tree is not made.
    pub enum Unmade in "unpacking" {
        /// It is not an image of an extension.
        "SR-Y91" TooDeep { most: usize, path: String } = "the layer has more than {most} directories in each other: {path}",
        /// The system's own words follow, often of a full disk or of missing permissions.
        "SR-Y92" Refused { what: &'static str, path: String } = "cannot {what} {path} of the image",
    }
}

/// Directories in each other. Bounds the recursion that removing takes.
const DEPTH: usize = 128;

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A path in the folder, without symlinks, as its components with slashes
/// between them; the root is empty.
pub(super) type Real = Vec<u8>;

/// An open directory.
pub(super) struct Directory {
    pub(super) fd: OwnedFd,
    pub(super) real: Real,
}

impl Directory {
    pub(super) fn child(&self, name: &[u8]) -> Real {
        join(&self.real, name)
    }
}

/// Opens a directory by its path without symlinks.
pub(super) fn reopen(root: &Arc<Directory>, real: &[u8]) -> Result<Arc<Directory>> {
    let mut current = root.clone();
    for name in real.split(|&byte| byte == b'/') {
        if name.is_empty() {
            continue;
        }
        let below = current.child(name);
        let fd = fs::openat(&current.fd, name, DIRECTORY, Mode::empty())
            .map_err(|error| failed("open the directory", &below, error))?;
        current = Arc::new(Directory { fd, real: below });
    }
    Ok(current)
}

pub(super) fn join(real: &[u8], name: &[u8]) -> Real {
    let mut path = Vec::with_capacity(real.len() + 1 + name.len());
    path.extend_from_slice(real);
    if !real.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

pub(super) fn check_depth(real: &[u8]) -> Result<()> {
    if real.iter().filter(|&&byte| byte == b'/').count() < DEPTH {
        return Ok(());
    }
    Err(Error::input(Unmade::TooDeep {
        most: DEPTH,
        path: escape::message(&escape::path(real), 300),
    }))
}

pub(super) fn failed(what: &'static str, path: &[u8], error: Errno) -> Error {
    let path = escape::path(path);
    Error::system(Unmade::Refused { what, path }, &error.into())
}
