//! Which kept are copied where another program switches: those that there is room for.

use std::collections::BTreeSet;

use switch_root_core::locations::MOVED;
use switch_root_core::outcome::{Message, Outcomes};
use switch_root_core::path::Path;
use switch_root_core::plan::{Copies, ForRoot, LeftOut, Size};
use switch_root_core::preserved::{Survivor, is_by_policy};
use switch_root_core::text::{bytes, count};

use super::facts::Copied;

switch_root_core::outcomes! {
    /// Why something is not copied: half a sentence about it.
    pub enum NoRoom in "not-copied" {
        /// A sixteenth of `/run` and half of the memory that is available are left to the running
        /// system. Keep less, or mount a larger `/run`. Of `/` it means that a policy failed, or
        /// `switch_root.keep_initramfs` is given, and that not everything could be kept then.
        "SR-W65" Bytes { size: String, free: String } = "it takes {size}, and there is room for {free} in /run",
        "SR-W66" Entries { files: String, free: u64 } = "it is made of {files}, and there is room for {free} in /run",
    }
}

switch_root_core::outcomes! {
    /// What is lost.
    pub enum Lost in "not-copied" {
        /// A policy keeps a path with a mount on it. Mount it below `/run`, or in the new root.
        "SR-W67" Mount { point: String } = "what is mounted on {point} is not copied, and is gone after the switch",
    }
}

/// Chooses out of the kept, in their order, those that fit, the whole initramfs
/// last, beside what policies keep.
pub fn choose(kept: &[Survivor], copied: &Copied, new_root: &Path) -> Copies {
    let room = copied.room;
    let nothing = Default::default();
    let measured = |number: usize| copied.sizes.get(number).unwrap_or(&nothing);
    let (mut taken, mut mounts) = (Size::default(), BTreeSet::new());
    let mut chosen: BTreeSet<&[u8]> = BTreeSet::new();
    let mut hidden: BTreeSet<&[u8]> = BTreeSet::new();
    // Directories that are made for the sake of what is in them.
    let mut above: BTreeSet<&[u8]> = BTreeSet::new();
    let mut left_out = Vec::new();
    for (number, one) in kept.iter().enumerate() {
        let path = one.path.0.as_slice();
        let ends = || (1..path.len()).filter(|end| path[*end] == b'/');
        let within = |set: &BTreeSet<&[u8]>| ends().any(|end| set.contains(&path[..end]));
        let by_policy = is_by_policy(one);
        if path == b"/" || within(&chosen) || (!by_policy && within(&hidden)) {
            continue;
        }
        let (size, below) = measured(number);
        let mut size = *size;
        mounts.extend(below.iter().cloned());
        let new: Vec<&[u8]> = ends()
            .map(|end| &path[..end])
            .filter(|directory| !above.contains(directory))
            .collect();
        size.entries += new.len() as u64;
        match sum(taken, size, room) {
            Ok(sum) => {
                taken = sum;
                match by_policy {
                    true => chosen.insert(path),
                    false => hidden.insert(path),
                };
                above.extend(new);
            }
            Err(reason) => left_out.push(lose(one, &reason)),
        }
    }
    let everything = kept.iter().position(|one| one.path.0 == b"/");
    if let Some(number) = everything {
        let (size, below) = measured(number);
        mounts.extend(below.iter().cloned());
        match sum(taken, *size, room) {
            Ok(sum) => {
                taken = sum;
                hidden = BTreeSet::from([&b"/"[..]]);
                left_out.clear();
            }
            Err(reason) => left_out.push(lose(&kept[number], &reason)),
        }
    }
    Copies {
        to: copied.to.clone(),
        paths: chosen.into_iter().map(Path::from).collect(),
        for_root: (!hidden.is_empty()).then(|| ForRoot {
            to: copied.private.clone(),
            paths: hidden.into_iter().map(Path::from).collect(),
        }),
        size: taken,
        left_out,
        mounts: mounts
            .into_iter()
            .filter(|point| !is_moved_too(point, new_root))
            .collect(),
        uncovered: copied.uncovered.clone(),
    }
}

fn lose(one: &Survivor, reason: &NoRoom) -> LeftOut {
    LeftOut {
        path: one.path.clone(),
        reason: reason.to_string(),
        code: Some(reason.code()),
    }
}

/// What of the kept is not copied, and why that is known before.
pub fn warnings(copies: &Copies) -> impl Iterator<Item = Message> + '_ {
    copies.mounts.iter().map(|point| not_copied(point).into())
}

/// Says that a mount is lost.
pub fn not_copied(point: &str) -> Lost {
    let point = point.to_owned();
    Lost::Mount { point }
}

/// Whether what is mounted at a path, as it is shown, is not lost: it is the new root, or is
/// moved there.
pub fn is_moved_too(point: &str, new_root: &Path) -> bool {
    MOVED.contains(&point) || point == new_root.to_string()
}

/// The sum of both, where there is room for it.
fn sum(taken: Size, more: Size, room: Size) -> Result<Size, NoRoom> {
    let sum = Size {
        bytes: taken.bytes + more.bytes,
        entries: taken.entries + more.entries,
    };
    if sum.bytes > room.bytes {
        let free = room.bytes.saturating_sub(taken.bytes);
        return Err(NoRoom::Bytes {
            size: bytes(more.bytes),
            free: bytes(free),
        });
    }
    if sum.entries > room.entries {
        let free = room.entries.saturating_sub(taken.entries);
        let files = count(more.entries, "file or directory", "files and directories");
        return Err(NoRoom::Entries { files, free });
    }
    Ok(sum)
}
