//! What is known: plain data, of a machine or of an image. What an image does not tell is
//! absent.

use std::collections::BTreeSet;

use switch_root_core::contract::HostFacts;
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;
use switch_root_core::path::Path;
use switch_root_core::plan::{Process, Size};
use switch_root_core::preserved::Carry;
use switch_root_core::report::Reason;

use crate::mounts::Mount;

/// See the top of this file.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// `/`.
    pub initramfs: Initramfs,
    /// Which extensions.yaml there is.
    pub list: List,
    /// What policies are told of the operating system that is booted, where it is known.
    pub host: Option<HostFacts>,
    /// What is mounted and runs; absent of an image.
    pub machine: Option<Machine>,
    /// What init makes the new root of, where it boots the image whole.
    pub image: Option<ImageFacts>,
    /// What is in the initramfs where the host keeps something, as far as it is known.
    pub kinds: Kinds,
    /// Where something is bound in the new root that is carried to this path and is of this
    /// kind, or half a sentence why it is not. Where the new root is not known: as it is asked.
    pub targets: Known<(Vec<u8>, FileKind), Result<Carry, Message>>,
    /// What is not as it should be, and was said when it was found.
    pub said: Vec<Message>,
    /// The same, and is still to be said.
    pub warnings: Vec<Message>,
}

/// What is known of some things: few of them, so that looking through all is less than a tree,
/// in time and in code.
#[derive(Clone, Debug)]
pub struct Known<K, V>(Vec<(K, V)>);

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: PartialEq, V> Known<K, V> {
    /// What is known of this one.
    pub fn get(&self, key: &K) -> Option<&V> {
        let mut all = self.0.iter();
        all.find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// Finds it out, where it is not known.
    pub fn learn(&mut self, key: K, value: impl FnOnce(&K) -> Option<V>) {
        if self.get(&key).is_some() {
            return;
        }
        if let Some(value) = value(&key) {
            self.0.push((key, value));
        }
    }
}

/// What is at paths of the initramfs; what cannot be examined is absent.
pub type Kinds = Known<Vec<u8>, FileKind>;

/// A path of the initramfs that is in use, and by what, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// The path in the initramfs; `/` where it is all, or cannot be told.
    pub path: Vec<u8>,
    /// Why it survives.
    pub why: Message,
}

/// The file system on `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Initramfs {
    /// Whether it lies in memory.
    pub memory: bool,
    /// Whether nothing can be deleted there.
    pub read_only: bool,
    /// Whether it is an overlay.
    pub overlay: bool,
}

/// An image is unpacked into memory.
impl Default for Initramfs {
    fn default() -> Self {
        Self {
            memory: true,
            read_only: false,
            overlay: false,
        }
    }
}

/// The file that names the extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum List {
    /// There is none.
    #[default]
    Missing,
    /// There is one that was not read, since it counts as if it were not there.
    Ignored(&'static str),
    /// One, and what it holds.
    Read(&'static str, Vec<u8>),
    /// One that cannot be used: a sentence for the operator.
    Unusable(Message),
}

impl List {
    /// Where it is.
    pub fn path(&self) -> Option<&'static str> {
        match self {
            Self::Ignored(path) | Self::Read(path, _) => Some(path),
            Self::Missing | Self::Unusable(_) => None,
        }
    }
}

/// What init makes the new root of, where it boots the image whole.
#[derive(Clone, Debug)]
pub struct ImageFacts {
    /// The file of the root image; or why there is none, a sentence for the operator.
    pub root: Result<Path, Message>,
    /// What came of the layer of each extension, by its place in the list: it was mounted, or
    /// why it was left out. Absent where that is not known.
    pub layers: Vec<Option<Result<(), Vec<Reason>>>>,
}

/// What is mounted and runs.
#[derive(Clone, Debug)]
pub struct Machine {
    /// All mounts.
    pub mounts: Vec<Mount>,
    /// The one on `/`.
    pub root: Mount,
    /// The new root.
    pub new_root: NewRoot,
    /// Its init, as it was given or found.
    pub init_path: Vec<u8>,
    /// What was found out about that.
    pub init: Init,
    /// /dev, /proc, /sys and /run of the new root, in this order.
    pub places: Vec<Place>,
    /// Why nothing can be put into what is mounted on /run, half a sentence about the new root.
    pub closed_run: Option<Message>,
    /// Other programs of the initramfs that live on.
    pub others: Others,
    /// Where the layers of overlays lie.
    pub layers: Layers,
    /// What copies take, where another program switches.
    pub copied: Option<Copied>,
}

/// A new root that has passed its checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoot {
    /// Its mount point, without links.
    pub path: Vec<u8>,
    /// The number of its mount.
    pub mount_id: u64,
    /// Nothing can be made in it.
    pub read_only: bool,
}

/// What was found out about the init.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// The absolute paths of the new root that lead to it: as given, and
    /// without links.
    pub paths: [Vec<u8>; 2],
    /// Device number and inode of everything on the way to it, and to the
    /// interpreters and the loader that it needs: links, directories, the files.
    pub trail: Vec<(u64, u64)>,
    /// Its path in the new root with all links resolved.
    pub resolved: Vec<u8>,
    /// Device number and inode, to know it again.
    pub identity: (u64, u64),
    /// Why executing it may fail all the same, as sentences.
    pub warnings: Vec<Message>,
}

/// A place of the new root that a mount of the initramfs is moved to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its path.
    pub point: &'static str,
    /// Where it leads in the new root, if it is a link.
    pub leads_to: Option<Vec<u8>>,
    /// Device number and inode of all that is passed on the way, if it is a link.
    pub trail: Vec<(u64, u64)>,
    /// Device number and inode of the directory, if it is a link to one.
    pub identity: (u64, u64),
    /// What is there.
    pub state: State,
}

/// What is at a place of the new root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A directory that nothing is mounted on.
    Free {
        /// Whether it is known to hold nothing; looked at where that matters.
        empty: bool,
    },
    /// A mount of the new root's own.
    Taken {
        /// Whether nothing can be made there.
        read_only: bool,
    },
    /// Nothing.
    Missing,
    /// A link that leads to no place that could be mounted on: half a sentence.
    Nowhere(Message),
    /// Something else: a sentence for the operator.
    Unusable(Message),
}

/// Other programs of the initramfs that live on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// A sentence about them, as far as it goes for all; absent where there are none.
    pub described: Option<String>,
    /// Those that are listed.
    pub listed: Vec<Process>,
    /// How many more there are.
    pub more: u64,
    /// Whether one of them serves a file system, or may do so.
    pub serve: bool,
    /// The numbers of the mounts that they use.
    pub mounts: BTreeSet<u64>,
    /// What those that serve use of the initramfs.
    pub in_use: Vec<InUse>,
}

impl Others {
    /// Whether nobody else lives in the initramfs.
    pub fn alone(&self) -> bool {
        self.described.is_none()
    }
}

/// Where the layers of overlays lie, of all mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layers {
    /// That cannot be found out, for this reason.
    NotKnown(String),
    /// Of each layer, as far as it could be located.
    Known(Vec<Layer>),
}

/// A layer of an overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Where the overlay is mounted.
    pub overlay: Path,
    /// What the overlay calls it.
    pub name: Path,
    /// The directories of the initramfs that it may be; absent where it cannot be located.
    pub places: Option<Vec<Vec<u8>>>,
}

/// What copies take.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// Where to.
    pub to: Path,
    /// Where to what only root is to find.
    pub private: Path,
    /// What there is room for.
    pub room: Size,
    /// What each path of [`to_copy`](super::to_copy) takes, in its order, and what is mounted at
    /// and below it.
    pub sizes: Vec<(Size, BTreeSet<String>)>,
    /// Directories of the initramfs that are mounted on themselves, and are looked into.
    pub uncovered: Vec<Path>,
    /// Why others are not.
    pub warnings: Vec<Message>,
}
