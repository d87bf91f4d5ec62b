//! The words that questions and answers are made of: the contract's types, with what makes
//! them pleasant to use.

pub use crate::bindings::preservation::switch_root::policy::types::{
    Decision, Entry, Extension, FileKind, HostFacts, Requirement, Verdict,
};

use crate::path;

impl Entry {
    /// An entry of the given name and kind, empty, with mode 0o755 if it is a directory and
    /// 0o644 if not, and not a mount point: a start for the tests of a policy.
    pub fn new(name: impl Into<Vec<u8>>, kind: FileKind) -> Self {
        Entry {
            name: name.into(),
            kind,
            size: 0,
            mode: if kind == FileKind::Directory {
                0o755
            } else {
                0o644
            },
            mount_point: false,
        }
    }

    /// The name inside its directory: 1 to 255 bytes without NUL and `/`, in no encoding.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The absolute path, where `directory` is the directory under review.
    pub fn path(&self, directory: &[u8]) -> Vec<u8> {
        path::join(directory, &self.name)
    }

    /// Whether it is a directory itself, not a symbolic link to one.
    pub fn is_directory(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// Whether it is a regular file itself, not a symbolic link to one.
    pub fn is_regular(&self) -> bool {
        self.kind == FileKind::Regular
    }

    /// Whether answering [`Decision::Descend`] leads to a question about its children: it is
    /// a directory and nothing is mounted on it.
    pub fn can_descend(&self) -> bool {
        self.is_directory() && !self.mount_point
    }
}

impl HostFacts {
    /// The value of one field of the new root's os-release file, such as `VERSION_ID`. Where
    /// a field is given twice the last one counts, as for the shells that read the file.
    pub fn os_release(&self, field: &str) -> Option<&str> {
        let found = self.os_release.iter().rfind(|(name, _)| name == field);
        found.map(|(_, value)| value.as_str())
    }
}
