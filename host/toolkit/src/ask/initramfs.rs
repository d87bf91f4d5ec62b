//! The initramfs that a policy is asked about: a tree in memory, and what is mounted in it.

use std::collections::BTreeSet;
use std::io;

use initramfs::tree::{Node, Tree};
use switch_root_core::contract::Entry;
use switch_root_core::error::Result;
use switch_root_core::path::join;

/// What a policy is shown.
pub struct Initramfs {
    tree: Tree,
    mounts: BTreeSet<Vec<u8>>,
}

impl From<Tree> for Initramfs {
    /// A tree that was read: nothing is mounted in it.
    fn from(tree: Tree) -> Self {
        Self {
            tree,
            mounts: BTreeSet::new(),
        }
    }
}

impl Initramfs {
    /// Adds a file, and whether something is mounted there.
    ///
    /// # Errors
    /// See [`Tree::insert`].
    pub fn insert(&mut self, path: &[u8], node: Node, mount_point: bool) -> Result<()> {
        if mount_point {
            self.mounts.insert(path.to_vec());
        }
        self.tree.insert(path, node).map(drop)
    }

    /// Lists a directory, as the host does at boot.
    ///
    /// # Errors
    /// It is no directory.
    pub fn list(&self, directory: &[u8]) -> io::Result<Vec<Entry>> {
        let mut entries = self.tree.list(directory)?;
        for entry in &mut entries {
            entry.mount_point = self.mounts.contains(&join(directory, &entry.name));
        }
        Ok(entries)
    }
}
