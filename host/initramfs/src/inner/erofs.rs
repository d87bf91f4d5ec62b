//! An image of erofs. The reader is a library, young, but one that checks what it reads and
//! names what it cannot: fragments, for one, which dracut makes where it compresses. It has no
//! owners of files.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use lamfold::{
    BlockCache, BlockSource, FileKind as Kind, FoldError, FoldFrontend, NoVerifier, SubstrateCtx,
};
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;
use switch_root_core::path;

use super::volume::{Doubt, Entry, Unread, Volume};
use crate::tree::Budget;

/// A part of a file.
struct Part {
    file: File,
    offset: u64,
    size: u64,
}

impl BlockSource for Part {
    fn len(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<(), FoldError> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.size) {
            return Err(FoldError::Io("read past the end of the image"));
        }
        self.file
            .read_exact_at(buffer, self.offset + offset)
            .map_err(|_| FoldError::Io("the image cannot be read"))
    }
}

pub(super) struct Erofs {
    image: lamfold_erofs::Erofs<Part>,
    cache: BlockCache,
}

impl Erofs {
    pub fn open(file: File, offset: u64, size: u64) -> Result<Self, Unread> {
        let mut cache = BlockCache::new(0);
        let part = Part { file, offset, size };
        let image = FoldFrontend::open(part, &mut context(&mut cache)).map_err(unread)?;
        Ok(Self { image, cache })
    }

    fn entry(&mut self, path: Vec<u8>, number: u64) -> Result<Entry, Unread> {
        let cx = &mut context(&mut self.cache);
        let metadata = self.image.metadata(number, cx).map_err(unread)?;
        let (kind, size) = match metadata.kind {
            Kind::Regular => (FileKind::Regular, metadata.size),
            Kind::Directory => (FileKind::Directory, 0),
            Kind::Symlink => (FileKind::Symlink, 0),
            // Which one of them is not known, and of no consequence to a plan.
            Kind::Other => (FileKind::Socket, 0),
        };
        let target = self.image.read_link(number, cx).map_err(unread)?;
        Ok(Entry {
            path,
            kind,
            mode: metadata.mode & 0o7777,
            uid: 0,
            gid: 0,
            rdev: (0, 0),
            size,
            target: target.unwrap_or_default(),
            number,
        })
    }
}

impl Volume for Erofs {
    fn entries(&mut self, budget: &mut Budget) -> Result<Vec<Entry>, Message> {
        let root = self.entry(Vec::new(), self.image.root())?;
        let mut directories = VecDeque::from([root.clone()]);
        let mut entries = vec![root];
        while let Some(directory) = directories.pop_front() {
            let cx = &mut context(&mut self.cache);
            let inside = self.image.read_dir(directory.number, cx).map_err(unread)?;
            for child in inside {
                if child.name == "." || child.name == ".." {
                    continue;
                }
                let path = match directory.path.is_empty() {
                    true => child.name.into_bytes(),
                    false => path::join(&directory.path, child.name.as_bytes()),
                };
                let entry = self.entry(path, child.node)?;
                budget.take(&entry.path, entry.size)?;
                if entry.kind == FileKind::Directory {
                    directories.push_back(entry.clone());
                }
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    fn contents<'a>(&'a mut self, entry: &Entry) -> Box<dyn Read + 'a> {
        Box::new(Contents {
            of: self,
            number: entry.number,
            at: 0,
        })
    }

    fn doubt(&self) -> Option<Doubt> {
        Some(Doubt::Owners)
    }
}

struct Contents<'a> {
    of: &'a mut Erofs,
    number: u64,
    at: u64,
}

impl Read for Contents<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let cx = &mut context(&mut self.of.cache);
        let read = self.of.image.read_at(self.number, self.at, buffer, cx);
        let read = read.map_err(|error| io::Error::other(error.to_string()))?;
        self.at += read as u64;
        Ok(read)
    }
}

fn context(cache: &mut BlockCache) -> SubstrateCtx<'_> {
    SubstrateCtx {
        cache,
        verifier: &NoVerifier,
    }
}

fn unread(error: FoldError) -> Unread {
    Unread::Format {
        reason: error.to_string(),
    }
}
