//! The initramfs as the policies are asked about it: the file system on `/` by itself.
//!
//! What is mounted on it is never accessed, since it may not answer: a network file system
//! whose server is out of reach, or a FUSE file system whose program was stopped, would
//! block process 1, and with it the boot. Where something is mounted is read from the
//! table of mounts; the kind, size and mode of such a place are those of the file or
//! directory below the mount.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, OFlags, RawDir, Statx, StatxFlags};
use rustix::io::Errno;
use switch_root_core::contract::Entry;
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::warn;
use switch_root_core::path::join;

use crate::listing::{kind, open};
use crate::mount_calls::without_mounts;
use crate::mounts::Mount;

switch_root_core::outcomes! {
    /// That the initramfs is examined less exactly.
    pub enum Covered in "kept-by-the-host" {
        /// The kernel gives no copy of the mount of `/` (open_tree(2)): memory is short, or the kernel
        /// is older than 5.2. The switch goes on; what policies see of mount points is less exact.
        "SR-V36" ByMounts { error: Errno } = "failed to open the initramfs without its mounts: {error}; it is examined with them, and one that does not answer blocks the switch",
    }
}

/// What is found out about a file.
const WANTED: StatxFlags = StatxFlags::TYPE
    .union(StatxFlags::MODE)
    .union(StatxFlags::SIZE);

/// See the top of this file.
pub struct Initramfs<'a> {
    root: BorrowedFd<'a>,
    /// The same without mounts; none where the kernel does not give that.
    alone: OnceCell<Option<OwnedFd>>,
    /// Where something is mounted.
    points: BTreeSet<Vec<u8>>,
}

impl<'a> Initramfs<'a> {
    /// `root` is its open root directory, and `mount` the mount on `/`. What is mounted on
    /// one of the directories `uncovered` counts as not being there.
    pub fn new(
        root: BorrowedFd<'a>,
        mount: Option<&Mount>,
        mounts: &[Mount],
        uncovered: impl Fn(&[u8]) -> bool,
    ) -> Self {
        let points = mounts
            .iter()
            // Others lie on another file system, whatever their path is.
            .filter(|other| {
                mount.is_some_and(|mount| other.parent == mount.id && other.id != mount.id)
            })
            .filter(|other| !uncovered(&other.point))
            .map(|other| other.point.clone())
            .collect();
        Self {
            root,
            alone: OnceCell::new(),
            points,
        }
    }

    /// Lists a directory with what policies are told of its entries.
    ///
    /// # Errors
    /// Why it cannot be listed.
    pub fn list(&self, path: &[u8]) -> io::Result<Vec<Entry>> {
        let directory = open(self.base(), path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let points = self.points_in(path);
        let mut buffer = [MaybeUninit::uninit(); 32 << 10];
        let mut reader = RawDir::new(&directory, &mut buffer);
        let mut entries = Vec::new();
        while let Some(entry) = reader.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let found = match self.alone() {
                Some(_) => fs::statx(&directory, name, FLAGS, WANTED).map(Some),
                None => not_across_a_mount(&directory, name.to_bytes()),
            };
            let stat = match found {
                Ok(stat) => stat,
                // Gone since it was read.
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(error.into()),
            };
            let mode = stat.as_ref().map_or_else(
                || entry.file_type().as_raw_mode(),
                |stat| u32::from(stat.stx_mode),
            );
            entries.push(Entry {
                name: name.to_bytes().to_vec(),
                kind: kind(mode),
                size: stat.as_ref().map_or(0, |stat| stat.stx_size),
                mode: mode & 0o7777,
                mount_point: stat.is_none() || points.contains(name.to_bytes()),
            });
        }
        Ok(entries)
    }

    /// What is at a path, where that can be known.
    pub fn kind(&self, path: &[u8]) -> Option<FileKind> {
        let place = open(self.base(), path, OFlags::PATH).ok()?;
        let stat = fs::fstat(place).ok()?;
        Some(kind(stat.st_mode))
    }

    /// What a path leads over: each link on the way, and what is at its end, as far as that
    /// lies in the initramfs itself.
    pub fn way(&self, path: &[u8]) -> Vec<Vec<u8>> {
        /// As many as the kernel follows.
        const LINKS: usize = 40;
        let parts = |path: &[u8]| -> Vec<Vec<u8>> {
            let parts = path.split(|byte| *byte == b'/');
            let real = parts.filter(|part| !matches!(*part, b"" | b"."));
            real.rev().map(<[u8]>::to_vec).collect()
        };
        let mut passed = Vec::new();
        let mut here = b"/".to_vec();
        // Names still to come, the next one last.
        let mut to_come = parts(path);
        while let Some(name) = to_come.pop() {
            if name == b".." {
                let end = here.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                here.truncate(end.max(1));
                continue;
            }
            let next = join(&here, &name);
            let Ok(place) = open(self.base(), &next, OFlags::PATH) else {
                return passed;
            };
            match fs::readlinkat(&place, c"", Vec::new()) {
                Ok(_) if passed.len() == LINKS => return passed,
                Ok(target) => {
                    let target = target.to_bytes();
                    if target.starts_with(b"/") {
                        here = b"/".to_vec();
                    }
                    to_come.extend(parts(target));
                    passed.push(next);
                }
                Err(_) => here = next,
            }
        }
        passed.push(here);
        passed
    }

    /// The directory that paths are looked up in.
    fn base(&self) -> BorrowedFd<'_> {
        self.alone().map_or(self.root, AsFd::as_fd)
    }

    /// Its root directory without what is mounted on it; none where the kernel does not give
    /// that. Made when it is needed: mostly no policy asks for anything.
    pub fn alone(&self) -> Option<&OwnedFd> {
        let make = || {
            without_mounts(self.root)
                .inspect_err(|error| {
                    let error = *error;
                    warn(&Covered::ByMounts { error }.into());
                })
                .ok()
        };
        self.alone.get_or_init(make).as_ref()
    }

    /// The names in a directory that something is mounted on.
    fn points_in(&self, directory: &[u8]) -> BTreeSet<&[u8]> {
        let directory = directory.strip_suffix(b"/").unwrap_or(directory);
        let points = self.points.iter().filter_map(|point| {
            let name = point.strip_prefix(directory)?.strip_prefix(b"/")?;
            (!name.contains(&b'/')).then_some(name)
        });
        points.collect()
    }
}

/// Links are not followed, and automounts not triggered.
const FLAGS: AtFlags = AtFlags::SYMLINK_NOFOLLOW.union(AtFlags::NO_AUTOMOUNT);

/// Examines a name of a directory, unless something is mounted there.
fn not_across_a_mount(directory: &OwnedFd, name: &[u8]) -> rustix::io::Result<Option<Statx>> {
    let place = match open(directory, name, OFlags::PATH) {
        Ok(place) => place,
        Err(error) => {
            return match Errno::from_io_error(&error) {
                Some(Errno::XDEV) => Ok(None),
                error => Err(error.unwrap_or(Errno::IO)),
            };
        }
    };
    fs::statx(place, c"", AtFlags::EMPTY_PATH, WANTED).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts;

    #[test]
    fn mount_points_are_those_of_the_file_system_of_the_root() {
        let table = b"1 1 0:2 / / rw - rootfs none rw\n\
            2 1 0:5 / /dev rw - devtmpfs none rw\n\
            3 2 0:6 / /dev/shm rw - tmpfs none rw\n\
            4 1 0:7 / /mnt/nfs rw - nfs4 server:/ rw\n\
            5 1 0:2 /usr /usr ro - rootfs none rw\n";
        let mounts = mounts::parse(table).unwrap();
        let root = crate::old_root::open().unwrap();
        let initramfs = Initramfs::new(root.as_fd(), Some(&mounts[0]), &mounts, |point| {
            point == b"/usr"
        });
        let names = |directory: &[u8]| -> Vec<Vec<u8>> {
            let names = initramfs.points_in(directory);
            names.into_iter().map(<[u8]>::to_vec).collect()
        };
        assert_eq!(names(b"/"), [b"dev"]);
        assert_eq!(names(b"/mnt"), [b"nfs"]);
        assert!(names(b"/dev").is_empty());
        assert!(names(b"/m").is_empty());
    }
}
