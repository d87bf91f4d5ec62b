//! Making an archive of a file system image. The archive goes the way of all others from there:
//! what can be read of an image has one set of limits, and one reader.

use std::fs::File;
use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use switch_root_core::error::{Error, Result};

use super::erofs::Erofs;
use super::sparse::Sparse;
use super::squashfs::Squashfs;
use super::volume::{Listing, Unread, Volume};
use crate::archive::{Member, Writer};
use crate::tree::{Limits, Tree, Wanted};

/// The file system of an image.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Format {
    Squashfs,
    Erofs,
}

/// What is to be made an archive of.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Request {
    pub format: Format,
    /// Where the image begins in its file, and its size.
    pub offset: u64,
    pub size: u64,
    pub limits: Limits,
    /// The files whose contents are needed.
    pub wanted: Wanted,
    pub others: Others,
}

/// What becomes of the files whose contents are not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Others {
    /// They are as large, and hold zeros.
    Zeros,
    /// They are empty: root images may have more in them than an archive can have.
    Empty,
}

/// Makes an archive of the image in a file.
///
/// # Errors
/// Why the image is not read.
pub(super) fn convert(image: File, request: &Request, archive: File) -> Result<()> {
    let opened: std::result::Result<Box<dyn Volume>, Unread> = match request.format {
        Format::Erofs => {
            Erofs::open(image, request.offset, request.size).map(|image| Box::new(image) as _)
        }
        Format::Squashfs => Squashfs::open(image, request.offset).map(|image| Box::new(image) as _),
    };
    let mut volume = opened.map_err(Error::input)?;
    let mut listing = Listing::new(&request.limits, request.others == Others::Zeros);
    volume.list(&mut listing).map_err(Error::input)?;
    let entries = listing.into_entries();
    let members = entries
        .iter()
        .map(|(entry, member)| (member.clone(), &entry.target[..]));
    let needed = Tree::sources(members, &request.wanted)?;
    let mut writer = Writer::new(Sparse::new(archive));
    for (number, (entry, member)) in (1..).zip(&entries) {
        let nothing = &mut |_| {};
        if !entry.is_file() {
            writer.member(member, &mut &entry.target[..], nothing)?;
        } else if member.size > 0 && (request.wanted.digests || needed.contains(&number)) {
            let contents = volume.contents(entry).map_err(Error::input)?;
            let mut contents = Whole {
                contents,
                left: member.size.into(),
            };
            writer.member(member, &mut contents, nothing)?;
        } else if request.others == Others::Empty && !needed.contains(&number) {
            let empty = Member {
                size: 0,
                ..member.clone()
            };
            writer.member(&empty, &mut io::empty(), nothing)?;
        } else {
            let mut zeros = io::repeat(0).take(member.size.into());
            writer.member(member, &mut zeros, nothing)?;
        }
    }
    let written = writer.finish()?.flush();
    written.map_err(|error| Error::input(Unread::System { error }))
}

/// Contents of a size that is known.
struct Whole<'a> {
    contents: Box<dyn Read + 'a>,
    left: u64,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.left.min(buffer.len() as u64) as usize;
        let read = self.contents.read(&mut buffer[..most])?;
        if read == 0 && most > 0 {
            let missing = self.left;
            return Err(Error::input(Unread::Short { missing }).into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}
