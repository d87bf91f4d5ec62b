//! One file, link, directory or device of a tree. It is kept small: images have
//! millions of them.

use std::collections::BTreeMap;

use switch_root_core::file_kind::FileKind;

/// Which node of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u32);

impl Id {
    /// The root directory.
    pub const ROOT: Self = Self(0);

    pub(super) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("trees have fewer than 2^32 nodes"))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What is in a directory, by name.
pub(super) type Children = BTreeMap<Box<[u8]>, Id>;

/// A file, link, directory or device.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: FileKind,
    /// The permission bits, set-user-id, set-group-id and sticky bit included.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// How many names it has; 1 for a directory.
    pub nlink: u32,
    /// `st_size`, in bytes; 0 for a directory.
    pub size: u64,
    /// Major and minor number of the device that it is.
    pub rdev: (u32, u32),
    /// The member of the image that has its contents, counted from 1.
    pub(super) source: u32,
    more: More,
}

/// What not every node has.
#[derive(Clone, Debug)]
enum More {
    Nothing,
    Target(Box<[u8]>),
    Directory(Box<Directory>),
}

#[derive(Clone, Debug, Default)]
struct Directory {
    children: Children,
    /// Where it stands; the root nowhere.
    place: Option<(Id, Box<[u8]>)>,
    /// Directories above it.
    depth: u32,
}

impl Node {
    fn new(kind: FileKind, mode: u32, more: More) -> Self {
        Self {
            kind,
            mode: mode & 0o7777,
            uid: 0,
            gid: 0,
            nlink: 1,
            size: 0,
            rdev: (0, 0),
            source: 0,
            more,
        }
    }

    /// An empty directory of root's.
    pub fn directory(mode: u32) -> Self {
        Self::new(FileKind::Directory, mode, More::Directory(Box::default()))
    }

    /// A file of root's.
    pub fn file(mode: u32, size: u64) -> Self {
        Self {
            size,
            ..Self::new(FileKind::Regular, mode, More::Nothing)
        }
    }

    /// A symbolic link of root's.
    pub fn symlink(target: &[u8]) -> Self {
        Self {
            size: target.len() as u64,
            ..Self::new(FileKind::Symlink, 0o777, More::Target(target.into()))
        }
    }

    /// A character device of root's.
    pub fn character_device(mode: u32, number: (u32, u32)) -> Self {
        Self::special(FileKind::CharacterDevice, mode, number)
    }

    /// A device, FIFO or socket of root's. Only devices have a number.
    pub fn special(kind: FileKind, mode: u32, number: (u32, u32)) -> Self {
        let device = matches!(kind, FileKind::CharacterDevice | FileKind::BlockDevice);
        Self {
            rdev: if device { number } else { (0, 0) },
            ..Self::new(kind, mode, More::Nothing)
        }
    }

    /// The same, of another user and group.
    #[must_use]
    pub fn owned_by(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    /// What a symbolic link says; empty for everything else.
    pub fn target(&self) -> &[u8] {
        match &self.more {
            More::Target(target) => target,
            _ => &[],
        }
    }

    pub(super) fn take_attributes(&mut self, other: &Self) {
        (self.mode, self.uid, self.gid) = (other.mode, other.uid, other.gid);
    }

    pub(super) fn children(&self) -> Option<&Children> {
        match &self.more {
            More::Directory(directory) => Some(&directory.children),
            _ => None,
        }
    }

    pub(super) fn children_mut(&mut self) -> Option<&mut Children> {
        match &mut self.more {
            More::Directory(directory) => Some(&mut directory.children),
            _ => None,
        }
    }

    /// The directory that a directory is in, and its name there.
    pub(super) fn place(&self) -> Option<(Id, &[u8])> {
        match &self.more {
            More::Directory(directory) => {
                let (parent, name) = directory.place.as_ref()?;
                Some((*parent, name))
            }
            _ => None,
        }
    }

    /// How many directories are above a directory.
    pub(super) fn depth(&self) -> u32 {
        match &self.more {
            More::Directory(directory) => directory.depth,
            _ => 0,
        }
    }

    pub(super) fn put(&mut self, parent: Id, name: &[u8], depth: u32) {
        if let More::Directory(directory) = &mut self.more {
            directory.depth = depth;
            directory.place = Some((parent, name.into()));
        }
    }
}
