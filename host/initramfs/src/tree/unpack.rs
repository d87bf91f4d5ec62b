//! Putting the members of archives into a tree, as the kernel puts them into rootfs
//! (`init/initramfs.c`): in their order, by the paths that they say, each with the
//! effects that the kernel's calls have there. What these calls fail at, the kernel
//! passes over without a word; here it is a warning.

use std::io::Read;

use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;

use super::lookup::{Last, Place};
use super::store::Keeper;
use super::{DEPTH, Id, Node, Tree};
use crate::archive::Member;
use crate::members::{FirstNames, cut_at_nul, is_early};
use crate::segments::Place as Position;

switch_root_core::outcomes! {
    /// Why an image is not unpacked.
    pub enum NotUnpacked in "images" {
        /// The image is not an initramfs, or was made to use up memory.
        "SR-G34" TooDeep { name: String, most: u32 } = "`{name}` is below more than {most} directories, which nothing in an initramfs is",
        /// The image cannot be read, for the reason that follows.
        "SR-G68" Link { path: String } = "cannot read the link `{path}`",
    }
}

switch_root_core::outcomes! {
    /// Why the kernel passes over a member.
    pub enum Skipped in "image-warnings" {
        /// What made the image wrote the member in the wrong place or order. Nothing is lost that
        /// the machine would have.
        "SR-G85" Contents = "it has contents, which only files have",
        "SR-G86" Kind = "its mode tells no kind of file",
        "SR-G87" LongTarget { most: u32 } = "it leads to a path of more than {most} bytes",
        "SR-G88" NotLinked = "the file that it is another name of cannot be linked there",
        "SR-G89" Slash = "its name ends with a slash, and it is no directory",
        "SR-G90" Other = "something else is there already",
        "SR-G91" NotEmpty = "a directory that is not empty is there already",
    }
}

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

/// Whether a member is made.
type Made = std::result::Result<(), Message>;

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
            _ if member.size > 0 => Err(Skipped::Contents.into()),
            Some(FileKind::Directory) => self.directory(member)?,
            Some(kind) => self.special(member, kind)?,
            None => {
                self.clean(&member.name, None);
                Err(Skipped::Kind.into())
            }
        };
        if let Err(why) = made
            && !is_early(member)
        {
            let name = escape::path(&member.name);
            let warning = |why: &str| format!("the kernel passes over `{name}`: {why}");
            self.tree.warn(why.reworded(warning));
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
    ) -> Result<Made> {
        self.clean(&member.name, Some(FileKind::Regular));
        let link = self.link(member)?;
        if matches!(link, Link::Failed) {
            return Ok(Err(Skipped::NotLinked.into()));
        }
        let place = match self.tree.locate(&member.name, Last::Follow) {
            Ok(place) => place,
            Err(stuck) => return Ok(Err(stuck.into())),
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
            Place { slash: true, .. } => return Ok(Err(Skipped::Slash.into())),
            _ => return Ok(Err(Skipped::NotEmpty.into())),
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

    fn directory(&mut self, member: &Member) -> Result<Made> {
        self.clean(&member.name, Some(FileKind::Directory));
        // A slash at its end is nothing to mkdir(2), which follows no link there.
        let end = member.name.iter().rposition(|byte| *byte != b'/');
        let bare = &member.name[..end.map_or(member.name.len(), |end| end + 1)];
        let place = match self.tree.locate(bare, Last::Keep) {
            Ok(place) => place,
            Err(stuck) => return Ok(Err(stuck.into())),
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
                return Err(Error::input(NotUnpacked::TooDeep {
                    name: escape::path(&member.name),
                    most: DEPTH,
                }));
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
            _ => Ok(Err(Skipped::Other.into())),
        }
    }

    fn special(&mut self, member: &Member, kind: FileKind) -> Result<Made> {
        self.clean(&member.name, Some(kind));
        match self.link(member)? {
            Link::Alone => {}
            Link::Made => return Ok(Ok(())),
            Link::Failed => return Ok(Err(Skipped::NotLinked.into())),
        }
        let place = match self.tree.locate(&member.name, Last::Keep) {
            Ok(place) => place,
            Err(stuck) => return Ok(Err(stuck.into())),
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
            Place { slash: true, .. } => Err(Skipped::Slash.into()),
            Place { node: Some(id), .. } => {
                // It is not made anew: the number stays. But it is given mode and owner.
                let there = &mut self.tree.nodes[id.index()];
                let same = there.kind == kind && there.rdev == node.rdev;
                there.take_attributes(&node);
                if same {
                    Ok(())
                } else {
                    Err(Skipped::Other.into())
                }
            }
            Place { node: None, .. } => Err(Skipped::Other.into()),
        })
    }

    fn symlink(&mut self, member: &Member, contents: &mut dyn Read) -> Result<Made> {
        let most = libc::PATH_MAX as u32;
        if member.size > most {
            return Ok(Err(Skipped::LongTarget { most }.into()));
        }
        let mut target = Vec::new();
        contents.read_to_end(&mut target).map_err(|error| {
            let path = escape::path(&member.name);
            Error::of_copy(NotUnpacked::Link { path }, &error)
        })?;
        cut_at_nul(&mut target);
        self.clean(&member.name, None);
        let place = match self.tree.locate(&member.name, Last::Keep) {
            Ok(place) => place,
            Err(stuck) => return Ok(Err(stuck.into())),
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
            Place { slash: true, .. } => Err(Skipped::Slash.into()),
            Place { node: Some(id), .. } => {
                // The directory that is in the way is given the link's owner.
                let there: Id = id;
                let there = &mut self.tree.nodes[there.index()];
                (there.uid, there.gid) = (member.uid, member.gid);
                Err(Skipped::Other.into())
            }
            Place { node: None, .. } => Err(Skipped::Other.into()),
        })
    }
}
