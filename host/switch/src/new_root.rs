//! The new root: a mounted file system of its own, that is not the initramfs.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use policy::answer::is_at_or_below;
use policy::escape;
use rustix::fs::{self, AtFlags, Mode, OFlags, StatVfsMountFlags, StatxAttributes, StatxFlags};

use crate::listing;
use crate::mounts::Mount;
use crate::plan::{Move, MoveAction, Run};
use crate::proc::Proc;

/// The mounts that go with every system.
pub const MOVED: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];

/// A new root that has passed its checks.
#[derive(Debug)]
pub struct NewRoot {
    /// Its directory.
    pub fd: OwnedFd,
    /// Its mount point, without links.
    pub path: Vec<u8>,
    /// The number of its mount.
    pub mount_id: u64,
    /// Nothing can be made in it.
    pub read_only: bool,
}

/// Opens the new root and checks that it can become the root.
///
/// # Errors
/// Why it cannot: a sentence for the operator.
pub fn open(given: &OsStr, old_root: impl AsFd, proc: &Proc) -> Result<NewRoot, String> {
    let shown = escape::path(given.as_bytes());
    let failed = |what: &str, error: std::io::Error| {
        format!("the new root {shown} cannot be {what}: {error}")
    };
    let fd = fs::open(
        given.as_bytes(),
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| match error {
        rustix::io::Errno::NOENT => format!(
            "the new root {shown} does not exist; mount the real root there before the switch"
        ),
        rustix::io::Errno::NOTDIR => format!(
            "the new root {shown} is not a directory; name the one that the real root is mounted on"
        ),
        error => failed("opened", error.into()),
    })?;
    let path = proc
        .path_of(&fd)
        .map_err(|error| failed("located", error))?;
    if path == b"/" {
        return Err(format!(
            "the new root {shown} is / itself; name the directory that the real root is mounted on"
        ));
    }
    let stat = fs::statx(&fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .map_err(|error| failed("examined", error.into()))?;
    let mount_id = listing::mount_id(&fd).map_err(|error| failed("examined", error))?;
    let device = fs::fstat(&fd)
        .map_err(|error| failed("examined", error.into()))?
        .st_dev;
    let old_device = fs::fstat(&old_root)
        .map_err(|error| failed("compared with /", error.into()))?
        .st_dev;
    if !stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(format!(
            "the new root {shown} is not a mount point; mount the real root there, or name the directory that it is mounted on"
        ));
    }
    if device == old_device {
        return Err(format!(
            "the new root {shown} is on the same file system as /; mount the real root there before the switch"
        ));
    }
    let options = fs::fstatvfs(&fd)
        .map_err(|error| failed("examined", error.into()))?
        .f_flag;
    let read_only = options.contains(StatVfsMountFlags::RDONLY);
    Ok(NewRoot {
        fd,
        path,
        mount_id,
        read_only,
    })
}

/// Says what becomes of /dev, /proc, /sys and /run, and where /run of the new
/// root comes from.
///
/// # Errors
/// A mount that the new root has no place for.
pub fn plan_moves(new_root: &NewRoot, mounts: &[Mount]) -> Result<(Vec<Move>, Run), String> {
    let mut moves = Vec::new();
    let mounted = |point: &str| mounts.iter().any(|mount| mount.point == point.as_bytes());
    for point in MOVED.into_iter().filter(|point| mounted(point)) {
        let shown = escape::path(&new_root.path);
        if is_at_or_below(&new_root.path, point.as_bytes()) {
            return Err(format!(
                "the new root {shown} lies below {point}, which is moved into it; mount it elsewhere, such as on /sysroot"
            ));
        }
        let action = match place(new_root, point)? {
            Place::Free => MoveAction::Move,
            Place::Taken => MoveAction::Detach,
            Place::Missing if new_root.read_only => {
                return Err(format!(
                    "the new root {shown} is read-only and has no directory {point} to move {point} to; make the directory in its image"
                ));
            }
            Place::Missing => MoveAction::MakeAndMove,
        };
        moves.push(Move {
            path: point.as_bytes().into(),
            action,
        });
    }
    let run = match place(new_root, "/run") {
        _ if mounted("/run") => Run::There,
        Ok(Place::Taken) => Run::There,
        Ok(Place::Free) => Run::Mount,
        Ok(Place::Missing) if !new_root.read_only => Run::MakeAndMount,
        // Nothing has to be moved there, so it is no reason to refuse.
        Ok(Place::Missing) | Err(_) => Run::Absent,
    };
    Ok((moves, run))
}

/// A directory of the new root that something is to be mounted on.
enum Place {
    Free,
    Taken,
    Missing,
}

fn place(new_root: &NewRoot, point: &str) -> Result<Place, String> {
    let name = point.trim_start_matches('/');
    let failed = |error: std::io::Error| {
        format!(
            "{point} of the new root {} cannot be examined: {error}",
            escape::path(&new_root.path)
        )
    };
    let found = fs::openat(
        &new_root.fd,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    );
    let fd = match found {
        Ok(fd) => fd,
        Err(rustix::io::Errno::NOENT) => return Ok(Place::Missing),
        Err(error) => return Err(failed(error.into())),
    };
    let stat = fs::fstat(&fd).map_err(|error| failed(error.into()))?;
    if fs::FileType::from_raw_mode(stat.st_mode) != fs::FileType::Directory {
        return Err(format!(
            "{point} of the new root {} is not a directory, so that {point} cannot be moved there; make it one in its image",
            escape::path(&new_root.path)
        ));
    }
    let mount_id = listing::mount_id(&fd).map_err(failed)?;
    Ok(if mount_id == new_root.mount_id {
        Place::Free
    } else {
        Place::Taken
    })
}
