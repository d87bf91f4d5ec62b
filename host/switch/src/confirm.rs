//! Whether what a plan was made for is still there.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;
use switch_root_core::outcome::Message;
use switch_root_core::path::Path;
use switch_root_core::plan::Steps;
use switch_root_core::resolve::in_root;

use crate::listing;
use crate::new_root::Unsuitable;

switch_root_core::outcomes! {
    /// What is not what it was when the plan was made.
    pub enum Changed in "new-root" {
        /// Between the plan and the first step something else was mounted there. Stop what runs
        /// concurrently with PID 1 in the initramfs (udev, scripts in the background) first.
        "SR-N20" NewRoot { path: Path } = "the new root {path} is another one than planned; something mounts while we switch",
        /// The same, of the init's file.
        "SR-N21" Init { path: Path } = "the init {path} is another file than planned; something writes while we switch",
        /// Between the plan and the first step the new root went away, or its file system fails.
        "SR-N22" Examining { path: Path, error: Errno } = "the init {path} cannot be examined: {error}",
        "SR-N23" Entering { path: Path, error: nix::Error } = "the new root {path} cannot be entered: {error}",
    }
}

/// Makes sure that the new root, and its init, are those that the plan was made for.
///
/// # Errors
/// A sentence for the operator.
pub fn confirm(steps: &Steps, new_root: &OwnedFd) -> Result<(), Message> {
    let path = &steps.new_root.path;
    let there = fs::open(
        path.0.as_slice(),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| {
        let (path, error) = (path.to_string(), error.into());
        Unsuitable::Opening { path, error }
    })?;
    let mount_id = listing::mount_id(&there).map_err(|error| {
        let path = path.to_string();
        Unsuitable::Examining { path, error }
    })?;
    if mount_id != steps.new_root.mount_id {
        let path = path.clone();
        Err(Changed::NewRoot { path })?;
    }
    let path = &steps.init.path;
    let init = in_root(new_root.as_fd(), &path.0, OFlags::PATH)
        .and_then(fs::fstat)
        .map_err(|error| {
            let path = path.clone();
            Changed::Examining { path, error }
        })?;
    if (init.st_dev, init.st_ino) != steps.init.identity {
        let path = path.clone();
        Err(Changed::Init { path })?;
    }
    Ok(())
}
