//! The newer mount calls: trees that are attached nowhere yet, by descriptor.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use linux_raw_sys::general::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, mount_attr};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, Result};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
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
/// nowhere), with the attributes that it has. It goes with the descriptor if it is
/// not attached.
pub fn copy(place: impl AsFd, extent: Extent) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if extent == Extent::All {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(place, c"", flags)
}

/// Makes a [`copy`] that is read-only, without devices and set-user-id programs.
pub fn read_only_copy(place: impl AsFd, extent: Extent) -> Result<OwnedFd> {
    let tree = copy(place, extent)?;
    make_read_only(&tree, extent)?;
    Ok(tree)
}

/// Makes a mount read-only, without devices and set-user-id programs.
pub fn make_read_only(tree: &OwnedFd, extent: Extent) -> Result<()> {
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
        Ok(())
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO))
    }
}

/// Makes a copy of the mount at an open place, attached nowhere and without what is mounted
/// on it: whatever is looked up there lies on its file system.
pub fn without_mounts(place: impl AsFd) -> Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    open_tree(place, c"", flags)
}

/// Makes a tmpfs that is attached nowhere yet, as systems mount it on /run.
pub fn new_run() -> Result<OwnedFd> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    make("tmpfs", &[Setting::Text("mode", "0755")], attributes).map_err(|failure| failure.error)
}

/// The most that an extended attribute, or the list of their names, can hold: the
/// kernel's XATTR_SIZE_MAX and XATTR_LIST_MAX, in bytes.
pub const LARGEST_ATTRIBUTE: usize = 64 << 10;

/// How much the kernel says of a mount that it does not make, in bytes.
const EXPLANATION: usize = 1024;

/// What a file system is told before it is made.
#[derive(Clone, Copy, Debug)]
pub enum Setting<'a> {
    /// A name with a value.
    Text(&'a str, &'a str),
    /// A name alone.
    Flag(&'a str),
}

/// Why a file system cannot be made.
#[derive(Clone, Debug)]
pub struct NotMade {
    /// The kernel's error.
    pub error: Errno,
    /// What it says beside that, each with a semicolon in front.
    explanation: String,
}

impl fmt::Display for NotMade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.error, self.explanation)
    }
}

impl std::error::Error for NotMade {}

/// Makes a file system whose mount is attached nowhere yet.
///
/// # Errors
/// See [`NotMade`].
pub fn make(
    kind: &str,
    settings: &[Setting<'_>],
    attributes: MountAttrFlags,
) -> std::result::Result<OwnedFd, NotMade> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|error| NotMade {
        error,
        explanation: String::new(),
    })?;
    let set = |setting: &Setting<'_>| match setting {
        Setting::Text(name, value) => fsconfig_set_string(&context, *name, *value),
        Setting::Flag(name) => fsconfig_set_flag(&context, *name),
    };
    settings
        .iter()
        .try_for_each(set)
        .and_then(|()| fsconfig_create(&context))
        .and_then(|()| fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes))
        .map_err(|error| NotMade {
            error,
            explanation: explanation(&context),
        })
}

/// What the kernel has to say of a file system that it did not make: messages,
/// each with a letter for its kind in front.
fn explanation(context: &OwnedFd) -> String {
    let mut said = String::new();
    let mut buffer = [0; EXPLANATION];
    while said.len() < EXPLANATION
        && let Ok(length @ 1..) = rustix::io::read(context, &mut buffer)
    {
        let message = String::from_utf8_lossy(&buffer[..length]);
        let message = message.trim_end();
        let text = message.split_once(' ').map_or(message, |(_, text)| text);
        said.push_str(&format!(
            "; the kernel says: {}",
            switch_root_core::escape::message(text, EXPLANATION)
        ));
    }
    said
}

/// Opens a directory that is no link.
pub fn open_directory(path: impl AsRef<Path>, flags: OFlags) -> Result<OwnedFd> {
    let flags = flags | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open(path.as_ref(), flags, Mode::empty())
}

/// Attaches a tree to an open place.
pub fn attach(tree: impl AsFd, place: impl AsFd) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(tree, c"", place, c"", flags)
}
