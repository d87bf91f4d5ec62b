//! Kept paths that are all that is in their directory count as one: the directory.
//!
//! A policy that keeps `/var/log/*` names each file. One bind mount shows all of them, and
//! nothing else: whatever is in the directory is kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Dir, OFlags};
use switch_root_core::path::Path;
use switch_root_core::path::join;

use crate::listing;

/// Names in one directory.
pub type Names = BTreeSet<Vec<u8>>;

/// Names in directories, the deepest directories first.
#[derive(Default)]
struct ByDirectory(BTreeMap<(Reverse<usize>, Vec<u8>), Names>);

impl ByDirectory {
    fn add(&mut self, path: &[u8]) {
        let cut = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let (directory, name) = (&path[..cut], &path[cut..]);
        let depth = directory.iter().filter(|byte| **byte == b'/').count();
        let names = self.0.entry((Reverse(depth), directory.to_vec()));
        let name = name.strip_prefix(b"/").unwrap_or(name);
        names.or_default().insert(name.to_vec());
    }
}

/// Replaces paths of which none lies within another one. `filled` says whether a directory
/// has these names and no other.
pub fn merge(paths: &[&Path], filled: impl Fn(&[u8], &Names) -> bool) -> Vec<Path> {
    let mut left = ByDirectory::default();
    paths.iter().for_each(|path| left.add(&path.0));
    let mut merged = Vec::new();
    while let Some(((_, directory), names)) = left.0.pop_first() {
        // All of the initramfs is never shown because of what is in it.
        if !directory.is_empty() && filled(&directory, &names) {
            left.add(&directory);
        } else {
            let whole = names.iter().map(|name| join(&directory, name).into());
            merged.extend(whole);
        }
    }
    merged
}

/// Whether a directory of the initramfs has no other names than these.
pub fn is_filled(initramfs: &OwnedFd, directory: &[u8], names: &Names) -> bool {
    let others = || -> io::Result<bool> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        for entry in Dir::new(listing::open(initramfs, directory, flags)?)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") && !names.contains(name) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    matches!(others(), Ok(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_fill_their_directory_are_one() {
        let all: [(&str, &[&str]); 5] = [
            ("", &["a", "b"]),
            ("/a", &["deep", "one"]),
            ("/a/deep", &["two"]),
            ("/b", &["four", "kept"]),
            ("/b/kept", &["five", "six"]),
        ];
        let filled = |directory: &[u8], names: &Names| {
            let mut all = all.iter();
            let found = all.find(|(name, _)| name.as_bytes() == directory).unwrap();
            found.1.iter().all(|name| names.contains(name.as_bytes()))
        };
        let merged = |paths: &[&str]| {
            let paths: Vec<Path> = paths.iter().map(|path| path.as_bytes().into()).collect();
            let merged = merge(&paths.iter().collect::<Vec<_>>(), filled);
            merged.iter().map(Path::to_string).collect::<Vec<_>>()
        };
        let kept = merged(&["/a/deep/two", "/a/one", "/b/kept/five", "/b/kept/six"]);
        assert_eq!(kept, ["/b/kept", "/a"]);
        assert_eq!(merged(&["/a/deep/two", "/b/four"]), ["/a/deep", "/b/four"]);
        assert_eq!(merged(&["/a", "/b"]), ["/a", "/b"]);
    }
}
