//! Reading a tree out of an image.

use std::collections::HashMap;
use std::path::Path;

use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::file_kind::FileKind;

use super::store::{Keeper, Kept, Stored};
use super::unpack::Unpacker;
use super::{Id, Limits, Tree, Want, Wanted};
use crate::segments::{self, Part, Visit};

switch_root_core::outcomes! {
    /// Why an image is not read to its end.
    pub enum Unsteady in "images" {
        /// Something writes to the image, such as a tool that makes it again.
        "SR-G66" Changed = "the image changed while it was read; leave it alone, and try again",
    }
}

/// Walks through all members of an image, the same ones each time.
pub(super) type Scan<'a> = dyn Fn(&mut Visit<'_>) -> Result<Vec<Part>> + 'a;

impl Limits {
    pub(super) fn scanning(&self) -> segments::Limits {
        segments::Limits::new(self.entries, self.bytes).raised_by("--max-entries", "--max-bytes")
    }
}

impl Tree {
    /// Reads an image, as the kernel would unpack it, with the contents that a plan
    /// needs; and tells of what parts it consists. Nothing is written to disk, but for
    /// a root image that is in a compressed part: of that there is a copy without a
    /// name meanwhile.
    ///
    /// # Errors
    /// See [`segments::scan_within`]; or a limit is exceeded, and is named with the
    /// option that raises it.
    pub fn read(image: &Path, limits: &Limits) -> Result<(Self, Vec<Part>)> {
        Self::read_wanted(image, limits, &Wanted::of_plan())
    }

    /// The same, with other contents.
    ///
    /// # Errors
    /// See there.
    pub fn read_wanted(
        image: &Path,
        limits: &Limits,
        wanted: &Wanted,
    ) -> Result<(Self, Vec<Part>)> {
        Self::of_kernel().filled(wanted, &|visit| {
            segments::scan_within(image, &limits.scanning(), visit)
        })
    }

    /// Unpacks what a scan finds, and scans once more where that is needed.
    pub(super) fn filled(mut self, wanted: &Wanted, scan: &Scan<'_>) -> Result<(Self, Vec<Part>)> {
        let mut unpacker = Unpacker::new(&mut self, Keeper::new(wanted));
        let parts = scan(&mut |place, member, contents| unpacker.member(place, member, contents))?;
        self.read_late(wanted, scan)?;
        Ok((self, parts))
    }

    /// Reads once more where files have been found by now that are wanted and were not
    /// known to be when they were read: over a symbolic link, or as the second name of
    /// a file.
    fn read_late(&mut self, wanted: &Wanted, scan: &Scan<'_>) -> Result<()> {
        let missing: HashMap<u32, (Id, Want)> = self
            .missing(wanted)
            .into_iter()
            .map(|(id, _, want)| (self.node(id).source, (id, want)))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let mut keeper = Keeper::new(wanted);
        let mut members = 0;
        let mut found = 0;
        scan(&mut |place, member, contents| {
            members += 1;
            let Some((id, want)) = missing.get(&members) else {
                return Ok(());
            };
            let size = self.node(*id).size;
            if u64::from(member.size) != size {
                return Err(changed());
            }
            found += 1;
            let kept = keeper.read(Some(*want), &member.name, size, place.contents, contents)?;
            self.keep(*id, kept);
            Ok(())
        })?;
        if found < missing.len() {
            return Err(changed());
        }
        Ok(())
    }

    /// Files that are wanted and whose contents are not kept yet, with their paths
    /// without links.
    pub(super) fn missing(&self, wanted: &Wanted) -> Vec<(Id, Vec<u8>, Want)> {
        let mut missing = Vec::new();
        let mut look = |path: &[u8], want: Want| {
            if let Some((id, real)) = self.resolve(path) {
                let node = self.node(id);
                if node.kind == FileKind::Regular && node.size > 0 && self.stored(id).is_none() {
                    missing.push((id, real, want));
                }
            }
        };
        for (path, want) in wanted.files() {
            look(path, want);
        }
        for (path, want) in wanted.folders() {
            let Some((folder, _)) = self.resolve(path) else {
                continue;
            };
            for (name, _) in self.children(folder) {
                look(&switch_root_core::path::join(path, name), want);
            }
        }
        missing
    }

    /// Keeps what was read of a file, in place of what was.
    pub(super) fn keep(&mut self, id: Id, kept: Kept) {
        let Kept { stored, digest } = kept;
        match stored {
            Some(stored) => drop(self.stored.insert(id, stored)),
            None => drop::<Option<Stored>>(self.stored.remove(&id)),
        }
        if let Some(digest) = digest {
            self.digests.insert(id, digest);
        }
    }
}

fn changed() -> Error {
    Error::new(Kind::Corrupt, Unsteady::Changed)
}
