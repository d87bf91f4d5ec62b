//! The contents of files that a tree keeps.

use std::fs::File;
use std::io::{self, Read, Seek};

use switch_root_core::error::Attempt;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

use super::{Want, Wanted};
use crate::archive::room;

switch_root_core::outcomes! {
    /// Why the contents of a file are not kept.
    pub enum NotKept in "images" {
        /// Policies and their settings are small; something else has their place in the image.
        "SR-G35" TooMuch { name: String, most: u64 } = "cannot read `{name}`: the policies and settings of the image have more than {most} MiB, which is what is read of them",
        /// `TMPDIR` has no room, or may not be written.
        "SR-G67" NoCopy { name: String } = "cannot read `{name}`: no temporary file for a copy",
    }
}

/// Bytes of files that are kept in memory at most.
pub(super) const KEPT: u64 = 512 << 20;

/// What is kept of a file's contents.
#[derive(Debug)]
pub enum Stored {
    /// All of it.
    Whole(Vec<u8>),
    /// Its first bytes.
    Head(Vec<u8>),
    /// Nothing: it is larger than this.
    TooLarge(u64),
    /// Where it stands in the image, uncompressed: offset and length in bytes.
    At(u64, u64),
    /// In a file of its own: the one of the folder, or a copy that has no name.
    File(File),
}

impl Stored {
    /// A copy of the contents of the file at a path.
    pub(super) fn copy(path: &[u8], contents: &mut dyn Read) -> Result<Self> {
        let name = || escape::path(path);
        let mut copy = tempfile::tempfile()
            .map_err(|error| Error::system(NotKept::NoCopy { name: name() }, &error))?;
        io::copy(contents, &mut copy)
            .and_then(|_| copy.rewind())
            .map_err(|error| Error::of_copy(Attempt::ReadInside { name: name() }, &error))?;
        Ok(Self::File(copy))
    }
}

/// Reads contents, all of them, and keeps what is wanted.
pub(super) struct Keeper<'a> {
    pub wanted: &'a Wanted,
    /// Bytes that may still be kept.
    left: u64,
}

/// What came of reading contents.
#[derive(Default)]
pub(super) struct Kept {
    pub stored: Option<Stored>,
    pub digest: Option<[u8; 32]>,
}

impl<'a> Keeper<'a> {
    pub fn new(wanted: &'a Wanted) -> Self {
        Self { wanted, left: KEPT }
    }

    /// Reads the contents of a file at a path. `at` is where they are in the image,
    /// where they are not compressed.
    pub fn read(
        &mut self,
        want: Option<Want>,
        path: &[u8],
        size: u64,
        at: Option<u64>,
        contents: &mut dyn Read,
    ) -> Result<Kept> {
        let mut digest = self.wanted.digests.then(Hasher::default);
        let mut input = Tee {
            inner: contents,
            digest: digest.as_mut(),
        };
        let name = || escape::path(path);
        let failed =
            |error: io::Error| Error::of_copy(Attempt::ReadInside { name: name() }, &error);
        let stored = match want {
            None => None,
            Some(Want::Whole(limit)) if size > limit => Some(Stored::TooLarge(limit)),
            Some(want @ (Want::Whole(_) | Want::Head(_))) => {
                let most = match want {
                    Want::Head(most) => most.min(size),
                    _ => size,
                };
                self.left = self.left.checked_sub(most).ok_or_else(|| {
                    Error::input(NotKept::TooMuch {
                        name: name(),
                        most: KEPT >> 20,
                    })
                })?;
                let mut bytes = room(most);
                (&mut input)
                    .take(most)
                    .read_to_end(&mut bytes)
                    .map_err(failed)?;
                Some(match want {
                    Want::Head(_) => Stored::Head(bytes),
                    _ => Stored::Whole(bytes),
                })
            }
            Some(Want::Place) => Some(match at {
                Some(offset) => Stored::At(offset, size),
                None => Stored::copy(path, &mut input)?,
            }),
        };
        if self.wanted.digests {
            io::copy(&mut input, &mut io::sink()).map_err(failed)?;
        }
        Ok(Kept {
            stored,
            digest: digest.map(Hasher::finish),
        })
    }
}

/// SHA-256, so far.
#[derive(Default)]
struct Hasher(sha2::Sha256);

impl Hasher {
    fn finish(self) -> [u8; 32] {
        use sha2::Digest;
        self.0.finalize().into()
    }
}

struct Tee<'a> {
    inner: &'a mut dyn Read,
    digest: Option<&'a mut Hasher>,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use sha2::Digest;
        let length = self.inner.read(buffer)?;
        if let Some(digest) = &mut self.digest {
            digest.0.update(&buffer[..length]);
        }
        Ok(length)
    }
}
