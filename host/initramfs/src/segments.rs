//! An initramfs: parts that stand one behind the other, each of them an archive
//! or something compressed that holds archives, with zeros between them.
//!
//! They are read as the kernel does it (`init/initramfs.c`): an uncompressed
//! archive begins at a multiple of four bytes; within a compressed part several
//! archives may follow each other, too; what is behind overwrites what is before.

pub(crate) mod input;
pub(crate) mod replace;
pub(crate) mod scan;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use switch_root_core::error::Attempt;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::locations::{self, in_archive};

use crate::compression::Format;

pub use replace::{Recompressed, Replaced, replace_extensions, replace_files};
pub(crate) use scan::scan_input;
pub use scan::{Limits, Place, Visit, scan, scan_opened, scan_within};

switch_root_core::outcomes! {
    /// Why a file of an initramfs is not read or extracted.
    pub enum NotTaken in "images" {
        /// `extensions.yaml` and its like are small files.
        "SR-G64" TooLarge { name: String, limit: u64 } = "`{name}` is larger than {limit} bytes",
        /// The image cannot be read, or the disk is full.
        "SR-G65" NotExtracted { name: String } = "cannot extract `{name}`",
    }
}

/// What [`find`] reads of one file, in bytes.
pub const SMALL_FILE: u64 = 1 << 20;

/// The list of layers, at the root of an initramfs.
pub const EXTENSIONS: &str = in_archive(locations::EXTENSIONS[0]);

/// The image of the root file system, at the root of an initramfs: never a layer.
pub const ROOT_IMAGE: &str = in_archive(locations::ROOT_IMAGES[0]);

/// A part of an initramfs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which one it is, from 1.
    pub number: usize,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its length in bytes, without the zeros behind it, unless it has no trailer.
    pub length: u64,
    /// How it is compressed; `None` for an archive as it is.
    pub format: Option<Format>,
    /// How many members its archives have.
    pub members: u64,
    /// Whether its last archive ends with a trailer. The kernel reads one without, and
    /// cannot know either that it was not cut off.
    pub trailer: bool,
}

/// Reads small files of an initramfs, by their paths from the root, such as
/// `extensions.yaml`. What is not there is not in the result. The last one of a
/// name counts, and it must be a regular file. Of hard links the one that has the
/// contents is found.
///
/// # Errors
/// The initramfs cannot be read, or a file that is wanted is larger than
/// [`SMALL_FILE`].
pub fn find(input: &Path, wanted: &[&str]) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    scan(input, &mut |_, member, contents| {
        let Some(name) = wanted.iter().find(|name| name.as_bytes() == member.path()) else {
            return Ok(());
        };
        found.remove(*name);
        if member.is_file() {
            found.insert((*name).to_owned(), read_small(name, contents)?);
        }
        Ok(())
    })?;
    Ok(found)
}

fn read_small(name: &str, contents: &mut dyn Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    contents
        .take(SMALL_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            let name = name.to_owned();
            Error::system(Attempt::ReadInside { name }, &error)
        })?;
    if bytes.len() as u64 > SMALL_FILE {
        return Err(Error::input(NotTaken::TooLarge {
            name: name.to_owned(),
            limit: SMALL_FILE,
        }));
    }
    Ok(bytes)
}

/// Copies a file of an initramfs to `to`, which is overwritten; tells whether it
/// was there. See [`find`] for which one is taken.
///
/// # Errors
/// The initramfs cannot be read, or `to` not be written.
pub fn extract(input: &Path, name: &str, to: &mut File) -> Result<bool> {
    let mut found = false;
    scan(input, &mut |_, member, contents| {
        if member.path() != name.as_bytes() {
            return Ok(());
        }
        let attempt = || NotTaken::NotExtracted {
            name: escape::path(name.as_bytes()),
        };
        to.set_len(0)
            .and_then(|()| to.seek(SeekFrom::Start(0)))
            .map_err(|error| Error::system(attempt(), &error))?;
        found = member.is_file();
        if found {
            io::copy(contents, to).map_err(|error| Error::of_copy(attempt(), &error))?;
        }
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests;
