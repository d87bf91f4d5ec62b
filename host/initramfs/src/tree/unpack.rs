//! Putting the members of archives into a tree, as the kernel puts them into rootfs
//! (`init/initramfs.c`): in their order, by the paths that they say, each with the
//! effects that the kernel's calls have there. What these calls fail at, the kernel
//! passes over without a word; here it is a warning.

use std::io::Read;

use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::file_kind::FileKind;

use super::lookup::{Last, Place};
use super::store::Keeper;
use super::{DEPTH, Id, Node, Tree};
use crate::archive::Member;
use crate::members::{FirstNames, cut_at_nul, is_early};
use crate::segments::Place as Position;

/// Unpacks into a tree.
pub(super) struct Unpacker<'a, 'w> {
    tree: &'a mut Tree,
    keeper: Keeper<'w>,
    first_names: FirstNames,
    /// Members so far.
    members: u32,
}

/// What came of looking for another name of the same file.
enum Link {
    /// There is none yet, or it says that it has only one.
    Alone,
    /// This is the same file now.
    Made,
    /// It could not be linked to it.
    Failed,
}

/// Why a member is not made.
type Skipped = String;

impl<'a, 'w> Unpacker<'a, 'w> {
    pub fn new(tree: &'a mut Tree, keeper: Keeper<'w>) -> Self {
        Self {
            tree,
            keeper,
            first_names: FirstNames::default(),
            members: 0,
        }
    }

    /// Unpacks one member.
    pub fn member(
        &mut self,
        position: Position,
        member: &Member,
        contents: &mut dyn Read,
    ) -> Result<()> {
        self.members += 1;
        self.first_names.at(position);
        let made = match FileKind::of_mode(member.mode) {
            Some(FileKind::Symlink) => self.symlink(member, contents)?,
            Some(FileKind::Regular) => self.file(position, member, contents)?,
            _ if member.size > 0 => Err("it has contents, which only files have".to_owned()),
            Some(FileKind::Directory) => self.directory(member)?,
            Some(kind) => self.special(member, kind)?,
            None => {
                self.clean(&member.name, None);
                Err("its mode tells no kind of file".into())
            }
        };
        if let Err(why) = made
            && !is_early(member)
        {
            self.tree.warn(format!(
                "the kernel passes over `{}`: {why}",
                escape::path(&member.name)
            ));
        }
        Ok(())
    }

    /// Removes what is at a path, unless it is of this kind, or a directory that is not
    /// empty.
    fn clean(&mut self, path: &[u8], wanted: Option<FileKind>) {
        let Ok(Place {
            parent,
            name: Some(name),
            node: Some(id),
            ..
        }) = self.tree.locate(path, Last::Keep)
        else {
            return;
        };
        let node = self.tree.node(id);
        let empty = node.children().is_none_or(|children| children.is_empty());
        if Some(node.kind) != wanted && empty {
            self.tree.remove(parent, &name);
        }
    }

    /// Makes a file another name of one that came before.
    fn link(&mut self, member: &Member) -> Result<Link> {
        let Some(first) = self.first_names.of(member)? else {
            return Ok(Link::Alone);
        };
        self.clean(&member.name, None);
        let old = self.tree.locate(&first, Last::Keep).ok();
        let old = old.and_then(|place| place.node);
        let new = self.tree.locate(&member.name, Last::Keep).ok();
        Ok(match (old, new) {
            (
                Some(old),
                Some(Place {
                    parent,
                    name: Some(name),
                    node: None,
                    slash: false,
                }),
            ) if self.tree.node(old).kind != FileKind::Directory => {
                self.tree.link(parent, &name, old);
                Link::Made
            }
            _ => Link::Failed,
        })
    }

    fn file(
        &mut self,
        position: Position,
        member: &Member,
        contents: &mut dyn Read,
    ) -> Result<std::result::Result<(), Skipped>> {
        self.clean(&member.name, Some(FileKind::Regular));
        let link = self.link(member)?;
        if matches!(link, Link::Failed) {
            return Ok(Err(NOT_LINKED.into()));
        }
        let place = match self.tree.locate(&member.name, Last::Follow) {
            Ok(place) => place,
            Err(stuck) => return Ok(Err(stuck.to_string())),
        };
        let (id, name) = match place {
            Place {
                node: Some(id),
                name: Some(name),
                ..
            } if self.tree.node(id).kind == FileKind::Regular => (id, name),
            Place {
                parent,
                name: Some(name),
                node: None,
                slash: false,
            } => {
                let node = Node::file(member.mode, 0);
                (self.tree.add(parent, &name, node), name)
            }
            Place { slash: true, .. } => return Ok(Err(SLASH.into())),
            _ => return Ok(Err("a directory that is not empty is there already".into())),
        };
        let size = u64::from(member.size);
        let rewritten = size > 0 || matches!(link, Link::Alone);
        let node = &mut self.tree.nodes[id.index()];
        node.mode = member.mode & 0o7777;
        (node.uid, node.gid) = (member.uid, member.gid);
        if !rewritten {
            return Ok(Ok(()));
        }
        node.size = size;
        node.source = self.members;
        let directory = self.tree.path_of(place.parent);
        let want = self.keeper.wanted.at(&directory, &name);
        let kept = self
            .keeper
            .read(want, &member.name, size, position.contents, contents)?;
        self.tree.keep(id, kept);
        Ok(Ok(()))
    }

    fn directory(&mut self, member: &Member) -> Result<std::result::Result<(), Skipped>> {
        self.clean(&member.name, Some(FileKind::Directory));
        // A slash at its end is nothing to mkdir(2), which follows no link there.
        let end = member.name.iter().rposition(|byte| *byte != b'/');
        let bare = &member.name[..end.map_or(member.name.len(), |end| end + 1)];
        let place = match self.tree.locate(bare, Last::Keep) {
            Ok(place) => place,
            Err(stuck) => return Ok(Err(stuck.to_string())),
        };
        let node = Node::directory(member.mode).owned_by(member.uid, member.gid);
        if let Place {
            parent,
            name: Some(name),
            node: None,
            ..
        } = place
        {
            if self.tree.node(parent).depth() >= DEPTH {
                return Err(Error::input(format!(
                    "`{}` is below more than {DEPTH} directories, which nothing in an initramfs is",
                    escape::path(&member.name)
                )));
            }
            self.tree.add(parent, &name, node);
            return Ok(Ok(()));
        }
        // It is there already, if need be behind a link: it gets mode and owner.
        let there = self.tree.locate(&member.name, Last::Follow).ok();
        match there.and_then(|place| place.node) {
            Some(id) if self.tree.node(id).kind == FileKind::Directory => {
                self.tree.nodes[id.index()].take_attributes(&node);
                Ok(Ok(()))
            }
            _ => Ok(Err(OTHER.into())),
        }
    }

    fn special(
        &mut self,
        member: &Member,
        kind: FileKind,
    ) -> Result<std::result::Result<(), Skipped>> {
        self.clean(&member.name, Some(kind));
        match self.link(member)? {
            Link::Alone => {}
            Link::Made => return Ok(Ok(())),
            Link::Failed => return Ok(Err(NOT_LINKED.into())),
        }
        let place = match self.tree.locate(&member.name, Last::Keep) {
            Ok(place) => place,
            Err(stuck) => return Ok(Err(stuck.to_string())),
        };
        let node = Node::special(kind, member.mode, member.rdev).owned_by(member.uid, member.gid);
        Ok(match place {
            Place {
                parent,
                name: Some(name),
                node: None,
                slash: false,
            } => {
                self.tree.add(parent, &name, node);
                Ok(())
            }
            Place { slash: true, .. } => Err(SLASH.into()),
            Place { node: Some(id), .. } => {
                // It is not made anew: the number stays. But it is given mode and owner.
                let there = &mut self.tree.nodes[id.index()];
                let same = there.kind == kind && there.rdev == node.rdev;
                there.take_attributes(&node);
                if same { Ok(()) } else { Err(OTHER.into()) }
            }
            Place { node: None, .. } => Err(OTHER.into()),
        })
    }

    fn symlink(
        &mut self,
        member: &Member,
        contents: &mut dyn Read,
    ) -> Result<std::result::Result<(), Skipped>> {
        let most = libc::PATH_MAX as u32;
        if member.size > most {
            return Ok(Err(format!("it leads to a path of more than {most} bytes")));
        }
        let mut target = Vec::new();
        contents.read_to_end(&mut target).map_err(|error| {
            let path = escape::path(&member.name);
            Error::of_copy(format!("cannot read the link `{path}`"), &error)
        })?;
        cut_at_nul(&mut target);
        self.clean(&member.name, None);
        let place = match self.tree.locate(&member.name, Last::Keep) {
            Ok(place) => place,
            Err(stuck) => return Ok(Err(stuck.to_string())),
        };
        Ok(match place {
            Place {
                parent,
                name: Some(name),
                node: None,
                slash: false,
            } => {
                let node = Node::symlink(&target).owned_by(member.uid, member.gid);
                self.tree.add(parent, &name, node);
                Ok(())
            }
            Place { slash: true, .. } => Err(SLASH.into()),
            Place { node: Some(id), .. } => {
                // The directory that is in the way is given the link's owner.
                let there: Id = id;
                let there = &mut self.tree.nodes[there.index()];
                (there.uid, there.gid) = (member.uid, member.gid);
                Err(OTHER.into())
            }
            Place { node: None, .. } => Err(OTHER.into()),
        })
    }
}

const NOT_LINKED: &str = "the file that it is another name of cannot be linked there";
const SLASH: &str = "its name ends with a slash, and it is no directory";
const OTHER: &str = "something else is there already";
