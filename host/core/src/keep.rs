//! What survives, as a tree that follows the directories of the initramfs.

use std::collections::BTreeMap;

/// What becomes of one directory entry. An entry that is in no tree is deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It survives with everything below it.
    Whole,
    /// It survives for the sake of these of its entries; the others go.
    Part(BTreeMap<Vec<u8>, Keep>),
}

impl Default for Keep {
    fn default() -> Self {
        Self::Part(BTreeMap::new())
    }
}

impl Keep {
    /// The tree in which these absolute paths survive, and the directories
    /// above them for their sake.
    pub fn new<'a>(paths: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut root = Self::default();
        for path in paths {
            root.insert(path);
        }
        root
    }

    fn insert(&mut self, path: &[u8]) {
        let mut node = self;
        for name in path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            match node {
                // Kept by what is above it already.
                Self::Whole => return,
                Self::Part(children) => node = children.entry(name.to_vec()).or_default(),
            }
        }
        *node = Self::Whole;
    }

    /// What becomes of an entry of this directory, if it survives.
    pub fn child(&self, name: &[u8]) -> Option<&Self> {
        match self {
            Self::Whole => Some(self),
            Self::Part(children) => children.get(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate(keep: &Keep, path: &str) -> &'static str {
        let mut node = keep;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match node.child(name.as_bytes()) {
                Some(child) => node = child,
                None => return "deleted",
            }
        }
        if *node == Keep::Whole {
            "whole"
        } else {
            "part"
        }
    }

    #[test]
    fn ancestors_survive_for_the_sake_of_what_is_kept_below_them() {
        let keep = Keep::new([
            &b"/etc/ssl/certs"[..],
            b"/etc/hostname",
            b"/etc/ssl/certs/ca.pem",
        ]);
        for (path, expected) in [
            ("/", "part"),
            ("/etc", "part"),
            ("/etc/hostname", "whole"),
            ("/etc/ssl", "part"),
            ("/etc/ssl/certs", "whole"),
            ("/etc/ssl/certs/ca.pem", "whole"),
            ("/etc/ssl/private", "deleted"),
            ("/usr", "deleted"),
        ] {
            assert_eq!(fate(&keep, path), expected, "{path}");
        }
    }

    #[test]
    fn the_order_of_paths_does_not_matter_and_the_root_keeps_all() {
        let one = Keep::new([&b"/a"[..], b"/a/b/c"]);
        assert_eq!(one, Keep::new([&b"/a/b/c"[..], b"/a"]));
        assert_eq!(fate(&Keep::new([&b"/"[..]]), "/x/y"), "whole");
        assert_eq!(fate(&Keep::new([]), "/x"), "deleted");
    }
}
