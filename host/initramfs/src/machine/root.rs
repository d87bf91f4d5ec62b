//! The tree of a root image, as far as it matters to layers that are laid over it.

use std::collections::BTreeMap;
use std::path::Path;

use super::normalize;

/// What stands at a path of the root image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A directory: its permission bits, user and group.
    Directory(u32, u32, u32),
    /// A symbolic link, and what it says.
    Link(Vec<u8>),
    /// Anything else.
    File,
}

/// The nodes of a root image, by their paths without the `/` at the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root(pub BTreeMap<Vec<u8>, Node>);

impl Root {
    /// Whether a link leads to a directory, over a few further links.
    pub fn is_directory(&self, link: &[u8], target: &[u8]) -> bool {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;
        let path = |bytes| Path::new(OsStr::from_bytes(bytes));
        let (mut at, mut says) = (Path::new("/").join(path(link)), target);
        for _ in 0..super::LINKS {
            let above = at.parent().unwrap_or(Path::new("/"));
            at = normalize(&above.join(path(says)));
            let inside = at.as_os_str().as_bytes();
            match self.0.get(inside.strip_prefix(b"/").unwrap_or(inside)) {
                Some(Node::Directory(..)) => return true,
                Some(Node::Link(next)) => says = next,
                _ => return false,
            }
        }
        false
    }
}
