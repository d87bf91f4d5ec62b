//! Whether what a plan was made for is still there.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags};
use switch_root_core::plan::Plan;
use switch_root_core::resolve::in_root;

use crate::{listing, old_root};

/// Opens the initramfs and the new root, and makes sure that the latter, and its init,
/// are those that the plan was made for.
///
/// # Errors
/// A sentence for the operator.
pub fn confirm(plan: &Plan) -> Result<(OwnedFd, OwnedFd), String> {
    let old_root = old_root::open()?;
    let path = &plan.new_root.path;
    let new_root = fs::open(
        path.0.as_slice(),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| format!("the new root {path} cannot be opened: {error}"))?;
    let mount_id = listing::mount_id(&new_root)
        .map_err(|error| format!("the new root {path} cannot be examined: {error}"))?;
    if mount_id != plan.new_root.mount_id {
        return Err(format!(
            "the new root {path} is another one than planned; something mounts while we switch"
        ));
    }
    let init = in_root(new_root.as_fd(), &plan.init.path.0, OFlags::PATH)
        .and_then(fs::fstat)
        .map_err(|error| format!("the init {} cannot be examined: {error}", plan.init.path))?;
    if (init.st_dev, init.st_ino) != plan.init.identity {
        return Err(format!(
            "the init {} is another file than planned; something writes while we switch",
            plan.init.path
        ));
    }
    Ok((old_root, new_root))
}
