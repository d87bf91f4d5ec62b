//! What keeps a layer from being laid over a root image: the boot binary leaves out one
//! that would replace a directory of it, or change who may enter one.

use initramfs::machine::{Root, RootNode as Node};
use switch_root_core::escape;
use switch_root_core::file_kind::FileKind;

use crate::contents::Contents;

/// What keeps a layer of these contents, packed as root's, from being laid over
/// the root image; what follows the layer's name in a sentence.
pub fn conflict(root: &Root, contents: &Contents) -> Option<String> {
    contents.entries.iter().find_map(|entry| {
        let here = root.0.get(&entry.path)?;
        let directory = entry.kind == FileKind::Directory;
        let wrong = match here {
            // The root directory itself stays as the root image has it.
            Node::Directory(..) if entry.path.is_empty() => return None,
            Node::Directory(mode, user, group) if directory => {
                if (entry.mode, 0, 0) == (*mode, *user, *group) {
                    return None;
                }
                format!(
                    "would give mode {:04o} and owner 0:0, rather than {mode:04o} and {user}:{group}, to the directory",
                    entry.mode
                )
            }
            Node::Directory(..) => "would replace the directory".to_owned(),
            Node::Link(target) if *target == entry.target => return None,
            Node::Link(target) if root.is_directory(&entry.path, target) => {
                "would replace the link to a directory".to_owned()
            }
            _ if directory => "would replace by a directory the file".to_owned(),
            _ => return None,
        };
        Some(format!(
            "{wrong} /{} of the root image, and would be left out at boot",
            escape::path(&entry.path)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contents::Entry;

    fn root() -> Root {
        let directory = Node::Directory(0o755, 0, 0);
        let link = |target: &[u8]| Node::Link(target.to_vec());
        let nodes = [
            ("", Node::Directory(0o555, 0, 0)),
            ("etc", directory.clone()),
            ("usr/lib", directory),
            ("lib", link(b"usr/lib")),
            ("lib64", link(b"../lib/../lib")),
            ("staff", Node::Directory(0o755, 0, 50)),
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
            ("lib", Symlink, 0o777, "usr/lib"),
            ("opt", Directory, 0o700, ""),
        ] {
            assert_eq!(said(path, kind, mode, target), None, "{path}");
        }
    }
}
