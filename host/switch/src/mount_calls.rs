//! The newer mount calls: trees that are attached nowhere yet, by descriptor.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use linux_raw_sys::general::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, mount_attr};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

/// How much of a tree a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// The mount alone.
    One,
    /// The mounts below it, too.
    All,
}

/// Makes a copy of the mount at an open place (a bind mount that is attached
/// nowhere), read-only, without devices and set-user-id programs. It goes with
/// the descriptor if it is not attached.
pub fn read_only_copy(place: impl AsFd, extent: Extent) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if extent == Extent::All {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    let tree = open_tree(place, c"", flags)?;
    let attributes = mount_attr {
        attr_set: u64::from(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV),
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let recursive = if extent == Extent::All {
        libc::AT_RECURSIVE
    } else {
        0
    };
    // SAFETY: mount_setattr(2) with an open descriptor, an empty path that
    // ends with NUL, and a live structure of the length that is given.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            &raw const attributes,
            size_of::<mount_attr>(),
        )
    };
    if outcome == 0 {
        Ok(tree)
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}

/// Makes a tmpfs that is attached nowhere yet, as systems mount it on /run.
pub fn new_run() -> Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "mode", "0755")?;
    fsconfig_create(&context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// Attaches a tree to an open place.
pub fn attach(tree: impl AsFd, place: impl AsFd) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", place, c"", flags)
}
