//! What keeps a layer from being laid over a root image: the boot leaves out one that it
//! finds to break the rules for layers ([`layer_rules`]).

use std::convert::Infallible;

use initramfs::machine::{Root, RootNode as Node};
use switch_root_core::file_kind::FileKind;
use switch_root_core::layer_rules::{self, Breach, DIRECTORIES, Effect, Has, Place, Rights};

use crate::contents::{Contents, Entry};

/// What keeps a layer of these contents, packed as root's, from being laid over
/// the root image; what follows the layer's name in a sentence.
pub fn conflict(root: &Root, contents: &Contents) -> Option<String> {
    // The root directories themselves.
    let mut shared = 1;
    let harm = contents.entries.iter().find_map(|entry| {
        // Of the root directory anything may differ.
        if entry.path.is_empty() {
            return None;
        }
        let Ok(effect) = layer_rules::effect(&Both { root, entry });
        match effect {
            Effect::Fine => None,
            Effect::Shared => {
                shared += 1;
                (shared > DIRECTORIES).then_some(Breach::Many)
            }
            Effect::Harm(harm) => Some(harm.at(&[b"/", &entry.path[..]].concat())),
        }
    })?;
    Some(format!("{harm}, and would be left out at boot"))
}

/// An entry of a layer, and what the root image has in its place.
struct Both<'a> {
    root: &'a Root,
    entry: &'a Entry,
}

impl Place for Both<'_> {
    type Error = Infallible;

    fn layer(&self) -> Has {
        match self.entry.kind {
            FileKind::Directory => Has::Directory(Rights {
                mode: self.entry.mode,
                user: 0,
                group: 0,
            }),
            FileKind::Symlink => Has::Link,
            // No layer is made of what has device nodes, and so none has whiteouts.
            _ => Has::File,
        }
    }

    fn root(&self) -> Result<Option<Has>, Infallible> {
        Ok(self.root.0.get(&self.entry.path).map(|node| match node {
            Node::Directory(rights) => Has::Directory(*rights),
            Node::Link(_) => Has::Link,
            Node::File => Has::File,
        }))
    }

    fn is_same_link(&self) -> Result<bool, Infallible> {
        let node = self.root.0.get(&self.entry.path);
        Ok(matches!(node, Some(Node::Link(target)) if *target == self.entry.target))
    }

    fn leads_to_directory(&self) -> bool {
        self.root.is_directory(&self.entry.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::Entry;

    fn root() -> Root {
        let owned = |mode, group| {
            Node::Directory(Rights {
                mode,
                user: 0,
                group,
            })
        };
        let directory = owned(0o755, 0);
        let link = |target: &[u8]| Node::Link(target.to_vec());
        let nodes = [
            ("", owned(0o555, 0)),
            ("etc", directory.clone()),
            ("usr", directory.clone()),
            ("usr/lib", directory),
            ("lib", link(b"usr/lib")),
            ("lib64", link(b"../lib/../lib")),
            ("deep", link(b"lib/inner/..")),
            ("usr/lib/inner", link(b"/etc")),
            ("circle", link(b"circle")),
            ("staff", owned(0o755, 50)),
            ("etc/file", Node::File),
            ("etc/link", link(b"file")),
        ];
        Root(nodes.map(|(path, node)| (path.into(), node)).into())
    }

    fn said(path: &str, kind: FileKind, mode: u32, target: &str) -> Option<String> {
        conflict(
            &root(),
            &Contents {
                entries: vec![Entry {
                    path: path.into(),
                    kind,
                    mode,
                    uid: 1000,
                    size: 0,
                    target: target.into(),
                }],
                ..Contents::default()
            },
        )
    }

    #[test]
    fn what_the_boot_would_leave_out_is_told_before() {
        use FileKind::{Directory, Regular, Symlink};
        for (path, kind, mode, target, expected) in [
            ("etc", Regular, 0o644, "", "replace the directory /etc of"),
            ("etc", Directory, 0o700, "", "mode 0700"),
            ("staff", Directory, 0o755, "", "0:50"),
            (
                "lib",
                Directory,
                0o755,
                "",
                "the link to a directory /lib of",
            ),
            (
                "lib64",
                Symlink,
                0o777,
                "elsewhere",
                "the link to a directory /lib64 of",
            ),
            (
                "deep",
                Regular,
                0o644,
                "",
                "the link to a directory /deep of",
            ),
            (
                "etc/file",
                Directory,
                0o755,
                "",
                "by a directory the file /etc/file",
            ),
        ] {
            let reason = said(path, kind, mode, target).unwrap_or_default();
            assert!(reason.contains(expected), "{path}: {reason}");
        }
    }

    #[test]
    fn files_may_be_added_and_replaced() {
        use FileKind::{Directory, Regular, Symlink};
        for (path, kind, mode, target) in [
            ("", Directory, 0o700, ""),
            ("etc", Directory, 0o755, ""),
            ("etc/file", Regular, 0o600, ""),
            ("etc/link", Regular, 0o644, ""),
            ("circle", Regular, 0o644, ""),
            ("lib", Symlink, 0o777, "usr/lib"),
            ("opt", Directory, 0o700, ""),
        ] {
            assert_eq!(said(path, kind, mode, target), None, "{path}");
        }
    }

    #[test]
    fn directories_in_common_are_bounded_as_at_boot() {
        let names = (1..DIRECTORIES + 1).map(|number| number.to_string().into_bytes());
        let entry = |path: Vec<u8>| Entry {
            path,
            kind: FileKind::Directory,
            mode: 0o755,
            uid: 0,
            size: 0,
            target: Vec::new(),
        };
        let rights = Rights {
            mode: 0o755,
            user: 0,
            group: 0,
        };
        let root = Root(
            names
                .clone()
                .map(|name| (name, Node::Directory(rights)))
                .collect(),
        );
        let mut contents = Contents {
            entries: [Vec::new()].into_iter().chain(names).map(entry).collect(),
            ..Contents::default()
        };
        let reason = conflict(&root, &contents).unwrap_or_default();
        assert!(
            reason.starts_with("has more than 20000 directories"),
            "{reason}"
        );
        contents.entries.pop();
        assert_eq!(conflict(&root, &contents), None);
    }
}
