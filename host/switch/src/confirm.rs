//! Whether what a plan was made for is still there.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags};
use switch_root_core::plan::Steps;
use switch_root_core::resolve::in_root;

use crate::listing;

/// Makes sure that the new root, and its init, are those that the plan was made for.
///
/// # Errors
/// A sentence for the operator.
pub fn confirm(steps: &Steps, new_root: &OwnedFd) -> Result<(), String> {
    let path = &steps.new_root.path;
    let there = fs::open(
        path.0.as_slice(),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| format!("the new root {path} cannot be opened: {error}"))?;
    let mount_id = listing::mount_id(&there)
        .map_err(|error| format!("the new root {path} cannot be examined: {error}"))?;
    if mount_id != steps.new_root.mount_id {
        return Err(format!(
            "the new root {path} is another one than planned; something mounts while we switch"
        ));
    }
    let init = in_root(new_root.as_fd(), &steps.init.path.0, OFlags::PATH)
        .and_then(fs::fstat)
        .map_err(|error| format!("the init {} cannot be examined: {error}", steps.init.path))?;
    if (init.st_dev, init.st_ino) != steps.init.identity {
        return Err(format!(
            "the init {} is another file than planned; something writes while we switch",
            steps.init.path
        ));
    }
    Ok(())
}
