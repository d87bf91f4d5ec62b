//! What changes among the files of two trees.

use std::collections::BTreeSet;

use initramfs::image::Image;
use initramfs::tree::{Id, Tree};
use serde::Serialize;
use switch_root_core::file_kind::FileKind;
use switch_root_core::path::{self, Path};
use switch_root_core::text::hexadecimal;

use super::Change;

/// A file or directory. Times are not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What it is.
    pub kind: &'static str,
    /// Its permission bits, in octal digits.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// In bytes; of a directory that is only on one side, of all that is in it.
    pub bytes: u64,
    /// What a link says.
    pub target: Option<Path>,
    /// Major and minor number of a device.
    pub device: Option<(u32, u32)>,
    /// Of the contents of a file: `sha256:` and hexadecimal digits.
    pub digest: Option<String>,
    /// Files in a directory that is only on one side; those are not mentioned.
    pub files: Option<u64>,
}

/// Compares two images that have digests. What is in the image inside each is shown as if that
/// were a directory.
pub fn compared(before: &Image, after: &Image) -> Vec<Change<Entry>> {
    let (Some(inner), Some(new_inner)) = (&before.inner, &after.inner) else {
        return entries(before.outermost(), after.outermost());
    };
    let mut changes = entries(&inner.around, &new_inner.around);
    for change in entries(&before.tree, &after.tree) {
        let name = [new_inner.path.as_bytes(), &change.name.0[..]].concat();
        changes.push(Change {
            name: Path(name),
            ..change
        });
    }
    changes
}

/// Compares two trees that have digests. Of a directory that is only on one side, what
/// is in it is not mentioned.
pub fn entries(before: &Tree, after: &Tree) -> Vec<Change<Entry>> {
    let mut changes = Vec::new();
    let mut todo = vec![(b"/".to_vec(), Some(Id::ROOT), Some(Id::ROOT))];
    while let Some((path, old, new)) = todo.pop() {
        let is_directory = |tree: &Tree, id: Option<Id>| {
            id.is_some_and(|id| tree.node(id).kind == FileKind::Directory)
        };
        let both = is_directory(before, old) && is_directory(after, new);
        let entry = |tree: &Tree, id: Option<Id>| id.map(|id| entry(tree, id, !both));
        changes.extend(Change::of(&path, entry(before, old), entry(after, new)));
        let (Some(old), Some(new), true) = (old, new, both) else {
            continue;
        };
        let names: BTreeSet<&[u8]> = before
            .children(old)
            .chain(after.children(new))
            .map(|(name, _)| name)
            .collect();
        // The stack gives them back in the order of their names.
        for name in names.into_iter().rev() {
            let path = path::join(&path, name);
            todo.push((path, before.child(old, name), after.child(new, name)));
        }
    }
    changes
}

fn entry(tree: &Tree, id: Id, whole: bool) -> Entry {
    let node = tree.node(id);
    let below = (whole && node.kind == FileKind::Directory).then(|| tree.sum(id));
    let device = matches!(node.kind, FileKind::BlockDevice | FileKind::CharacterDevice);
    Entry {
        kind: node.kind.word(),
        mode: format!("{:04o}", node.mode),
        uid: node.uid,
        gid: node.gid,
        bytes: below.map_or(node.size, |sum| sum.bytes),
        target: (node.kind == FileKind::Symlink).then(|| node.target().into()),
        device: device.then_some(node.rdev),
        digest: tree
            .digest(id)
            .map(|digest| format!("sha256:{}", hexadecimal(digest))),
        files: below.map(|sum| sum.files),
    }
}

#[cfg(test)]
mod tests {
    use initramfs::tree::Node;

    use super::*;
    use crate::diff::Kind;

    fn tree(edit: impl Fn(&mut Tree)) -> Tree {
        let mut tree = Tree::new();
        tree.insert(b"/etc/same", Node::file(0o644, 3)).unwrap();
        edit(&mut tree);
        tree
    }

    #[test]
    fn what_changes_is_told_and_nothing_else() {
        let before = tree(|tree| {
            tree.insert(b"/etc/mode", Node::file(0o644, 1)).unwrap();
            tree.insert(b"/etc/kind", Node::directory(0o755)).unwrap();
            tree.insert(b"/old/a/b", Node::file(0o644, 5)).unwrap();
            tree.insert(b"/link", Node::symlink(b"a")).unwrap();
        });
        let after = tree(|tree| {
            tree.insert(b"/etc/mode", Node::file(0o600, 1)).unwrap();
            tree.insert(b"/etc/kind", Node::file(0o644, 1)).unwrap();
            tree.insert(b"/link", Node::symlink(b"b")).unwrap();
            tree.insert(b"/new", Node::file(0o644, 1)).unwrap();
        });
        let changes = entries(&before, &after);
        let summary: Vec<_> = changes
            .iter()
            .map(|change| (change.name.to_string(), change.change))
            .collect();
        let expected = [
            ("/etc/kind", Kind::Changed),
            ("/etc/mode", Kind::Changed),
            ("/link", Kind::Changed),
            ("/new", Kind::Added),
            ("/old", Kind::Removed),
        ];
        assert_eq!(
            summary,
            expected.map(|(name, kind)| (name.to_owned(), kind))
        );
        let old = changes[4].before.as_ref().unwrap();
        assert_eq!((old.bytes, old.files), (5, Some(1)));
        assert!(entries(&before, &before).is_empty());
    }
}
