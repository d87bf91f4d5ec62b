//! Which survivors are copied: those that there is room for.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use rustix::fs::{self, FileType, OFlags};
use switch_root_core::keep::Keep;
use switch_root_core::locations::MOVED;
use switch_root_core::path::Path;
use switch_root_core::plan::{Copies, ForRoot, LeftOut, Size};
use switch_root_core::preserved::{Survivor, is_by_policy};
use switch_root_core::text::{bytes, count};

use super::store::Store;
use super::walk::{self, Pair, counts_blocks, occupied};
use crate::listing;
use crate::proc::Proc;

/// This part of /run, and of the memory that is available, is left to the running
/// system: where /run is full, services do not start.
const LEFT_OF_RUN: u64 = 16;
/// See [`LEFT_OF_RUN`].
const LEFT_OF_MEMORY: u64 = 2;

/// Chooses out of the survivors, in their order, those that fit, the whole initramfs
/// last, beside what policies keep. Changes nothing.
pub fn choose(
    survivors: &[Survivor],
    (old_root, uncovered): (&OwnedFd, Vec<Path>),
    store: &Store,
    new_root: &[u8],
    proc: &Proc,
) -> Copies {
    let room = room(store, proc);
    let (mut taken, mut mounts) = (Size::default(), BTreeSet::new());
    let mut chosen: BTreeSet<&[u8]> = BTreeSet::new();
    let mut hidden: BTreeSet<&[u8]> = BTreeSet::new();
    // Directories that are made for the sake of what is in them.
    let mut above: BTreeSet<&[u8]> = BTreeSet::new();
    let mut left_out = Vec::new();
    for survivor in survivors {
        let path = survivor.path.0.as_slice();
        let ends = || (1..path.len()).filter(|end| path[*end] == b'/');
        let within = |set: &BTreeSet<&[u8]>| ends().any(|end| set.contains(&path[..end]));
        let by_policy = is_by_policy(survivor);
        if path == b"/" || within(&chosen) || (!by_policy && within(&hidden)) {
            continue;
        }
        let mut size = measure(old_root, path, &mut mounts);
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
            Err(reason) => left_out.push(LeftOut {
                path: survivor.path.clone(),
                reason,
            }),
        }
    }
    let everything = survivors.iter().find(|survivor| survivor.path.0 == b"/");
    if let Some(everything) = everything {
        let size = measure(old_root, b"/", &mut mounts);
        match sum(taken, size, room) {
            Ok(sum) => {
                taken = sum;
                hidden = BTreeSet::from([&b"/"[..]]);
                left_out.clear();
            }
            Err(reason) => left_out.push(LeftOut {
                path: everything.path.clone(),
                reason,
            }),
        }
    }
    let new_root = Path::from(new_root);
    Copies {
        to: store.preserved(),
        paths: chosen.into_iter().map(Path::from).collect(),
        for_root: (!hidden.is_empty()).then(|| ForRoot {
            to: store.whole(),
            paths: hidden.into_iter().map(Path::from).collect(),
        }),
        size: taken,
        left_out,
        mounts: mounts
            .into_iter()
            .filter(|point| !goes_along(point, &new_root))
            .collect(),
        uncovered,
    }
}

/// What of the survivors is not copied, and why that is known before.
pub fn warnings(copies: &Copies) -> impl Iterator<Item = String> + '_ {
    copies.mounts.iter().map(|point| not_copied(point))
}

/// Says that a mount is lost.
pub fn not_copied(point: &str) -> String {
    format!("what is mounted on {point} is not copied, and is gone after the switch")
}

/// Whether what is mounted at a path, as it is shown, is not lost: it is the new root, or is
/// moved there.
pub fn goes_along(point: &str, new_root: &Path) -> bool {
    MOVED.contains(&point) || point == new_root.to_string()
}

/// The sum of both, where there is room for it.
fn sum(taken: Size, more: Size, room: Size) -> Result<Size, String> {
    let sum = Size {
        bytes: taken.bytes + more.bytes,
        entries: taken.entries + more.entries,
    };
    if sum.bytes > room.bytes {
        let free = room.bytes.saturating_sub(taken.bytes);
        return Err(format!(
            "it takes {}, and there is room for {} in /run",
            bytes(more.bytes),
            bytes(free)
        ));
    }
    if sum.entries > room.entries {
        let free = room.entries.saturating_sub(taken.entries);
        return Err(format!(
            "it is made of {}, and there is room for {free} in /run",
            count(more.entries, "file or directory", "files and directories")
        ));
    }
    Ok(sum)
}

/// How much may be copied: what an earlier run has copied is replaced.
fn room(store: &Store, proc: &Proc) -> Size {
    let mut replaced = Size::default();
    for from in store.earlier() {
        let tally = walk::run(Pair { from, to: None }, &Keep::Whole);
        replaced.bytes += tally.bytes;
        replaced.entries += tally.files + tally.directories;
    }
    let mut room = Size {
        bytes: u64::MAX,
        entries: u64::MAX,
    };
    if let Ok(stat) = fs::fstatvfs(&store.run) {
        // A file system that does not count has no limit, but the memory's.
        if stat.f_blocks > 0 {
            let left = stat.f_blocks / LEFT_OF_RUN;
            room.bytes = stat.f_bavail.saturating_sub(left) * stat.f_frsize + replaced.bytes;
        }
        if stat.f_files > 0 {
            let left = stat.f_files / LEFT_OF_RUN;
            room.entries = stat.f_favail.saturating_sub(left) + replaced.entries;
        }
    }
    if let Some(memory) = proc.memory_available() {
        room.bytes = room.bytes.min(memory / LEFT_OF_MEMORY + replaced.bytes);
    }
    room
}

/// How much a survivor takes. What cannot be looked at takes nothing: that it cannot be
/// copied shows later.
fn measure(old_root: &OwnedFd, path: &[u8], mounts: &mut BTreeSet<String>) -> Size {
    let Ok(place) = listing::open(old_root, path, OFlags::PATH) else {
        // The mount of a survivor itself is told as one below a survivor is.
        if listing::open_at_mount(old_root, path).is_ok() {
            mounts.insert(Path::from(path).to_string());
        }
        return Size::default();
    };
    let Ok(stat) = fs::fstat(&place) else {
        return Size::default();
    };
    let mut size = Size {
        bytes: occupied(&stat, counts_blocks(old_root)),
        entries: 1,
    };
    let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    if directory && let Ok(from) = listing::open(old_root, path, OFlags::RDONLY | OFlags::DIRECTORY)
    {
        let tally = walk::run(Pair { from, to: None }, &Keep::Whole);
        size.bytes += tally.bytes;
        size.entries += tally.files + tally.directories;
        let inside = |point: String| match path {
            b"/" => point,
            path => format!("{}{point}", Path::from(path)),
        };
        mounts.extend(tally.skipped_mounts.into_iter().map(inside));
    }
    size
}
