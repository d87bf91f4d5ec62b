//! The files of an image as policies and their settings are looked for in it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use policy::source::{Contents, Source};
use switch_root_core::escape;
use switch_root_core::file::Unreadable;
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;

use crate::tree::{Id, Node, Stored, Tree};

switch_root_core::outcomes! {
    /// Why a folder of an image has no policies.
    pub enum NoFolder in "image-findings" {
        /// A file of the image has the name of the folder.
        "SR-G79" NotDirectory = "it is not a directory",
    }
}

/// Number of the device /dev/null.
const NULL: (u32, u32) = (1, 3);

/// The files of a tree.
pub struct Files<'a>(pub &'a Tree);

impl Files<'_> {
    fn resolve(&self, path: &Path) -> Option<(Id, &Node)> {
        let (id, _) = self.0.resolve(path.as_os_str().as_bytes())?;
        Some((id, self.0.node(id)))
    }
}

impl Source for Files<'_> {
    fn names(&self, directory: &Path) -> Result<Option<Vec<OsString>>, Message> {
        match self.resolve(directory) {
            None => Ok(None),
            Some((id, node)) if node.kind == FileKind::Directory => {
                let names = self.0.children(id);
                Ok(Some(
                    names
                        .map(|(name, _)| OsString::from_vec(name.to_vec()))
                        .collect(),
                ))
            }
            Some(_) => Err(NoFolder::NotDirectory)?,
        }
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Contents>, Message> {
        let Some((id, node)) = self.resolve(path) else {
            return Ok(None);
        };
        if node.kind != FileKind::Regular {
            Err(Unreadable::NotRegular)?;
        }
        if node.size > limit || matches!(self.0.stored(id), Some(Stored::TooLarge(_))) {
            let size = node.size;
            Err(Unreadable::TooLarge { size, limit })?;
        }
        let contents = self.0.contents(path.as_os_str().as_bytes());
        let bytes = contents.map_err(Message::quoted)?.to_vec();
        Ok(Some(Contents {
            bytes,
            uid: node.uid,
            mode: node.mode,
        }))
    }

    fn is_null(&self, path: &Path) -> bool {
        let at = self.0.at(path.as_os_str().as_bytes());
        at.is_some_and(|(id, _)| self.0.node(id).target() == OsStr::new("/dev/null").as_bytes())
            || self.resolve(path).is_some_and(|(_, node)| {
                node.kind == FileKind::CharacterDevice && node.rdev == NULL
            })
    }

    fn is_empty(&self, path: &Path) -> bool {
        self.resolve(path)
            .is_some_and(|(_, node)| node.kind == FileKind::Regular && node.size == 0)
    }

    fn shown(&self, path: &Path) -> String {
        escape::path(path.as_os_str().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use policy::folder;
    use switch_root_core::locations;

    use super::*;

    #[test]
    fn policies_are_found_in_an_image_by_its_links_and_owners() {
        let mut tree = Tree::new();
        let vendor = |name: &str| format!("{}/{name}", locations::VENDOR).into_bytes();
        let operator = |name: &str| format!("{}/{name}", locations::OPERATOR).into_bytes();
        tree.insert_file(b"/data/policy", 0o644, b"code").unwrap();
        tree.insert(&vendor("10-a.wasm"), Node::symlink(b"/data/policy"))
            .unwrap();
        tree.insert_file(&vendor("20-b.wasm"), 0o644, b"code")
            .unwrap();
        tree.insert(&operator("20-b.wasm"), Node::symlink(b"/dev/null"))
            .unwrap();
        tree.insert(&operator("30-c.wasm"), Node::symlink(b"nowhere"))
            .unwrap();
        tree.insert_file(&operator("40-d.wasm"), 0o644, b"code")
            .unwrap();
        tree.insert_file(&operator("40-d.json"), 0o644, b"{")
            .unwrap();
        let native = Node::file(0o644, 4).owned_by(1000, 0);
        tree.insert(&vendor("10-a.cwasm"), native).unwrap();
        tree.insert_file(&operator("00-default.wasm"), 0o644, b"")
            .unwrap();
        let found = folder::discover_in(&Files(&tree), None);
        let summary: Vec<_> = found
            .iter()
            .map(|policy| {
                let failure = policy.code.as_ref().err();
                (
                    &*policy.name,
                    failure.map(|failure| &*failure.message).unwrap_or_default(),
                )
            })
            .collect();
        assert_eq!(summary[0], ("10-a", ""));
        assert_eq!(
            summary[1],
            (
                "30-c",
                "is a link to nothing; remove it, or link it to /dev/null to mask the policy"
            )
        );
        assert_eq!(summary[2].0, "40-d");
        assert!(
            summary[2]
                .1
                .starts_with("/etc/switch-root/policies.d/40-d.json is not a sidecar file"),
            "{}",
            summary[2].1
        );
        assert_eq!(summary.len(), 3);
    }
}
