//! A file system image that can be read.

use std::io::{self, Read};

use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;

use crate::tree::Budget;

switch_root_core::outcomes! {
    /// Why the image inside an image is not read: what follows its path and a colon.
    pub enum Unread in "images" {
        /// The image is damaged, or is made in a way that is not known here; the words are those of
        /// the library that reads it.
        "SR-Q20" Format { reason: String } = "{reason}",
        "SR-Q21" System { error: io::Error } = "{error}",
        "SR-Q22" Empty = "it is empty",
    }
}

switch_root_core::outcomes! {
    /// What is not known of the image inside an image.
    pub enum Doubt in "images" {
        /// Nothing to do where the image was made by root, as dracut has it.
        "SR-Q29" Owners = "the owners of files of erofs are not read: they are taken to be root's",
    }
}

/// A file or directory of it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its path, without a slash at its beginning; that of the root is empty.
    pub path: Vec<u8>,
    pub kind: FileKind,
    /// Its permissions.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Major and minor number of a device.
    pub rdev: (u32, u32),
    /// Of its contents, in bytes.
    pub size: u64,
    /// Where a symbolic link leads.
    pub target: Vec<u8>,
    /// What finds it again.
    pub number: u64,
}

/// A file system image that can be read.
pub(crate) trait Volume {
    /// What it holds, directories before what is in them.
    fn entries(&mut self, budget: &mut Budget) -> Result<Vec<Entry>, Message>;

    /// The contents of a file.
    fn contents<'a>(&'a mut self, entry: &Entry) -> Box<dyn Read + 'a>;

    /// What is not known of its files.
    fn doubt(&self) -> Option<Doubt> {
        None
    }
}
