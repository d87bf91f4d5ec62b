//! A file of a policy, in one of the places that policies are in.

use std::path::PathBuf;

use switch_root_core::outcome::Message;

use crate::native::NativeFile;
use crate::source::{Contents, Source};

/// A file in one of the places that policies are in.
#[derive(Clone)]
pub(super) struct File<'a> {
    pub(super) source: &'a dyn Source,
    pub(super) path: PathBuf,
}

impl File<'_> {
    pub(super) fn shown(&self) -> String {
        self.source.shown(&self.path)
    }

    pub(super) fn read(&self, limit: u64) -> Result<Option<Contents>, Message> {
        self.source.read(&self.path, limit)
    }

    pub(super) fn read_native(&self, limit: u64) -> Result<Option<Contents<NativeFile>>, Message> {
        self.source.read_native(&self.path, limit)
    }

    /// Whether it is there to hide one of the same name.
    pub(super) fn masks(&self) -> bool {
        self.source.is_null(&self.path) || self.source.is_empty(&self.path)
    }

    /// Whether it lies in the same folder.
    pub(super) fn beside(&self, other: &Self) -> bool {
        std::ptr::addr_eq(self.source, other.source) && self.path.parent() == other.path.parent()
    }
}
