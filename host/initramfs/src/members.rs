//! What the kernel makes of members (`init/initramfs.c`), whether they are unpacked into a
//! tree in memory or into a folder.

use std::collections::HashMap;

use switch_root_core::error::{Error, Result};

use crate::archive::Member;
use crate::segments::Place;

switch_root_core::outcomes! {
    /// Why the names of an archive are not followed.
    pub enum TooMany in "images" {
        /// The image is not an initramfs, or was made to use up memory.
        "SR-G32" Names { most: usize } = "it has more than {most} files with several names in one archive, which no initramfs has",
    }
}

/// Files that the kernel reads out of the image itself, and that are packed without
/// the directories above them: that they are not unpacked does not matter.
const EARLY: [&[u8]; 2] = [b"kernel/x86/microcode/", b"kernel/firmware/acpi/"];

/// First names that are remembered: more have no place in memory.
const MOST: usize = 1 << 20;

/// What the kernel knows a file with several names by: its device, its number and its type.
type Number = ((u32, u32), u32, u32);

/// The first name of each file since the last trailer that says that it has several.
#[derive(Default)]
pub struct FirstNames {
    names: HashMap<Number, Vec<u8>>,
    /// Part and number of the archive.
    archive: Option<(usize, usize)>,
}

impl FirstNames {
    /// To be called with each member: numbers count up to a trailer.
    pub fn at(&mut self, place: Place) {
        let archive = Some((place.part, place.archive));
        if self.archive != archive {
            self.archive = archive;
            if !place.continues {
                self.names.clear();
            }
        }
    }

    /// The first name of a file of which this is a further one. Notes the name where it is
    /// the first: the kernel does that before it knows whether the file can be made.
    ///
    /// # Errors
    /// There are more than fit into memory.
    pub fn of(&mut self, member: &Member) -> Result<Option<Vec<u8>>> {
        if member.nlink < 2 {
            return Ok(None);
        }
        let number = (member.dev, member.ino, member.mode & libc::S_IFMT);
        if let Some(first) = self.names.get(&number) {
            return Ok(Some(first.clone()));
        }
        if self.names.len() >= MOST {
            return Err(Error::input(TooMany::Names { most: MOST }));
        }
        self.names.insert(number, member.name.clone());
        Ok(None)
    }
}

/// Whether it is read out of the image, so that nobody misses it.
pub fn is_early(member: &Member) -> bool {
    EARLY.iter().any(|early| member.path().starts_with(early))
}

/// Cuts the target of a link where the kernel takes its end to be.
pub fn cut_at_nul(target: &mut Vec<u8>) {
    let end = target.iter().position(|byte| *byte == 0);
    target.truncate(end.unwrap_or(target.len()));
}
