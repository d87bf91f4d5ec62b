//! Opening what is in the initramfs: by descriptor, without following a link or
//! crossing a mount, at any depth.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, OFlags, StatxFlags};
use switch_root_core::file_kind::FileKind;
use switch_root_core::resolve::{self, Within};

switch_root_core::outcomes! {
    /// That mounts cannot be told apart.
    pub enum NoIds in "start" {
        /// The kernel is older than 5.8. Nothing may be deleted where mounts cannot be told apart: take
        /// a newer kernel.
        "SR-A27" Statx = "the kernel does not tell mounts apart (statx without STATX_MNT_ID; Linux 5.12 or newer is needed)",
    }
}

/// The longest part of a path that is resolved in one call; the kernel's limit
/// counts the NUL byte.
const PART: usize = libc::PATH_MAX as usize - 1;

/// Opens what is at a path below `root`, as a place (`O_PATH`), or as a
/// directory to be read with `OFlags::RDONLY | OFlags::DIRECTORY`.
pub fn open(root: impl AsFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW;
    let mut rest = path.strip_prefix(b"/").unwrap_or(path);
    let mut directory: Option<OwnedFd> = None;
    while rest.len() > PART {
        let cut = rest[..PART]
            .iter()
            .rposition(|byte| *byte == b'/')
            .ok_or_else(|| io::Error::from_raw_os_error(libc::ENAMETOOLONG))?;
        let base = directory.as_ref().map_or(root.as_fd(), AsFd::as_fd);
        directory = Some(resolve::open(
            Within::Mount,
            base,
            &rest[..cut],
            OFlags::PATH | OFlags::DIRECTORY,
        )?);
        rest = &rest[cut + 1..];
    }
    let base = directory.as_ref().map_or(root.as_fd(), AsFd::as_fd);
    let rest = if rest.is_empty() { b"." } else { rest };
    Ok(resolve::open(Within::Mount, base, rest, flags)?)
}

/// The number of the mount that an open file lies on.
pub fn mount_id(fd: impl AsFd) -> io::Result<u64> {
    let stat = fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
    if stat.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return Err(io::Error::new(io::ErrorKind::Unsupported, NoIds::Statx));
    }
    Ok(stat.stx_mnt_id)
}

/// The kind of file that `st_mode` tells.
pub fn kind(mode: u32) -> FileKind {
    FileKind::of_mode(mode).unwrap_or(FileKind::Regular)
}

/// Opens a place in the initramfs like [`open`] with `O_PATH`, and steps onto
/// what is mounted on it.
pub fn open_at_mount(root: impl AsFd, path: &[u8]) -> io::Result<OwnedFd> {
    let cut = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let parent = open(root, &path[..cut], OFlags::PATH | OFlags::DIRECTORY)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    Ok(resolve::open(
        Within::Tree,
        &parent,
        &path[cut + 1..],
        flags,
    )?)
}
