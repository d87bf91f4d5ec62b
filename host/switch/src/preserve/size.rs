//! What there is room for in the /run that outlives the switch, and what survivors take.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;

use rustix::fs::{self, FileType, OFlags};
use switch_root_core::keep::Keep;
use switch_root_core::path::Path;
use switch_root_core::plan::Size;

use super::store::Store;
use super::walk::{self, Pair, counts_blocks, occupied};
use crate::listing;
use crate::proc::Proc;

/// This part of /run, and of the memory that is available, is left to the running
/// system: where /run is full, services do not start.
const LEFT_OF_RUN: u64 = 16;
/// See [`LEFT_OF_RUN`].
const LEFT_OF_MEMORY: u64 = 2;

/// How much may be copied: what an earlier run has copied is replaced.
pub fn room(store: &Store, proc: &Proc) -> Size {
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

/// How much a survivor takes, and what is mounted at and below it. What cannot be looked at
/// takes nothing: that it cannot be copied shows later.
pub fn measure(old_root: &OwnedFd, path: &[u8]) -> (Size, BTreeSet<String>) {
    let mut mounts = BTreeSet::new();
    let size = measure_into(old_root, path, &mut mounts);
    (size, mounts)
}

fn measure_into(old_root: &OwnedFd, path: &[u8], mounts: &mut BTreeSet<String>) -> Size {
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
