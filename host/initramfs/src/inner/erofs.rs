//! An image of erofs. The reader of contents and directories is a library, young, but one that
//! checks what it reads and names what it cannot: fragments, for one, which dracut makes where it
//! compresses.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use lamfold::{BlockCache, BlockSource, FoldError, FoldFrontend, NoVerifier, SubstrateCtx};
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;
use switch_root_core::{escape, path};

use super::inode::{COMPACT, Inode, is_extended, parse};
use super::volume::{Entry, Listing, Unread, Volume, check_target, numbers};

/// Where the superblock has the size of blocks, and the block where inodes begin.
const BLOCK_BITS: u64 = 1024 + 12;
const INODES: u64 = 1024 + 40;

/// Bytes of contents after which the image is opened again: the library keeps what it has
/// decompressed for as long as the image is open.
const KEPT: u64 = 64 << 20;

/// A part of a file.
#[derive(Clone)]
struct Part {
    file: Arc<File>,
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
    part: Part,
    image: lamfold_erofs::Erofs<Part>,
    cache: BlockCache,
    /// Where inodes begin.
    inodes: u64,
    /// Bytes of contents that were read since the image was opened.
    read: u64,
}

impl Erofs {
    pub fn open(file: File, offset: u64, size: u64) -> Result<Self, Unread> {
        let mut part = Part {
            file: Arc::new(file),
            offset,
            size,
        };
        let (cache, image) = open(&part)?;
        let (mut bits, mut block) = ([0], [0; 4]);
        part.read_at(BLOCK_BITS, &mut bits).map_err(unread)?;
        part.read_at(INODES, &mut block).map_err(unread)?;
        Ok(Self {
            part,
            image,
            cache,
            // The library has checked the size of blocks.
            inodes: u64::from(u32::from_le_bytes(block)) << (bits[0] % 32),
            read: 0,
        })
    }

    fn inode(&mut self, number: u64) -> Result<Inode, Unread> {
        let offset = number.checked_mul(COMPACT as u64);
        let offset = offset.and_then(|offset| offset.checked_add(self.inodes));
        let offset = offset.ok_or_else(|| damaged("the number of an inode is too large"))?;
        let mut bytes = [0; 2 * COMPACT];
        let (compact, more) = bytes.split_at_mut(COMPACT);
        self.part.read_at(offset, compact).map_err(unread)?;
        if is_extended(compact) {
            let offset = offset.saturating_add(COMPACT as u64);
            self.part.read_at(offset, more).map_err(unread)?;
        }
        Ok(parse(&bytes))
    }

    fn entry(&mut self, path: Vec<u8>, number: u64) -> Result<Entry, Unread> {
        let inode = self.inode(number)?;
        let kind = FileKind::of_mode(inode.mode);
        let mut entry = Entry {
            mode: inode.mode,
            uid: inode.uid,
            gid: inode.gid,
            file: (inode.nlink > 1).then_some(number),
            number,
            ..Entry::default()
        };
        match kind.ok_or_else(|| damaged("the mode of an inode is of no kind of file"))? {
            FileKind::Regular => entry.size = inode.size,
            FileKind::Symlink => {
                check_target(&path, inode.size)?;
                let cx = &mut context(&mut self.cache);
                let target = self.image.read_link(number, cx).map_err(unread)?;
                entry.target = target.unwrap_or_default();
                entry.file = None;
            }
            FileKind::Directory => {
                // The library makes room for it before it reads.
                if inode.size > self.part.size {
                    return Err(damaged("a directory is larger than the image"));
                }
                entry.file = None;
            }
            FileKind::BlockDevice | FileKind::CharacterDevice => entry.rdev = numbers(inode.rdev),
            FileKind::Fifo | FileKind::Socket => {}
        }
        entry.path = path;
        Ok(entry)
    }
}

impl Volume for Erofs {
    fn list(&mut self, listing: &mut Listing) -> Result<(), Message> {
        let root = self.entry(Vec::new(), self.image.root())?;
        let mut seen = HashSet::from([root.number]);
        let mut directories = VecDeque::from([(Vec::new(), root.number)]);
        listing.add(root)?;
        while let Some((directory, number)) = directories.pop_front() {
            let cx = &mut context(&mut self.cache);
            for child in self.image.read_dir(number, cx).map_err(unread)? {
                let name = child.name.as_bytes();
                let path = match directory.is_empty() {
                    true => name.to_vec(),
                    false => path::join(&directory, name),
                };
                // What is not UTF-8 the library replaces, so that two names may become one.
                if child.name.contains(char::REPLACEMENT_CHARACTER) {
                    let path = escape::path(&path);
                    return Err(Unread::NotText { path }.into());
                }
                if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
                    return Err(damaged("the name of a file has a slash, or is a dot").into());
                }
                let entry = self.entry(path, child.node)?;
                if entry.mode & libc::S_IFMT == libc::S_IFDIR {
                    if !seen.insert(entry.number) {
                        let path = escape::path(&entry.path);
                        return Err(Unread::Repeated { path }.into());
                    }
                    directories.push_back((entry.path.clone(), entry.number));
                }
                listing.add(entry)?;
            }
        }
        Ok(())
    }

    fn contents<'a>(&'a mut self, entry: &Entry) -> Result<Box<dyn Read + 'a>, Unread> {
        if self.read > KEPT {
            (self.cache, self.image) = open(&self.part)?;
            self.read = 0;
        }
        Ok(Box::new(Contents {
            of: self,
            number: entry.number,
            at: 0,
        }))
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
        let read = read.map_err(|error| io::Error::other(error.to_string()))? as u64;
        self.at += read;
        self.of.read += read;
        Ok(read as usize)
    }
}

fn open(part: &Part) -> Result<(BlockCache, lamfold_erofs::Erofs<Part>), Unread> {
    let mut cache = BlockCache::new(0);
    let image = FoldFrontend::open(part.clone(), &mut context(&mut cache)).map_err(unread)?;
    Ok((cache, image))
}

fn context(cache: &mut BlockCache) -> SubstrateCtx<'_> {
    SubstrateCtx {
        cache,
        verifier: &NoVerifier,
    }
}

fn unread(error: FoldError) -> Unread {
    damaged(&error.to_string())
}

fn damaged(reason: &str) -> Unread {
    Unread::Format {
        reason: reason.to_owned(),
    }
}
