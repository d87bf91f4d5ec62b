//! The walk through what is kept, as [`switch_root_core::walk`] goes: it measures it, or copies
//! it.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::keep::Keep;
use switch_root_core::outcome::Outcomes;
use switch_root_core::report::{CopyTally, Failed, MAX_LISTED};
use switch_root_core::resolve::{self, Within};
use switch_root_core::walk::{Visitor, Walk, directory};

use super::entry;
use crate::deletion::is_memory;

pub use switch_root_core::walk::Pair;

switch_root_core::outcomes! {
    /// What is not copied as it is.
    pub enum Incomplete in "not-copied" {
        /// The error says why; most often `/run` has become full. Where only an attribute is named, the
        /// copy lacks nothing else.
        "SR-W75" Copy { path: String, error: String } = "{path} cannot be copied, or not as it is: {error}",
    }
}

/// What a file occupies is counted in pages, in bytes each.
const PAGE: u64 = 4096;

/// That something cannot be copied, or not as it is.
pub fn incomplete(path: String, error: &io::Error) -> Failed {
    let error = error.to_string();
    let failure = Incomplete::Copy {
        path: path.clone(),
        error: error.clone(),
    };
    Failed {
        path,
        error,
        code: Some(failure.code()),
    }
}

/// Walks through what is kept in a directory, and copies it where the pair has a
/// place for that. Never stops at an error: what fails is reported.
pub fn run(pair: Pair, keep: &Keep) -> CopyTally {
    let copier = Copier {
        keep,
        tally: CopyTally::default(),
        counts_blocks: counts_blocks(&pair.from),
        buffer: Vec::new(),
    };
    let mut walk = Walk::new(pair, copier);
    if let Err(error) = walk.list() {
        walk.note(&[], error.into());
    }
    walk.finish().tally
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
fn place(directory: &OwnedFd, name: &CStr) -> Result<OwnedFd, Errno> {
    resolve::open(
        Within::Mount,
        directory,
        name,
        OFlags::PATH | OFlags::NOFOLLOW,
    )
}

/// Copies what the walk finds, or measures it.
struct Copier<'k> {
    keep: &'k Keep,
    tally: CopyTally,
    /// Whether files say how many blocks they have.
    counts_blocks: bool,
    buffer: Vec<u8>,
}

impl<'k> Visitor for Copier<'k> {
    /// What is kept in it.
    type Inside = &'k Keep;

    fn first(&self) -> &'k Keep {
        self.keep
    }

    fn take(walk: &mut Walk<Self>, pair: &Pair, name: &CStr, _kind: FileType) -> bool {
        let bytes = name.to_bytes();
        let kept = walk.inside().and_then(|keep| keep.child(bytes));
        if kept.is_none() {
            return false;
        }
        let stat = match place(&pair.from, name).and_then(fs::fstat) {
            Ok(stat) => stat,
            // Gone since it was read.
            Err(Errno::NOENT) => return false,
            Err(error) => {
                walk.note(bytes, error.into());
                return false;
            }
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return true;
        }
        if let Some(to) = &pair.to {
            match entry::copy(&pair.from, to, bytes, &stat, &mut walk.visitor.buffer) {
                Ok(lacking) => note_all(walk, bytes, lacking),
                Err(error) => {
                    walk.note(bytes, error);
                    return false;
                }
            }
        }
        let visitor = &mut walk.visitor;
        visitor.tally.files += 1;
        visitor.tally.bytes += occupied(&stat, visitor.counts_blocks);
        false
    }

    fn open(
        &mut self,
        keep: &&'k Keep,
        above: &Pair,
        name: &[u8],
    ) -> Result<(Pair, &'k Keep), Errno> {
        let keep = keep.child(name).ok_or(Errno::NOENT)?;
        let from = directory(&above.from, name)?;
        let to = above.to.as_ref().map(|to| make(to, name)).transpose()?;
        Ok((Pair { from, to }, keep))
    }

    fn left(walk: &mut Walk<Self>, name: &[u8], _: &'k Keep) {
        walk.visitor.tally.directories += 1;
        let Some(Pair { from, to: Some(to) }) = walk.pair() else {
            return;
        };
        match entry::copy_attributes(from, to, name) {
            Ok(lacking) => note_all(walk, name, lacking),
            Err(error) => walk.note(name, error),
        }
    }

    fn note(&mut self, _: Option<&mut &'k Keep>, path: &[u8], error: io::Error) {
        let path = escape::path(path);
        // The errors of a mount on a directory, and on a file.
        if error.raw_os_error() == Some(Errno::XDEV.raw_os_error()) {
            self.tally.skipped_mounts.push(path);
        } else if self.tally.failed.len() < MAX_LISTED {
            self.tally.failed.push(incomplete(path, &error));
        } else {
            self.tally.failed_more += 1;
        }
    }
}

/// Makes the copy of a directory. Its mode comes when all that it holds is there.
fn make(above: &OwnedFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    fs::mkdirat(above, name, Mode::RWXU)?;
    directory(above, name).inspect_err(|_| {
        let _ = fs::unlinkat(above, name, AtFlags::REMOVEDIR);
    })
}

fn note_all(walk: &mut Walk<Copier<'_>>, name: &[u8], errors: Vec<io::Error>) {
    for error in errors {
        walk.note(name, error);
    }
}
