//! Reading a tree out of a file system image.

use std::io::{self, Read};

use switch_root_core::error::{Error, Result};
use switch_root_core::file_kind::FileKind;
use switch_root_core::interrupt;

use super::budget::Budget;
use super::store::{Keeper, Kept, Stored};
use super::unpack::Unpacker;
use super::{Limits, Tree, Want, Wanted};
use crate::archive::Member;
use crate::inner::{Entry, Volume};
use crate::segments::Place;

/// Contents of a file system image are in no archive.
pub(super) const PLACE: Place = Place {
    part: 1,
    archive: 0,
    contents: None,
    continues: false,
};

impl Tree {
    /// Reads a file system image, with the contents that are wanted.
    ///
    /// # Errors
    /// Why it is not read: what follows its name and a colon.
    pub(crate) fn of_volume(
        volume: &mut dyn Volume,
        limits: &Limits,
        wanted: &Wanted,
    ) -> Result<Self> {
        let mut budget = Budget::new(limits);
        let entries = volume.entries(&mut budget).map_err(Error::input)?;
        let mut tree = Self::new();
        let now = wanted.without_places();
        let mut unpacker = Unpacker::new(&mut tree, Keeper::new(&now));
        for entry in &entries {
            interrupt::check()?;
            let member = member(entry);
            match entry.kind {
                FileKind::Symlink => unpacker.member(PLACE, &member, &mut &entry.target[..])?,
                FileKind::Regular => {
                    let mut contents = volume.contents(entry).take(entry.size);
                    unpacker.member(PLACE, &member, &mut contents)?;
                }
                _ => unpacker.member(PLACE, &member, &mut io::empty())?,
            }
        }
        let mut keeper = Keeper::new(wanted);
        for (id, path, want) in tree.missing(wanted) {
            let relative = path.strip_prefix(b"/").unwrap_or(&path);
            let Some(entry) = entries.iter().find(|entry| entry.path == relative) else {
                continue;
            };
            let mut contents = volume.contents(entry).take(entry.size);
            let kept = match want {
                Want::Place => Kept {
                    stored: Some(Stored::copy(&path, &mut contents)?),
                    digest: None,
                },
                _ => keeper.read(Some(want), &path, entry.size, None, &mut contents)?,
            };
            tree.keep(id, kept);
        }
        if let Some(doubt) = volume.doubt() {
            tree.warn(doubt.into());
        }
        Ok(tree)
    }
}

/// What an archive would say of it.
fn member(entry: &Entry) -> Member {
    Member {
        name: match entry.path.is_empty() {
            true => b".".to_vec(),
            false => entry.path.clone(),
        },
        mode: format_bits(entry.kind) | entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        nlink: 1,
        // Within the budget.
        size: match entry.kind {
            FileKind::Symlink => entry.target.len() as u32,
            _ => entry.size as u32,
        },
        rdev: entry.rdev,
        ..Member::default()
    }
}

/// As `st_mode` has a kind of file.
fn format_bits(kind: FileKind) -> u32 {
    match kind {
        FileKind::Regular => libc::S_IFREG,
        FileKind::Directory => libc::S_IFDIR,
        FileKind::Symlink => libc::S_IFLNK,
        FileKind::BlockDevice => libc::S_IFBLK,
        FileKind::CharacterDevice => libc::S_IFCHR,
        FileKind::Fifo => libc::S_IFIFO,
        FileKind::Socket => libc::S_IFSOCK,
    }
}
