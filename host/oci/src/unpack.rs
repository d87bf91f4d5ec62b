//! Unpacking image layers into a folder, whatever the archives say.
//!
//! Names, links and whiteouts of an archive are followed inside the folder
//! alone. What cannot be part of an extension (device nodes, fifos)
//! is never made; it is told by [`Unpacker::refused`], unless a later layer takes
//! it away. Owners and times of an archive do not matter: layers belong to root in
//! the end. Extended attributes are dropped, and reported by [`Unpacker::complete`].

pub(crate) mod attributes;
mod decompress;
pub(crate) mod failure;
mod headers;
pub(crate) mod marks;
pub(crate) mod meter;
pub(crate) mod name;
pub(crate) mod tree;

#[cfg(test)]
pub(crate) mod tests;

use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use failure::broken;
pub(crate) use failure::unread;
use headers::Headers;
use switch_root_core::error::{Error, Result};
use switch_root_core::{escape, interrupt};
use tar::EntryType;
use tree::Tree;

pub use decompress::decompress;
pub use marks::{Dropped, Special};
pub(crate) use meter::Gauge;
pub use tree::Modes;

switch_root_core::outcomes! {
    /// Why a layer is not unpacked.
    pub enum Unfit in "unpacking" {
        /// It is not an image of an extension, or one that was made to fill a disk.
        "SR-Q11" Entries { most: u64 } = "the image has more than {most} entries, which no extension has",
        /// The tool that made the layer writes what others do not read. Build the image with another
        /// one.
        "SR-Q12" NoName { name: String } = "the layer has an entry `{name}` that is no directory; its name is missing",
        "SR-Q13" Whiteout { name: String } = "the layer has a whiteout `{name}`, which names nothing in its directory",
        "SR-Q14" Kind { path: String, kind: String } = "the layer's entry {path} is of type `{kind}`, which is not read; an extension may hold files, directories and links only",
        "SR-Q15" NoTarget { path: String } = "the layer's entry {path} is a link without a target",
        "SR-Q16" ZeroInTarget { path: String } = "the layer's entry {path} is a link whose target holds a zero byte",
        "SR-Q17" LongTarget { path: String } = "the layer's entry {path} is a link whose target is longer than Linux takes",
    }
}

/// Entries that all layers of an image may have together.
pub const ENTRIES: u64 = 1_000_000;
/// Bytes that all layers of an image may have together, unpacked.
pub const BYTES: u64 = 64 << 30;
/// Bytes of headers before one entry: long names and attributes of pax.
const HEADERS: u64 = 1 << 20;
/// Bytes that are read and written at a time.
const CHUNK: usize = 256 << 10;
/// Entries that were refused, or have lost something, and are told one by one.
const TOLD: usize = 10;

/// Unpacks the layers of one image, the lowest first, into one folder.
pub struct Unpacker {
    tree: Tree,
    gauge: Gauge,
    entries: u64,
    buffer: Vec<u8>,
}

impl Unpacker {
    /// Unpacks into `folder`, which exists and is empty, and which nobody else
    /// writes into.
    ///
    /// # Errors
    /// The folder cannot be opened.
    pub fn new(folder: &Path) -> Result<Self> {
        Ok(Self {
            tree: Tree::open(folder)?,
            gauge: Gauge::new(BYTES),
            entries: 0,
            buffer: vec![0; CHUNK],
        })
    }

    /// Applies a layer, a tar archive without compression, on top of the layers
    /// before. Reads it to its end.
    ///
    /// # Errors
    /// The archive is malformed or truncated, has an entry that points outside
    /// of the folder, exceeds [`ENTRIES`] or [`BYTES`]; the system refuses. What
    /// was unpacked up to then stays in the folder.
    pub fn apply(&mut self, layer: impl Read) -> Result<()> {
        self.tree.begin_layer();
        let gauge = self.gauge.clone();
        let mut archive = tar::Archive::new(Headers::new(gauge.meter(layer)));
        let unreadable = |error: std::io::Error| broken(&error);
        gauge.limit(Some(HEADERS));
        for entry in archive.entries().map_err(unreadable)? {
            let mut entry = entry.map_err(unreadable)?;
            gauge.limit(None);
            interrupt::check()?;
            self.entries += 1;
            if self.entries > ENTRIES {
                return Err(Error::input(Unfit::Entries { most: ENTRIES }));
            }
            self.entry(&mut entry)?;
            // Also what nobody wanted: the next header stands behind it.
            std::io::copy(&mut entry, &mut std::io::sink()).map_err(unreadable)?;
            gauge.limit(Some(HEADERS));
        }
        gauge.limit(None);
        // Padding; and a stream's own checksum stands at its end.
        std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(unreadable)?;
        Ok(())
    }

    /// The first of what the layers have together and an extension may not, by path.
    pub fn refused(&self) -> Vec<(PathBuf, Special)> {
        let refused = self.tree.marks.refused().take(TOLD);
        let owned = |(real, special)| (PathBuf::from(OsStr::from_bytes(real)), special);
        refused.map(owned).collect()
    }

    /// What is left to be done when the last layer was applied; and what has no longer the
    /// attributes that it had: the first ones, and how many more there are.
    pub fn complete(self) -> (Modes, (Vec<Dropped>, usize)) {
        let (modes, marks) = self.tree.complete();
        (modes, marks.dropped(TOLD))
    }

    fn entry(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<()> {
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let attributes = attributes::names(entry)?;
        let name = entry.path_bytes().into_owned();
        let kind = match kind {
            // Archives of the oldest kind have no other mark of a directory.
            EntryType::Regular if name.ends_with(b"/") => EntryType::Directory,
            kind => kind,
        };
        let path = name::components(&name)?;
        let Some((last, parents)) = path.split_last() else {
            return match kind {
                EntryType::Directory => Ok(()),
                _ => {
                    let name = escape::path(&name);
                    Err(Error::input(Unfit::NoName { name }))
                }
            };
        };
        if let Some(hidden) = last.strip_prefix(b".wh.") {
            return match hidden {
                b".wh..opq" => self.tree.clear(parents),
                // Notes of aufs to itself.
                _ if hidden.starts_with(b".wh.") => Ok(()),
                b"" | b"." | b".." => {
                    let name = escape::path(&name);
                    Err(Error::input(Unfit::Whiteout { name }))
                }
                _ => self.tree.remove(parents, hidden),
            };
        }
        let mode = entry
            .header()
            .mode()
            .map_err(|error| broken(&error).about(&escape::path(&name)))?
            & 0o7777;
        let tree = &mut self.tree;
        let real = match kind {
            EntryType::Directory => tree.directory(&path, mode)?,
            EntryType::Regular | EntryType::Continuous if mode & 0o6000 != 0 => {
                return tree.refuse(&path, Special::SetId);
            }
            EntryType::Regular | EntryType::Continuous => {
                let size = entry.size();
                tree.file(&path, mode, size, entry, &mut self.buffer)?
            }
            EntryType::Symlink => tree.symlink(&path, &link_target(entry, &name)?)?,
            // It has the attributes of the file.
            EntryType::Link => return tree.hardlink(&path, &link_target(entry, &name)?),
            EntryType::Char | EntryType::Block => return tree.refuse(&path, Special::Device),
            EntryType::Fifo => return tree.refuse(&path, Special::Fifo),
            other => {
                return Err(Error::input(Unfit::Kind {
                    path: escape::path(&name),
                    kind: escape::path(&[other.as_byte()]),
                }));
            }
        };
        tree.marks.drop_attributes(real, &attributes);
        Ok(())
    }
}

/// A link's target, as the archive spells it.
fn link_target(entry: &tar::Entry<'_, impl Read>, name: &[u8]) -> Result<Vec<u8>> {
    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
    let path = || escape::path(name);
    let wrong = if target.is_empty() {
        Unfit::NoTarget { path: path() }
    } else if target.contains(&0) {
        Unfit::ZeroInTarget { path: path() }
    } else if target.len() >= name::LENGTH {
        Unfit::LongTarget { path: path() }
    } else {
        return Ok(target);
    };
    Err(Error::input(wrong))
}
