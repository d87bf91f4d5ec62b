//! Following paths through a tree as the kernel does it in a root directory:
//! links in the middle are followed, and nothing leads out of it.

use switch_root_core::file::Unreadable;
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;

use super::{Id, Stored, Tree};

/// The longest name.
pub(super) const NAME_MAX: usize = 255;

/// Links that are followed on the way to one place, as the kernel has it.
const LINKS: usize = 40;

/// Whether a link at the end of a path is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    Follow,
    Keep,
}

/// Where a path leads.
#[derive(Debug)]
pub(super) struct Place {
    /// The directory.
    pub parent: Id,
    /// The name in it; none where the path ends in the directory itself (`/`, `.`,
    /// `..`), which is the node then.
    pub name: Option<Vec<u8>>,
    /// What is there.
    pub node: Option<Id>,
    /// The path ends with a slash, so that only a directory can be made there.
    pub slash: bool,
}

switch_root_core::outcomes! {
    /// Why a path leads nowhere, so that the kernel passes over a member.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum Stuck in "image-warnings" {
        /// What made the image wrote the member in the wrong place or order. Nothing is lost that
        /// the machine would have.
        "SR-G80" Empty = "its name is empty",
        "SR-G81" Missing = "a directory above it is missing",
        "SR-G82" NotADirectory = "something above it is not a directory",
        "SR-G83" TooManyLinks = "too many symbolic links are on the way to it",
        "SR-G84" NameTooLong = "a part of its name is longer than 255 bytes",
    }
}

switch_root_core::outcomes! {
    /// Why a file of an image has no contents: what follows its path in a sentence.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum NoContents in "images" {
        /// The file is not in the image, or not one of those that are read. Name another one.
        "SR-G76" Missing = "is not there",
        "SR-G77" NotKept = "was not read",
    }
}

impl Tree {
    /// What a path leads to, with links followed as if the tree were the root
    /// directory: its id, and its path without links.
    pub fn resolve(&self, path: &[u8]) -> Option<(Id, Vec<u8>)> {
        self.follow(path, Last::Follow)
    }

    /// What stands at a path, links in the middle followed, but not one at its end: its
    /// id, and its path without the former.
    pub fn at(&self, path: &[u8]) -> Option<(Id, Vec<u8>)> {
        self.follow(path, Last::Keep)
    }

    fn follow(&self, path: &[u8], last: Last) -> Option<(Id, Vec<u8>)> {
        let place = self.locate(path, last).ok()?;
        let id = place.node?;
        let mut real = self.path_of(place.parent);
        if let Some(name) = place.name {
            real = switch_root_core::path::join(&real, &name);
        }
        Some((id, real))
    }

    /// The contents of the file that a path leads to, links followed.
    ///
    /// # Errors
    /// What follows the path in a sentence: nothing is there, it is no file, or it is
    /// larger than what is kept of such a file.
    pub fn contents(&self, path: &[u8]) -> Result<&[u8], Message> {
        let (id, _) = self.resolve(path).ok_or(NoContents::Missing)?;
        let node = self.node(id);
        match self.stored(id) {
            _ if node.kind != FileKind::Regular => Err(Unreadable::NotRegular.into()),
            Some(Stored::Whole(bytes)) => Ok(bytes),
            Some(Stored::TooLarge(limit)) => Err(Unreadable::TooLarge {
                size: node.size,
                limit: *limit,
            }
            .into()),
            _ if node.size == 0 => Ok(&[]),
            _ => Err(NoContents::NotKept.into()),
        }
    }

    /// Follows a path from the root. What is behind the last name need not be there.
    pub(super) fn locate(&self, path: &[u8], last: Last) -> Result<Place, Stuck> {
        if path.is_empty() {
            return Err(Stuck::Empty);
        }
        let slash = path.ends_with(b"/");
        let mut links = 0;
        let mut parent = Id::ROOT;
        let mut todo: Vec<Vec<u8>> = Vec::new();
        push(&mut todo, path);
        let mut place = Place {
            parent,
            name: None,
            node: Some(parent),
            slash,
        };
        while let Some(name) = todo.pop() {
            if name == b"." || name == b".." {
                if name == b".." {
                    parent = self.node(parent).place().map_or(Id::ROOT, |(id, _)| id);
                }
                place = Place {
                    parent,
                    name: None,
                    node: Some(parent),
                    slash,
                };
                continue;
            }
            if name.len() > NAME_MAX {
                return Err(Stuck::NameTooLong);
            }
            let child = self.child(parent, &name);
            let is_last = todo.is_empty();
            let Some(id) = child else {
                if !is_last {
                    return Err(Stuck::Missing);
                }
                return Ok(Place {
                    parent,
                    name: Some(name),
                    node: None,
                    slash,
                });
            };
            let node = self.node(id);
            match node.kind {
                FileKind::Symlink if !is_last || slash || last == Last::Follow => {
                    links += 1;
                    if links > LINKS {
                        return Err(Stuck::TooManyLinks);
                    }
                    if node.target().is_empty() {
                        return Err(Stuck::Missing);
                    }
                    if node.target().starts_with(b"/") {
                        parent = Id::ROOT;
                    }
                    place = Place {
                        parent,
                        name: None,
                        node: Some(parent),
                        slash,
                    };
                    push(&mut todo, node.target());
                }
                FileKind::Directory => {
                    place = Place {
                        parent,
                        name: Some(name),
                        node: Some(id),
                        slash,
                    };
                    parent = id;
                }
                _ if is_last && !slash => {
                    return Ok(Place {
                        parent,
                        name: Some(name),
                        node: Some(id),
                        slash,
                    });
                }
                _ => return Err(Stuck::NotADirectory),
            }
        }
        Ok(place)
    }
}

/// Puts the parts of a path on the stack, the first one on top.
fn push(todo: &mut Vec<Vec<u8>>, path: &[u8]) {
    let names = path.split(|byte| *byte == b'/').rev();
    todo.extend(names.filter(|name| !name.is_empty()).map(<[u8]>::to_vec));
}
