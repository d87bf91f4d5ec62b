//! How much there is below a directory.

use std::collections::HashSet;
use std::ops::AddAssign;

use serde::Serialize;
use switch_root_core::file_kind::FileKind;

use super::{Id, Tree};

/// So many files and directories, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sum {
    /// Files, links, devices: all that is no directory; each of several names of one
    /// file.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// `st_size` of all files; once for a file of several names.
    pub bytes: u64,
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.directories += other.directories;
        self.bytes += other.bytes;
    }
}

impl Tree {
    /// How much there is at and below a node.
    pub fn sum(&self, id: Id) -> Sum {
        let mut sum = Sum::default();
        let mut seen = HashSet::new();
        let mut todo = vec![id];
        while let Some(id) = todo.pop() {
            sum += self.own(id, &mut seen);
            todo.extend(self.children(id).map(|(_, id)| id));
        }
        sum
    }

    /// What a node is by itself; the bytes of a file of several names only where it is
    /// not among those `seen`.
    pub fn own(&self, id: Id, seen: &mut HashSet<Id>) -> Sum {
        let node = self.node(id);
        let directory = node.kind == FileKind::Directory;
        Sum {
            files: (!directory).into(),
            directories: directory.into(),
            bytes: if node.nlink > 1 && !seen.insert(id) {
                0
            } else {
                node.size
            },
        }
    }
}
