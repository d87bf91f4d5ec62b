//! The walk through what survives: it measures it, or copies it.
//!
//! As the deletion walks: never across a mount, never through a link; by
//! descriptors, with a to-do list instead of recursion, and with no more than
//! [`OPEN`] directories of each side open at once, at any depth.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, FileType, Mode, OFlags, RawDir, ResolveFlags};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::keep::Keep;
use switch_root_core::report::{CopyTally, Failed, MAX_LISTED};

use super::entry;
use crate::deletion::{is_memory, reopen_parent};

/// Directories that are held open at once beside the first, the deepest ones.
const OPEN: usize = 16;
/// What a file occupies is counted in pages, in bytes each.
const PAGE: u64 = 4096;

/// How files of the initramfs are opened: see [`crate::listing`].
const STRICT: ResolveFlags = ResolveFlags::NO_XDEV.union(ResolveFlags::NO_SYMLINKS);

/// A directory of the initramfs, and where its copy is, if it is copied.
pub struct Pair {
    /// The directory.
    pub from: OwnedFd,
    /// Its copy.
    pub to: Option<OwnedFd>,
}

/// A directory that is being walked through.
struct Frame<'k> {
    /// Its name in the directory above.
    name: Vec<u8>,
    /// Closed for a while where many are open below it.
    pair: Option<Pair>,
    /// The inodes of both, to know them again by, while they are closed.
    inodes: (u64, Option<u64>),
    /// What survives in it.
    keep: &'k Keep,
    /// Directories in it that are still to be walked through.
    to_do: Vec<Vec<u8>>,
}

/// A walk that goes on.
struct Walk<'k> {
    stack: Vec<Frame<'k>>,
    tally: CopyTally,
    /// Whether files say how many blocks they have.
    counts_blocks: bool,
    buffer: Vec<u8>,
}

/// Walks through what survives in a directory, and copies it where the pair has a
/// place for that. Never stops at an error: what fails is told.
pub fn run(pair: Pair, keep: &Keep) -> CopyTally {
    let mut walk = Walk {
        counts_blocks: counts_blocks(&pair.from),
        stack: vec![Frame {
            name: Vec::new(),
            pair: Some(pair),
            inodes: (0, None),
            keep,
            to_do: Vec::new(),
        }],
        tally: CopyTally::default(),
        buffer: Vec::new(),
    };
    walk.list();
    while let Some(frame) = walk.stack.last_mut() {
        if let Some(name) = frame.to_do.pop() {
            walk.enter(name);
        } else {
            walk.leave();
        }
    }
    walk.tally
}

/// Whether a file system says how many blocks a file has: ramfs does not.
pub fn counts_blocks(fd: impl AsFd) -> bool {
    let counts = fs::fstatfs(&fd).is_ok_and(|stat| stat.f_blocks > 0);
    counts || !is_memory(&fd).unwrap_or(false)
}

/// The bytes that a file occupies in the memory of a tmpfs.
pub fn occupied(stat: &fs::Stat, counts_blocks: bool) -> u64 {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if counts_blocks => stat.st_blocks as u64 * 512,
        FileType::RegularFile => (stat.st_size as u64).next_multiple_of(PAGE),
        // Short ones are part of the inode; how short depends on the kernel.
        FileType::Symlink if stat.st_size > 100 => PAGE,
        _ => 0,
    }
}

/// Opens a name of a directory as a place, without following it, unless something is
/// mounted there.
fn place(directory: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat2(directory, name, flags, Mode::empty(), STRICT)
}

/// Opens a directory within another one.
fn directory(above: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat2(above, name, flags, Mode::empty(), STRICT)
}

impl Walk<'_> {
    /// Takes the innermost directory's files, and notes its directories.
    fn list(&mut self) {
        let Some(frame) = self.stack.last_mut() else {
            return;
        };
        let Some(pair) = frame.pair.take() else {
            return;
        };
        let mut buffer = [MaybeUninit::uninit(); 32 << 10];
        let mut reader = RawDir::new(&pair.from, &mut buffer);
        while let Some(entry) = reader.next() {
            match entry {
                Ok(entry) => self.take(&pair, entry.file_name().to_bytes()),
                Err(error) => {
                    self.note(&[], error.into());
                    break;
                }
            }
        }
        if let Some(frame) = self.stack.last_mut() {
            frame.pair = Some(pair);
        }
    }

    /// Takes one name of the innermost directory.
    fn take(&mut self, pair: &Pair, name: &[u8]) {
        let kept = |frame: &Frame<'_>| frame.keep.child(name).is_some();
        if matches!(name, b"." | b"..") || !self.stack.last().is_some_and(kept) {
            return;
        }
        let stat = match place(&pair.from, name).and_then(fs::fstat) {
            Ok(stat) => stat,
            // Gone since it was read.
            Err(Errno::NOENT) => return,
            Err(error) => return self.note(name, error.into()),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            if let Some(frame) = self.stack.last_mut() {
                frame.to_do.push(name.to_vec());
            }
            return;
        }
        if let Some(to) = &pair.to {
            match entry::copy(&pair.from, to, name, &stat, &mut self.buffer) {
                Ok(lacking) => self.note_all(name, lacking),
                Err(error) => return self.note(name, error),
            }
        }
        self.tally.files += 1;
        self.tally.bytes += occupied(&stat, self.counts_blocks);
    }

    /// Goes into a directory of the innermost one.
    fn enter(&mut self, name: Vec<u8>) {
        let Some(above) = self.stack.last() else {
            return;
        };
        let (Some(pair), Some(keep)) = (&above.pair, above.keep.child(&name)) else {
            return;
        };
        let open = || -> Result<Pair, Errno> {
            let from = directory(&pair.from, &name)?;
            let to = match &pair.to {
                Some(to) => {
                    // Its mode comes when all that it holds is there.
                    fs::mkdirat(to, name.as_slice(), Mode::RWXU)?;
                    Some(directory(to, &name)?)
                }
                None => None,
            };
            Ok(Pair { from, to })
        };
        match open() {
            Ok(pair) => {
                self.stack.push(Frame {
                    name,
                    pair: Some(pair),
                    inodes: (0, None),
                    keep,
                    to_do: Vec::new(),
                });
                self.list();
                self.bound_descriptors();
            }
            Err(Errno::NOENT) => {}
            Err(error) => self.note(&name, error.into()),
        }
    }

    /// Closes the directory that became one too many.
    fn bound_descriptors(&mut self) {
        let Some(index @ 1..) = self.stack.len().checked_sub(OPEN + 1) else {
            return;
        };
        let frame = &mut self.stack[index];
        let Some(pair) = &frame.pair else { return };
        let inode = |fd: &OwnedFd| fs::fstat(fd).map(|stat| stat.st_ino);
        // Not closed where it could not be known again.
        let (Ok(from), Ok(to)) = (inode(&pair.from), pair.to.as_ref().map(inode).transpose())
        else {
            return;
        };
        frame.inodes = (from, to);
        frame.pair = None;
    }

    /// Ends the innermost directory, and goes back to the one above.
    fn leave(&mut self) {
        let Some(frame) = self.stack.pop() else {
            return;
        };
        let Some(above) = self.stack.last_mut() else {
            return;
        };
        if above.pair.is_none() {
            match frame.pair.as_ref().map(|pair| reopen(pair, above.inodes)) {
                Some(Ok(pair)) => above.pair = Some(pair),
                other => {
                    // What is above cannot be reached any more.
                    let error = other.and_then(Result::err).unwrap_or(Errno::BADF);
                    self.stack.push(frame);
                    self.note(&[], error.into());
                    return self.stack.clear();
                }
            }
        }
        self.tally.directories += 1;
        let Some(Pair { from, to: Some(to) }) = &above.pair else {
            return;
        };
        match entry::copy_attributes(from, to, &frame.name) {
            Ok(lacking) => self.note_all(&frame.name, lacking),
            Err(error) => self.note(&frame.name, error),
        }
    }

    fn note_all(&mut self, name: &[u8], errors: Vec<io::Error>) {
        for error in errors {
            self.note(name, error);
        }
    }

    /// Tells of something in the innermost directory, or of that directory itself where
    /// `name` is empty.
    fn note(&mut self, name: &[u8], error: io::Error) {
        let mut path = Vec::new();
        let names = self.stack.iter().map(|frame| frame.name.as_slice());
        for part in names.chain([name]).filter(|part| !part.is_empty()) {
            path.push(b'/');
            path.extend_from_slice(part);
        }
        let path = escape::path(if path.is_empty() { b"/" } else { &path });
        // The errors of a mount on a directory, and on a file.
        if error.raw_os_error() == Some(Errno::XDEV.raw_os_error()) {
            self.tally.skipped_mounts.push(path);
        } else if self.tally.failed.len() < MAX_LISTED {
            self.tally.failed.push(Failed {
                path,
                error: error.to_string(),
            });
        } else {
            self.tally.failed_more += 1;
        }
    }
}

/// Opens the directories above both, and makes sure that they are those we came from.
fn reopen(pair: &Pair, (from, to): (u64, Option<u64>)) -> Result<Pair, Errno> {
    Ok(Pair {
        from: reopen_parent(pair.from.as_fd(), from)?,
        to: match (&pair.to, to) {
            (Some(fd), Some(inode)) => Some(reopen_parent(fd.as_fd(), inode)?),
            _ => None,
        },
    })
}
