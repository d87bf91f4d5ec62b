//! Deletion of the initramfs: whatever the plan does not keep.
//!
//! Only on tmpfs and ramfs, never across a mount, never through a link; by
//! descriptors, with a to-do list instead of recursion, and with no more
//! descriptors open than [`OPEN`], at any depth. No library deletes so: the standard one knows
//! neither mounts nor a list of what to keep, and walkdir goes by path.

use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use linux_raw_sys::general::{OVERLAYFS_SUPER_MAGIC, RAMFS_MAGIC, TMPFS_MAGIC};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir, ResolveFlags, StatVfsMountFlags};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::keep::Keep;
use switch_root_core::report::{DeletionTally, Failed, MAX_LISTED};

/// Directories that are held open at once beside the root, the deepest ones.
const OPEN: usize = 16;

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

/// A directory that is being emptied.
struct Frame<'k> {
    /// Its name in the directory above.
    name: Vec<u8>,
    /// Closed for a while where many are open below it.
    fd: Option<OwnedFd>,
    /// Its inode, to know it again by.
    inode: u64,
    /// What survives in it.
    keep: Option<&'k Keep>,
    /// Directories in it that are still to be emptied.
    to_do: Vec<Vec<u8>>,
    /// Something in it stays, so that it stays itself.
    stays: bool,
}

/// Deletes everything below `root` that `keep` does not name. Never stops at
/// an error: what fails is told, and stays.
///
/// # Errors
/// Only where nothing at all was deleted: `root` is not a memory file system,
/// or cannot be read.
pub fn run(root: OwnedFd, keep: &Keep, mode: Action) -> io::Result<DeletionTally> {
    if mode == Action::Delete && !is_memory(&root)? {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "not on tmpfs or ramfs",
        ));
    }
    let mut tally = DeletionTally::default();
    if *keep == Keep::Whole {
        return Ok(tally);
    }
    let mut stack = vec![Frame {
        name: Vec::new(),
        inode: fs::fstat(&root)?.st_ino,
        fd: Some(root),
        keep: Some(keep),
        to_do: Vec::new(),
        stays: false,
    }];
    empty(&mut stack, &mut tally, mode)?;
    while let Some(frame) = stack.last_mut() {
        if let Some(name) = frame.to_do.pop() {
            enter(&mut stack, name, &mut tally, mode);
        } else if !leave(&mut stack, &mut tally, mode) {
            break;
        }
    }
    Ok(tally)
}

/// Opens a directory of the innermost frame and removes its files.
fn enter(stack: &mut Vec<Frame<'_>>, name: Vec<u8>, tally: &mut DeletionTally, mode: Action) {
    let Some(parent) = stack.last() else { return };
    let Some(parent_fd) = &parent.fd else { return };
    // A mount on it is refused here, whatever device it has.
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open =
        |parent: &OwnedFd| fs::openat2(parent, name.as_slice(), flags, Mode::empty(), resolve);
    let mut opened = open(parent_fd);
    // Where fewer descriptors may be open than are held here, those far above wait closed.
    while matches!(opened, Err(Errno::MFILE | Errno::NFILE)) && close_one_above(stack) {
        let Some(parent_fd) = stack.last().and_then(|parent| parent.fd.as_ref()) else {
            return;
        };
        opened = open(parent_fd);
    }
    let Some(parent) = stack.last() else { return };
    match opened {
        Ok(fd) => {
            let keep = parent.keep.and_then(|keep| keep.child(&name));
            stack.push(Frame {
                name,
                inode: 0,
                fd: Some(fd),
                keep,
                to_do: Vec::new(),
                stays: keep.is_some(),
            });
            if let Err(error) = empty(stack, tally, mode) {
                note(stack, &[], error, tally);
            }
            bound_descriptors(stack);
        }
        Err(Errno::NOENT) => {}
        Err(error) => {
            let stays = parent.stays;
            note(stack, &name, error, tally);
            // What is counted has its mounts still, which are gone before anything is
            // deleted.
            if mode == Action::Count
                && error == Errno::XDEV
                && let Some(parent) = stack.last_mut()
            {
                parent.stays = stays;
            }
        }
    }
}

/// Closes the directory that became one too many.
fn bound_descriptors(stack: &mut [Frame<'_>]) {
    // Never the root: on the way back to it one would come upon what is mounted over it.
    match stack.len().checked_sub(OPEN + 1) {
        None | Some(0) => {}
        Some(index) => {
            close(&mut stack[index]);
        }
    }
}

/// Closes the outermost directory that is open, but neither the root nor the innermost.
/// Says whether there was one.
fn close_one_above(stack: &mut [Frame<'_>]) -> bool {
    let above = stack.len().saturating_sub(1);
    let mut between = stack.iter_mut().take(above).skip(1);
    between.find(|frame| frame.fd.is_some()).is_some_and(close)
}

/// Closes a directory for a while. Says whether it did.
fn close(frame: &mut Frame<'_>) -> bool {
    let Some(fd) = &frame.fd else { return false };
    // Not closed where it could not be known again.
    let Ok(stat) = fs::fstat(fd) else {
        return false;
    };
    frame.inode = stat.st_ino;
    frame.fd = None;
    true
}

/// Removes the files of the innermost directory, and lists its directories.
fn empty(stack: &mut Vec<Frame<'_>>, tally: &mut DeletionTally, mode: Action) -> Result<(), Errno> {
    let Some(frame) = stack.last_mut() else {
        return Ok(());
    };
    let Some(fd) = frame.fd.take() else {
        return Ok(());
    };
    let mut buffer = [MaybeUninit::uninit(); 32 << 10];
    let mut reader = RawDir::new(&fd, &mut buffer);
    let mut outcome = Ok(());
    while let Some(entry) = reader.next() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                outcome = Err(error);
                break;
            }
        };
        let name = entry.file_name();
        let bytes = name.to_bytes();
        if matches!(bytes, b"." | b"..") {
            continue;
        }
        let Some(frame) = stack.last_mut() else { break };
        let directory = is_directory(&fd, name, entry.file_type());
        // Beneath the tree of what survives there is nothing to look up.
        match frame.keep.and_then(|keep| keep.child(bytes)) {
            // Something that is no directory cannot be kept in part.
            Some(Keep::Part(_)) if directory => frame.stays = true,
            Some(_) => {
                frame.stays = true;
                continue;
            }
            None => {}
        }
        if directory {
            frame.to_do.push(bytes.to_vec());
            continue;
        }
        let removed = match mode {
            Action::Delete => fs::unlinkat(&fd, name, AtFlags::empty()),
            Action::Count => Ok(()),
        };
        match removed {
            Ok(()) => tally.files += 1,
            Err(Errno::NOENT) => {}
            Err(error) => {
                let name = bytes.to_vec();
                note(stack, &name, error, tally);
            }
        }
    }
    if let Some(frame) = stack.last_mut() {
        frame.fd = Some(fd);
    }
    outcome
}

fn is_directory(directory: &OwnedFd, name: &CStr, kind: FileType) -> bool {
    match kind {
        FileType::Unknown => fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
        kind => kind == FileType::Directory,
    }
}

/// Removes the innermost directory, now empty, and goes back to the one above.
/// Says whether there is one.
fn leave(stack: &mut Vec<Frame<'_>>, tally: &mut DeletionTally, mode: Action) -> bool {
    let Some(frame) = stack.pop() else {
        return false;
    };
    let Some(parent) = stack.last_mut() else {
        return false;
    };
    if parent.fd.is_none() {
        match frame
            .fd
            .as_ref()
            .map(|fd| reopen_parent(fd.as_fd(), parent.inode))
        {
            Some(Ok(fd)) => parent.fd = Some(fd),
            other => {
                // What is above cannot be reached any more: it stays.
                let error = match other {
                    Some(Err(error)) => error,
                    _ => Errno::BADF,
                };
                stack.push(frame);
                note(stack, &[], error, tally);
                stack.clear();
                return false;
            }
        }
    }
    if frame.stays {
        parent.stays = true;
        return true;
    }
    let Some(parent_fd) = &parent.fd else {
        return false;
    };
    let removed = match mode {
        Action::Delete => fs::unlinkat(parent_fd, frame.name.as_slice(), AtFlags::REMOVEDIR),
        Action::Count => Ok(()),
    };
    match removed {
        Ok(()) => tally.directories += 1,
        Err(Errno::NOENT) => {}
        Err(error) => note(stack, &frame.name, error, tally),
    }
    true
}

/// Opens the directory above, and makes sure that it is the one we came from.
pub(crate) fn reopen_parent(fd: BorrowedFd<'_>, inode: u64) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = fs::openat2(fd, c"..", flags, Mode::empty(), ResolveFlags::NO_XDEV)?;
    if fs::fstat(&parent)?.st_ino == inode {
        Ok(parent)
    } else {
        Err(Errno::XDEV)
    }
}

/// Tells of something that stays, in the innermost directory, or of that
/// directory itself where `name` is empty.
fn note(stack: &mut [Frame<'_>], name: &[u8], error: Errno, tally: &mut DeletionTally) {
    if let Some(frame) = stack.last_mut() {
        frame.stays = true;
    }
    let mut path = Vec::new();
    for part in stack
        .iter()
        .map(|frame| frame.name.as_slice())
        .chain([name])
        .filter(|part| !part.is_empty())
    {
        path.push(b'/');
        path.extend_from_slice(part);
    }
    let path = escape::path(&path);
    // EXDEV: a mount on a directory. EBUSY: a mount on a file, or one that
    // came between.
    if matches!(error, Errno::XDEV | Errno::BUSY) {
        tally.skipped_mounts.push(path);
    } else if tally.failed.len() < MAX_LISTED {
        tracing::warn!("{path} cannot be deleted: {}", io::Error::from(error));
        tally.failed.push(Failed {
            path,
            error: io::Error::from(error).to_string(),
        });
    } else {
        tally.failed_more += 1;
    }
}
