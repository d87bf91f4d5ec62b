//! Adding files to a tree by their paths.

use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::file_kind::FileKind;

use super::lookup::{Last, NAME_MAX};
use super::{DEPTH, Id, Node, Stored, Tree};

switch_root_core::outcomes! {
    /// Why something is not put into a tree.
    pub enum NotInserted in "images" {
        /// Each path of an image is absolute and written without `.` and `..`, and has one file.
        "SR-G70" Relative { path: String } = "`{path}` cannot be put into the tree: the path is not absolute",
        "SR-G71" Name { path: String } = "`{path}` cannot be put into the tree: each part of the path is a name of 1 to 255 bytes, and not `.` or `..`",
        "SR-G72" TooDeep { path: String } = "`{path}` cannot be put into the tree: it is below too many directories",
        "SR-G73" BelowAFile { path: String } = "`{path}` cannot be put into the tree: something above it is not a directory",
        "SR-G74" Taken { path: String } = "`{path}` cannot be put into the tree: something is there already",
    }
}

impl Tree {
    /// Adds a file, link, directory or device at an absolute path, and the directories
    /// above it. A directory that is there already gets mode and owner of the new one.
    ///
    /// # Errors
    /// The path is not an absolute one without `.` and `..`, something above it is no
    /// directory, or something else is there already.
    pub fn insert(&mut self, path: &[u8], node: Node) -> Result<Id> {
        let shown = || escape::path(path);

        let relative = path
            .strip_prefix(b"/")
            .ok_or_else(|| Error::input(NotInserted::Relative { path: shown() }))?;
        if relative.is_empty() && node.kind == FileKind::Directory {
            self.nodes[0].take_attributes(&node);
            return Ok(Id::ROOT);
        }
        let names: Vec<&[u8]> = relative.split(|byte| *byte == b'/').collect();
        if names
            .iter()
            .any(|name| matches!(*name, b"" | b"." | b"..") || name.len() > NAME_MAX)
            || path.contains(&0)
        {
            return Err(Error::input(NotInserted::Name { path: shown() }));
        }
        if names.len() > DEPTH as usize {
            return Err(Error::input(NotInserted::TooDeep { path: shown() }));
        }
        let (last, above) = names.split_last().expect("split gives at least one");
        let mut directory = Id::ROOT;
        for name in above {
            let next = self.child(directory, name);
            directory = match next {
                None => self.add(directory, name, Node::directory(0o755)),
                Some(next) if self.node(next).kind == FileKind::Directory => next,
                Some(_) => {
                    return Err(Error::input(NotInserted::BelowAFile { path: shown() }));
                }
            };
        }
        match self.child(directory, last) {
            None => Ok(self.add(directory, last, node)),
            Some(there)
                if self.node(there).kind == FileKind::Directory
                    && node.kind == FileKind::Directory =>
            {
                self.nodes[there.index()].take_attributes(&node);
                Ok(there)
            }
            Some(_) => Err(Error::input(NotInserted::Taken { path: shown() })),
        }
    }

    /// Adds a regular file with its contents; see [`insert`](Self::insert).
    ///
    /// # Errors
    /// See there.
    pub fn insert_file(&mut self, path: &[u8], mode: u32, contents: &[u8]) -> Result<Id> {
        let id = self.insert(path, Node::file(mode, contents.len() as u64))?;
        self.stored.insert(id, Stored::Whole(contents.to_vec()));
        Ok(id)
    }

    /// Gives a file one more name, in a directory that is there.
    ///
    /// # Panics
    /// There is no such file, or no such directory.
    pub fn alias(&mut self, file: &[u8], name: &[u8]) {
        let id = self.find(file).unwrap();
        let place = self.locate(name, Last::Keep).unwrap();
        self.link(place.parent, &place.name.unwrap(), id);
    }
}
