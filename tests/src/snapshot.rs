//! A file tree written down, so that two can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::rc::Rc;

use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};
use nix::sys::statfs::{PROC_SUPER_MAGIC, SYSFS_MAGIC, fstatfs};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::names::escape;

/// How far a snapshot goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// The one mount that it starts in. A mount point in it is an entry of its own
    /// kind.
    OneMount,
    /// Everything that is mounted below too, except for the contents of `/proc` and
    /// `/sys`, which change by themselves, and for these mounts, by their numbers, which
    /// may not answer: they are entries of the same kind.
    AllMountsBut(BTreeSet<u64>),
}

/// The lines of `/proc/self/mountinfo` about file systems that a process serves, which may
/// have been stopped, or killed; and about overlays of them, which scenes call `served`.
pub fn served_lines(mounts: &str) -> impl Iterator<Item = &str> {
    let served = [" - fuse", " - overlay served "];
    let is_served = move |line: &&str| served.iter().any(|kind| line.contains(kind));
    mounts.lines().filter(is_served)
}

/// The mounts of these file systems, by their numbers.
pub fn served(mounts: &str) -> BTreeSet<u64> {
    served_lines(mounts)
        .filter_map(|line| line.split(' ').next()?.parse().ok())
        .collect()
}

/// One file of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// `file`, `directory`, `symlink`, `fifo`, `socket`, `block`, `character` or, where
    /// the snapshot went no further, `mount`.
    pub kind: String,
    /// Permission bits, `& 0o7777`.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u32, u32),
    /// Size of a regular file, in bytes.
    pub size: u64,
    /// Device number of a device node.
    pub device: u64,
    /// SHA-256 of a regular file's bytes, in hexadecimal; what a symbolic link says.
    pub content: Option<String>,
}

impl Entry {
    /// A mount point, of which nothing else is known.
    fn mount() -> Self {
        Self {
            kind: "mount".into(),
            mode: 0,
            owner: (0, 0),
            size: 0,
            device: 0,
            content: None,
        }
    }
}

/// A tree: escaped absolute paths, the root itself left out.
pub type Tree = BTreeMap<String, Entry>;

/// How much a file system holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// In bytes.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

/// Asks a file system how much it holds. `ramfs` does not know and says 0.
///
/// # Errors
/// Those of statvfs(3).
pub fn usage(anything_in_it: impl AsFd) -> io::Result<Usage> {
    // The fields of nix's own type are of other types with another C library.
    let statistics = rustix::fs::fstatvfs(anything_in_it)?;
    Ok(Usage {
        bytes: (statistics.f_blocks - statistics.f_bfree) * statistics.f_bsize,
        inodes: statistics.f_files - statistics.f_ffree,
    })
}

/// A directory that is still to be read.
struct Pending {
    above: Rc<OwnedFd>,
    name: OsString,
    path: String,
}

/// Writes down the tree below the directory `root`. A file that vanishes meanwhile is
/// left out.
///
/// # Errors
/// What cannot be read, with its path.
pub fn take(root: impl AsFd, reach: Reach) -> io::Result<Tree> {
    let mut tree = Tree::new();
    let top = Rc::new(root.as_fd().try_clone_to_owned()?);
    let mut pending = vec![Pending {
        above: top,
        name: OsString::from("."),
        path: String::new(),
    }];
    while let Some(next) = pending.pop() {
        directory(&next, &reach, &mut tree, &mut pending)
            .map_err(|error| io::Error::other(format!("reading {}/: {error}", next.path)))?;
    }
    Ok(tree)
}

fn directory(
    this: &Pending,
    reach: &Reach,
    tree: &mut Tree,
    pending: &mut Vec<Pending>,
) -> io::Result<()> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    let fd = match openat(&*this.above, this.name.as_os_str(), flags, Mode::empty()) {
        Err(Errno::ENOENT) => return Ok(()),
        other => Rc::new(other?),
    };
    let file_system = fstatfs(&*fd)?.filesystem_type();
    let pseudo = file_system == PROC_SUPER_MAGIC || file_system == SYSFS_MAGIC;
    if pseudo && !this.path.is_empty() {
        return Ok(());
    }
    let mut listing = Dir::from_fd(fd.try_clone()?)?;
    for name in listing.iter() {
        let name = OsString::from_vec(name?.file_name().to_bytes().to_vec());
        if name == "." || name == ".." {
            continue;
        }
        let path = format!("{}/{}", this.path, escape(name.as_bytes()));
        let Some(entry) = entry(&fd, &name, reach)? else {
            continue;
        };
        if entry.kind == "directory" {
            pending.push(Pending {
                above: Rc::clone(&fd),
                name,
                path: path.clone(),
            });
        }
        tree.insert(path, entry);
    }
    Ok(())
}

/// Describes `name` in the directory `above`; `None` if it has gone.
fn entry(above: &OwnedFd, name: &OsStr, reach: &Reach) -> io::Result<Option<Entry>> {
    if let Reach::AllMountsBut(served) = reach
        && !served.is_empty()
        && served.contains(&mount_id(above, name).unwrap_or_default())
    {
        return Ok(Some(Entry::mount()));
    }
    if *reach == Reach::OneMount {
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_NO_XDEV);
        match openat2(above, name, how) {
            Err(Errno::EXDEV) => return Ok(Some(Entry::mount())),
            Err(Errno::ENOENT) => return Ok(None),
            other => drop(other?),
        }
    }
    let status: FileStat = match fstatat(above, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Err(Errno::ENOENT) => return Ok(None),
        other => other?,
    };
    let kind = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
    let (kind, content) = if kind == SFlag::S_IFREG {
        ("file", Some(digest(above, name)?))
    } else if kind == SFlag::S_IFLNK {
        ("symlink", Some(escape(readlinkat(above, name)?.as_bytes())))
    } else if kind == SFlag::S_IFDIR {
        ("directory", None)
    } else if kind == SFlag::S_IFIFO {
        ("fifo", None)
    } else if kind == SFlag::S_IFSOCK {
        ("socket", None)
    } else if kind == SFlag::S_IFBLK {
        ("block", None)
    } else {
        ("character", None)
    };
    Ok(Some(Entry {
        kind: kind.into(),
        mode: status.st_mode & 0o7777,
        owner: (status.st_uid, status.st_gid),
        size: if kind == "file" {
            u64::try_from(status.st_size).unwrap_or(0)
        } else {
            0
        },
        device: status.st_rdev,
        content,
    }))
}

/// The number of the mount that a name leads to, without a word to whoever serves it.
fn mount_id(above: &OwnedFd, name: &OsStr) -> io::Result<u64> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let place = openat(above, name, flags, Mode::empty())?;
    let flags = rustix::fs::AtFlags::EMPTY_PATH | rustix::fs::AtFlags::STATX_DONT_SYNC;
    let stat = rustix::fs::statx(place, c"", flags, rustix::fs::StatxFlags::MNT_ID)?;
    Ok(stat.stx_mnt_id)
}

fn digest(above: &OwnedFd, name: &OsStr) -> io::Result<String> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let mut file = File::from(openat(above, name, flags, Mode::empty())?);
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(format!("{:x}", hash.finalize()));
        }
        hash.update(&block[..read]);
    }
}

/// What differs between two trees, one line for each path; empty if nothing does.
pub fn difference(before: &Tree, after: &Tree) -> Vec<String> {
    let gone = before.iter().filter(|(path, _)| !after.contains_key(*path));
    let gone = gone.map(|(path, entry)| format!("- {path} ({})", entry.kind));
    let other = after
        .iter()
        .filter_map(|(path, entry)| match before.get(path) {
            None => Some(format!("+ {path} ({})", entry.kind)),
            Some(was) if was != entry => Some(format!("! {path}: {was:?} became {entry:?}")),
            Some(_) => None,
        });
    gone.chain(other).collect()
}
