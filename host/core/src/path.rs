//! Paths of an initramfs or of a root: bytes, absolute, and as they are shown and
//! serialized.

use std::fmt;

use serde::{Serialize, Serializer};

/// A Linux path: bytes, shown and serialized with `\xNN` for what is not
/// printable UTF-8, and `\\` for a backslash.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(pub Vec<u8>);

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::escape::path(&self.0))
    }
}

impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<&[u8]> for Path {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Path {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

/// Whether `path` is `ancestor` or lies below it. Both are absolute and without
/// a trailing slash; everything lies below `/`.
pub fn is_at_or_below(path: &[u8], ancestor: &[u8]) -> bool {
    if ancestor == b"/" {
        return true;
    }
    path.strip_prefix(ancestor)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// The path of an entry of a directory.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    path.extend_from_slice(directory);
    if !directory.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_path_boundary() {
        assert!(is_at_or_below(b"/usr/local", b"/usr/local"));
        assert!(is_at_or_below(b"/usr/local/x", b"/usr/local"));
        assert!(!is_at_or_below(b"/usr/localevil", b"/usr/local"));
        assert!(is_at_or_below(b"/x", b"/"));
    }

    #[test]
    fn a_path_in_json_can_be_read_back() {
        let path = Path::from(&b"/a\xff\"\n\\"[..]);
        assert_eq!(
            serde_json::to_string(&path).unwrap(),
            r#""/a\\xff\"\\x0a\\\\""#
        );
    }
}
