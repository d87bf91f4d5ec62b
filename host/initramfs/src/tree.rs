//! An initramfs in memory: every file and directory as it would stand in the
//! machine's rootfs, and the contents of the few files that matter to a plan.

mod budget;
mod count;
pub(crate) mod folder;
pub(crate) mod insert;
pub(crate) mod lookup;
mod node;
pub(crate) mod read;
pub(crate) mod store;
pub(crate) mod unpack;
mod volume;
mod wanted;

use std::collections::{BTreeMap, HashMap};
use std::io;

use node::Children;
use serde::{Deserialize, Serialize};
use switch_root_core::contract::Entry;
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;

pub(crate) use budget::Budget;
pub use budget::Exceeded;
pub use count::Sum;
pub use node::{Id, Node};
pub use store::Stored;
pub use wanted::{Want, Wanted};

switch_root_core::outcomes! {
    /// What else the kernel passes over.
    pub enum More in "image-warnings" {
        /// The first ones are listed.
        "SR-G92" Warnings { count: u64 } = "and {count} more of the kind",
    }
}

/// How large an image may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Members of archives and compressed parts, or entries of folders.
    pub entries: u64,
    /// Bytes of archives when they are decompressed, or of files of folders.
    pub bytes: u64,
}

/// Four million entries and 8 GiB: far more than an initramfs has, since all of it
/// is in memory at boot.
impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 4_000_000,
            bytes: 8 << 30,
        }
    }
}

/// Directories within each other at most. An initramfs has ten or twenty.
const DEPTH: u32 = 1000;

/// Warnings that are kept; of others there is a count.
const WARNINGS: usize = 50;

/// An initramfs.
#[derive(Debug)]
pub struct Tree {
    /// The root is the first one. What was removed stays as a hole.
    nodes: Vec<Node>,
    stored: HashMap<Id, Stored>,
    digests: HashMap<Id, [u8; 32]>,
    warnings: Vec<Message>,
    more_warnings: u64,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A root directory with nothing in it.
    pub fn new() -> Self {
        Self {
            nodes: vec![Node::directory(0o755)],
            stored: HashMap::new(),
            digests: HashMap::new(),
            warnings: Vec::new(),
            more_warnings: 0,
        }
    }

    /// What stands in rootfs before an image is unpacked: the archive that the kernel
    /// has built in, where none was given to its build.
    pub fn of_kernel() -> Self {
        let mut tree = Self::new();
        let dev = tree.add(Id::ROOT, b"dev", Node::directory(0o755));
        tree.add(dev, b"console", Node::character_device(0o600, (5, 1)));
        tree.add(Id::ROOT, b"root", Node::directory(0o700));
        tree
    }

    /// What an id stands for.
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[id.index()]
    }

    /// What is in a directory, by name. Nothing is in anything else.
    pub fn children(&self, id: Id) -> impl Iterator<Item = (&[u8], Id)> {
        self.node(id)
            .children()
            .into_iter()
            .flat_map(|children| children.iter().map(|(name, id)| (&**name, *id)))
    }

    /// What has a name in a directory.
    pub fn child(&self, directory: Id, name: &[u8]) -> Option<Id> {
        self.node(directory).children()?.get(name).copied()
    }

    /// What stands at a path, without following any link.
    pub fn find(&self, path: &[u8]) -> Option<Id> {
        let mut at = Id::ROOT;
        for name in path.split(|byte| *byte == b'/') {
            match name {
                b"" => {}
                name => at = self.child(at, name)?,
            }
        }
        Some(at)
    }

    /// Lists a directory with what policies are told of its entries, as
    /// [`policy::preservation::review`] takes it. Nothing is mounted in an image.
    ///
    /// # Errors
    /// There is no such directory. Links are not followed.
    pub fn list(&self, directory: &[u8]) -> io::Result<Vec<Entry>> {
        let id = self.find(directory).ok_or(io::ErrorKind::NotFound)?;
        if self.node(id).kind != FileKind::Directory {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(self
            .children(id)
            .map(|(name, id)| {
                let node = self.node(id);
                Entry {
                    name: name.to_vec(),
                    kind: node.kind,
                    size: node.size,
                    mode: node.mode,
                    mount_point: false,
                }
            })
            .collect())
    }

    /// What was kept of a file's contents.
    pub fn stored(&self, id: Id) -> Option<&Stored> {
        self.stored.get(&id)
    }

    /// The SHA-256 of a file's contents, where digests were asked for.
    pub fn digest(&self, id: Id) -> Option<&[u8; 32]> {
        self.digests.get(&id)
    }

    /// What the kernel passes over or changes, as sentences.
    pub fn warnings(&self) -> Vec<Message> {
        let mut warnings = self.warnings.clone();
        if self.more_warnings > 0 {
            let count = self.more_warnings;
            warnings.push(More::Warnings { count }.into());
        }
        warnings
    }

    fn warn(&mut self, warning: Message) {
        if self.warnings.len() < WARNINGS {
            self.warnings.push(warning);
        } else {
            self.more_warnings += 1;
        }
    }

    /// The path of a directory.
    pub fn path_of(&self, mut directory: Id) -> Vec<u8> {
        let mut names = Vec::new();
        while let Some((parent, name)) = self.node(directory).place() {
            names.push(name);
            directory = parent;
        }
        let mut path = Vec::new();
        for name in names.into_iter().rev() {
            path.push(b'/');
            path.extend_from_slice(name);
        }
        if path.is_empty() {
            path.push(b'/');
        }
        path
    }

    /// Puts a new node into a directory, where nothing has that name.
    fn add(&mut self, directory: Id, name: &[u8], mut node: Node) -> Id {
        // There are fewer members than fit: `Limits` sees to it.
        let id = Id::new(self.nodes.len());
        let depth = self.node(directory).depth() + 1;
        node.put(directory, name, depth);
        self.nodes.push(node);
        self.children_of(directory).insert(name.into(), id);
        id
    }

    /// One more name for a file.
    fn link(&mut self, directory: Id, name: &[u8], id: Id) {
        self.nodes[id.index()].nlink += 1;
        self.children_of(directory).insert(name.into(), id);
    }

    /// Takes a name away, and what has no other. Directories must be empty.
    fn remove(&mut self, directory: Id, name: &[u8]) {
        let Some(id) = self.children_of(directory).remove(name) else {
            return;
        };
        let node = &mut self.nodes[id.index()];
        node.nlink -= 1;
        if node.nlink == 0 {
            self.stored.remove(&id);
            self.digests.remove(&id);
        }
    }

    fn children_of(&mut self, directory: Id) -> &mut BTreeMap<Box<[u8]>, Id> {
        static NONE: &str = "only directories have children";
        let children: &mut Children = self.nodes[directory.index()].children_mut().expect(NONE);
        children
    }
}

#[cfg(test)]
mod tests;
