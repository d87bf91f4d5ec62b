//! The one walk through directories of which nothing is known: never across a mount, never
//! through a link; by descriptors, with a to-do list instead of recursion, and with no more
//! than [`OPEN`] directories of each side open at once, at any depth. What is done on the way
//! is a [`Visitor`]'s. No library walks so: the standard one and walkdir go by path.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, FileType, OFlags, RawDir};
use rustix::io::Errno;

use crate::resolve::{self, Within};

/// Directories that are held open at once beside the first, the deepest ones.
const OPEN: usize = 16;

/// How much is read of a directory at once, in bytes.
const BUFFER: usize = 32 << 10;

/// A directory, and where its copy is, if it is copied.
pub struct Pair {
    /// The directory.
    pub from: OwnedFd,
    /// Its copy.
    pub to: Option<OwnedFd>,
}

/// What is done with what a walk finds.
pub trait Visitor: Sized {
    /// What is known of a directory while the walk is in it.
    type Inside;

    /// What is known of the directory that the walk begins in.
    fn first(&self) -> Self::Inside;

    /// Takes one name of the innermost directory. Says whether the walk goes into it
    /// when all names of the directory are taken.
    fn take(walk: &mut Walk<Self>, pair: &Pair, name: &CStr, kind: FileType) -> bool;

    /// Opens a directory that [`take`](Self::take) wanted to go into, in one of which this is
    /// known.
    ///
    /// # Errors
    /// The walk does not go there, see [`barred`](Self::barred). Where it is for want of
    /// descriptors, this is asked again, with fewer open.
    fn open(
        &mut self,
        inside: &Self::Inside,
        above: &Pair,
        name: &[u8],
    ) -> Result<(Pair, Self::Inside), Errno>;

    /// The walk has left a directory of the innermost one.
    fn left(walk: &mut Walk<Self>, name: &[u8], inside: Self::Inside);

    /// A directory of the innermost one was not entered.
    fn barred(walk: &mut Walk<Self>, name: &[u8], error: Errno) {
        walk.note(name, error.into());
    }

    /// Something failed at this path below the first directory, which is `/`. `inside` is
    /// of the directory that it is in.
    fn note(&mut self, inside: Option<&mut Self::Inside>, path: &[u8], error: std::io::Error);
}

/// A directory that is being walked through.
struct Frame<I> {
    /// Its name in the directory above.
    name: Vec<u8>,
    /// Closed for a while where many are open below it.
    pair: Option<Pair>,
    /// The inodes of both, to know them again by, while they are closed.
    inodes: (u64, Option<u64>),
    /// Directories in it that are still to be walked through.
    to_do: Vec<Vec<u8>>,
    inside: I,
}

/// A walk that goes on.
pub struct Walk<V: Visitor> {
    /// Who is shown what is found.
    pub visitor: V,
    stack: Vec<Frame<V::Inside>>,
}

impl<V: Visitor> Walk<V> {
    /// A walk that begins in this directory.
    pub fn new(first: Pair, visitor: V) -> Self {
        let stack = vec![Frame::new(Vec::new(), first, visitor.first())];
        Self { visitor, stack }
    }

    /// Takes the names of the innermost directory.
    ///
    /// # Errors
    /// It cannot be read to its end.
    pub fn list(&mut self) -> Result<(), Errno> {
        let Some(frame) = self.stack.last_mut() else {
            return Ok(());
        };
        let Some(pair) = frame.pair.take() else {
            return Ok(());
        };
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = RawDir::new(&pair.from, &mut buffer);
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
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if V::take(self, &pair, name, entry.file_type())
                && let Some(frame) = self.stack.last_mut()
            {
                frame.to_do.push(name.to_bytes().to_vec());
            }
        }
        if let Some(frame) = self.stack.last_mut() {
            frame.pair = Some(pair);
        }
        outcome
    }

    /// Walks through what is below the directories that were listed, and back. Never stops
    /// at an error: what fails is noted.
    pub fn finish(mut self) -> V {
        while let Some(frame) = self.stack.last_mut() {
            match frame.to_do.pop() {
                Some(name) => self.enter(name),
                None => self.leave(),
            }
        }
        self.visitor
    }

    /// What is known of the innermost directory.
    pub fn inside(&mut self) -> Option<&mut V::Inside> {
        self.stack.last_mut().map(|frame| &mut frame.inside)
    }

    /// The innermost directory, where its names are not being taken.
    pub fn pair(&self) -> Option<&Pair> {
        self.stack.last()?.pair.as_ref()
    }

    /// Notes that something failed: in the innermost directory, or that directory itself where
    /// `name` is empty.
    pub fn note(&mut self, name: &[u8], error: std::io::Error) {
        let mut path = Vec::new();
        let names = self.stack.iter().map(|frame| frame.name.as_slice());
        for part in names.chain([name]).filter(|part| !part.is_empty()) {
            path.push(b'/');
            path.extend_from_slice(part);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        let inside = self.stack.last_mut().map(|frame| &mut frame.inside);
        self.visitor.note(inside, &path, error);
    }

    /// Goes into a directory of the innermost one.
    fn enter(&mut self, name: Vec<u8>) {
        let mut opened = self.open(&name);
        // Where fewer descriptors may be open than are held here, those far above wait closed.
        while matches!(opened, Err(Errno::MFILE | Errno::NFILE)) && self.close_one_above() {
            opened = self.open(&name);
        }
        match opened {
            Ok((pair, inside)) => {
                self.stack.push(Frame::new(name, pair, inside));
                if let Err(error) = self.list() {
                    self.note(&[], error.into());
                }
                self.bound_descriptors();
            }
            // Gone since it was listed.
            Err(Errno::NOENT) => {}
            Err(error) => V::barred(self, &name, error),
        }
    }

    fn open(&mut self, name: &[u8]) -> Result<(Pair, V::Inside), Errno> {
        match self.stack.last() {
            Some(Frame {
                pair: Some(pair),
                inside,
                ..
            }) => self.visitor.open(inside, pair, name),
            // The innermost directory is open.
            _ => Err(Errno::BADF),
        }
    }

    /// Closes the directory that became one too many.
    fn bound_descriptors(&mut self) {
        // Never the first: on the way back to it one would come upon what is mounted over it.
        if let Some(index @ 1..) = self.stack.len().checked_sub(OPEN + 1) {
            self.stack[index].close();
        }
    }

    /// Closes the outermost directory that is open, but neither the first nor the innermost.
    /// Says whether there was one.
    fn close_one_above(&mut self) -> bool {
        let above = self.stack.len().saturating_sub(1);
        let mut between = self.stack.iter_mut().take(above).skip(1);
        between
            .find(|frame| frame.pair.is_some())
            .is_some_and(Frame::close)
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
            let below = frame.pair.as_ref().ok_or(Errno::BADF);
            match below.and_then(|pair| reopen(pair, above.inodes)) {
                Ok(pair) => above.pair = Some(pair),
                Err(error) => {
                    // What is above cannot be reached any more.
                    self.stack.push(frame);
                    self.note(&[], error.into());
                    return self.stack.clear();
                }
            }
        }
        // Closed before anything is done with its name.
        drop(frame.pair);
        V::left(self, &frame.name, frame.inside);
    }
}

impl<I> Frame<I> {
    fn new(name: Vec<u8>, pair: Pair, inside: I) -> Self {
        Self {
            name,
            pair: Some(pair),
            inodes: (0, None),
            to_do: Vec::new(),
            inside,
        }
    }

    /// Closes a directory for a while. Says whether it did.
    fn close(&mut self) -> bool {
        let Some(pair) = &self.pair else { return false };
        let inode = |fd: &OwnedFd| fs::fstat(fd).map(|stat| stat.st_ino);
        let inodes = (inode(&pair.from), pair.to.as_ref().map(inode).transpose());
        // Not closed where it could not be known again.
        let (Ok(from), Ok(to)) = inodes else {
            return false;
        };
        self.inodes = (from, to);
        self.pair = None;
        true
    }
}

/// How directories are opened that the walk goes into: a mount on one is refused, whatever
/// device it has.
///
/// # Errors
/// Those of [`resolve::open`].
pub fn directory(above: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
    resolve::open(Within::Mount, above, name, flags)
}

/// Opens the directories above both, and makes sure that they are those we came from.
fn reopen(pair: &Pair, (from, to): (u64, Option<u64>)) -> Result<Pair, Errno> {
    Ok(Pair {
        from: above(&pair.from, from)?,
        to: match (&pair.to, to) {
            (Some(fd), Some(inode)) => Some(above(fd, inode)?),
            _ => None,
        },
    })
}

fn above(fd: &OwnedFd, inode: u64) -> Result<OwnedFd, Errno> {
    let parent = resolve::open(Within::Mount, fd, c"..", OFlags::RDONLY | OFlags::DIRECTORY)?;
    match fs::fstat(&parent)?.st_ino == inode {
        true => Ok(parent),
        false => Err(Errno::XDEV),
    }
}
