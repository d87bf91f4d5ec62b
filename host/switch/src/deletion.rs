//! Deletion of the initramfs: whatever the plan does not keep.
//!
//! Only on tmpfs and ramfs, and as [`switch_root_core::walk`] goes: never across a mount, never
//! through a link.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use linux_raw_sys::general::{OVERLAYFS_SUPER_MAGIC, RAMFS_MAGIC, TMPFS_MAGIC};
use rustix::fs::{self, AtFlags, FileType, StatVfsMountFlags};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::keep::Keep;
use switch_root_core::outcome::{Outcomes, warn};
use switch_root_core::report::{DeletionTally, Failed, MAX_LISTED};
use switch_root_core::walk::{self, Pair, Visitor, Walk};

switch_root_core::outcomes! {
    /// What is not deleted.
    pub enum Undeleted in "deletion" {
        /// A reason why nothing was deleted: the memory is not freed before the machine restarts.
        "SR-D02" NotInMemory = "not on tmpfs or ramfs",
        /// It is named in the report under `deletion.failed`: mostly a file with the attribute `i`
        /// (chattr), or a mount that appeared meanwhile. The rest is gone.
        "SR-D04" Path { path: String, error: io::Error } = "{path} cannot be deleted: {error}",
    }
}

/// Whether files go, or are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// They go.
    Delete,
    /// Nothing is changed.
    Count,
}

/// Whether a file system may be deleted on, since it lives in memory alone, and whether it,
/// or its mount, is read-only.
pub fn examine(fd: impl AsFd) -> io::Result<(bool, bool)> {
    let stat = fs::fstatfs(fd)?;
    let magic = stat.f_type as u64;
    let memory = magic == u64::from(TMPFS_MAGIC) || magic == u64::from(RAMFS_MAGIC);
    let flags = StatVfsMountFlags::from_bits_retain(stat.f_flags as u64);
    Ok((memory, flags.contains(StatVfsMountFlags::RDONLY)))
}

/// Whether a file system may be deleted on: it lives in memory alone.
pub fn is_memory(fd: impl AsFd) -> io::Result<bool> {
    Ok(examine(fd)?.0)
}

/// Whether it is an overlay: its layers may lie in memory.
pub fn is_overlay(fd: impl AsFd) -> bool {
    fs::fstatfs(fd).is_ok_and(|stat| stat.f_type as u64 == u64::from(OVERLAYFS_SUPER_MAGIC))
}

/// Deletes everything below `root` that `keep` does not name. Never stops at
/// an error: what fails is reported, and stays.
///
/// # Errors
/// Only where nothing at all was deleted: `root` is not a memory file system,
/// or cannot be read.
pub fn run(root: OwnedFd, keep: &Keep, action: Action) -> io::Result<DeletionTally> {
    if action == Action::Delete && !is_memory(&root)? {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            Undeleted::NotInMemory,
        ));
    }
    let tally = DeletionTally::default();
    if *keep == Keep::Whole {
        return Ok(tally);
    }
    let first = Pair {
        from: root,
        to: None,
    };
    let mut walk = Walk::new(
        first,
        Deleter {
            keep,
            action,
            tally,
        },
    );
    walk.list()?;
    Ok(walk.finish().tally)
}

/// Deletes what the walk finds, or counts it.
struct Deleter<'k> {
    keep: &'k Keep,
    action: Action,
    tally: DeletionTally,
}

/// What is known of a directory that is being emptied.
struct Inside<'k> {
    /// What is kept in it.
    keep: Option<&'k Keep>,
    /// Something in it stays, so that it stays itself.
    stays: bool,
}

impl<'k> Visitor for Deleter<'k> {
    type Inside = Inside<'k>;

    fn first(&self) -> Inside<'k> {
        Inside {
            keep: Some(self.keep),
            stays: false,
        }
    }

    fn take(walk: &mut Walk<Self>, pair: &Pair, name: &CStr, kind: FileType) -> bool {
        let bytes = name.to_bytes();
        let Some(inside) = walk.inside() else {
            return false;
        };
        let directory = is_directory(&pair.from, name, kind);
        // Beneath the tree of what is kept there is nothing to look up.
        match inside.keep.and_then(|keep| keep.child(bytes)) {
            // Something that is no directory cannot be kept in part.
            Some(Keep::Part(_)) if directory => inside.stays = true,
            Some(_) => {
                inside.stays = true;
                return false;
            }
            None => {}
        }
        if directory {
            return true;
        }
        let removed = match walk.visitor.action {
            Action::Delete => fs::unlinkat(&pair.from, name, AtFlags::empty()),
            Action::Count => Ok(()),
        };
        match removed {
            Ok(()) => walk.visitor.tally.files += 1,
            Err(Errno::NOENT) => {}
            Err(error) => walk.note(bytes, error.into()),
        }
        false
    }

    fn open(
        &mut self,
        inside: &Inside<'k>,
        above: &Pair,
        name: &[u8],
    ) -> Result<(Pair, Inside<'k>), Errno> {
        let from = walk::directory(&above.from, name)?;
        let keep = inside.keep.and_then(|keep| keep.child(name));
        let inside = Inside {
            keep,
            stays: keep.is_some(),
        };
        Ok((Pair { from, to: None }, inside))
    }

    /// Removes it, now empty.
    fn left(walk: &mut Walk<Self>, name: &[u8], left: Inside<'k>) {
        if left.stays {
            if let Some(above) = walk.inside() {
                above.stays = true;
            }
            return;
        }
        let Some(above) = walk.pair() else { return };
        let removed = match walk.visitor.action {
            Action::Delete => fs::unlinkat(&above.from, name, AtFlags::REMOVEDIR),
            Action::Count => Ok(()),
        };
        match removed {
            Ok(()) => walk.visitor.tally.directories += 1,
            Err(Errno::NOENT) => {}
            Err(error) => walk.note(name, error.into()),
        }
    }

    fn barred(walk: &mut Walk<Self>, name: &[u8], error: Errno) {
        let stays = walk.inside().is_some_and(|inside| inside.stays);
        walk.note(name, error.into());
        // What is counted has its mounts still, which are gone before anything is deleted.
        if walk.visitor.action == Action::Count
            && error == Errno::XDEV
            && let Some(inside) = walk.inside()
        {
            inside.stays = stays;
        }
    }

    fn note(&mut self, inside: Option<&mut Inside<'k>>, path: &[u8], error: io::Error) {
        if let Some(inside) = inside {
            inside.stays = true;
        }
        let path = escape::path(path);
        // EXDEV: a mount on a directory. EBUSY: a mount on a file, or one that
        // came between.
        if matches!(
            Errno::from_io_error(&error),
            Some(Errno::XDEV | Errno::BUSY)
        ) {
            self.tally.skipped_mounts.push(path);
        } else if self.tally.failed.len() < MAX_LISTED {
            let (shown, text) = (path.clone(), error.to_string());
            let undeleted = Undeleted::Path { path, error };
            self.tally.failed.push(Failed {
                path: shown,
                error: text,
                code: Some(undeleted.code()),
            });
            warn(&undeleted.into());
        } else {
            self.tally.failed_more += 1;
        }
    }
}

fn is_directory(directory: &OwnedFd, name: &CStr, kind: FileType) -> bool {
    match kind {
        FileType::Unknown => fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
        kind => kind == FileType::Directory,
    }
}
