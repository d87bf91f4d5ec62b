//! What layers have that is not unpacked. What counts is the result of all of them: what a
//! later layer removes or replaces is forgotten.

use std::collections::BTreeMap;
use std::fmt;

use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

switch_root_core::outcomes! {
    /// Why an image is not unpacked to its end.
    pub enum TooMany in "unpacking" {
        /// It is not an image of an extension.
        "SR-Y80" Special { most: usize } = "the image has more than {most} device nodes, named pipes and setuid programs, which no extension has",
    }
}

/// Entries of a kind that are remembered: each has a path.
const MOST: usize = 10_000;
/// Names of attributes of one file that are remembered, in bytes.
const NAMES: usize = 300;

/// What an archive may hold and an extension may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Special {
    /// A character or block device.
    Device,
    /// A named pipe.
    Fifo,
    /// A program that runs with the rights of its owner or group: unpacked by root,
    /// it would be root's, for all who can reach the folder.
    SetId,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "a device node",
            Self::Fifo => "a named pipe",
            Self::SetId => "a setuid or setgid program",
        })
    }
}

/// By the paths that they have in the folder.
#[derive(Default)]
pub(super) struct Marks {
    /// What must not be there in the end. An empty file stands for it meanwhile.
    refused: BTreeMap<Vec<u8>, Special>,
    /// The names of attributes.
    dropped: BTreeMap<Vec<u8>, String>,
    /// How many more there were of those than are remembered.
    more: usize,
}

impl Marks {
    /// There is something else of that name now, or nothing.
    pub(super) fn forget(&mut self, real: &[u8]) {
        self.refused.remove(real);
        self.dropped.remove(real);
    }

    /// Something stands there that must not stay.
    ///
    /// # Errors
    /// There is too much of it.
    pub(super) fn refuse(&mut self, real: Vec<u8>, special: Special) -> Result<()> {
        if self.refused.len() >= MOST {
            return Err(Error::input(TooMany::Special { most: MOST }));
        }
        self.refused.insert(real, special);
        Ok(())
    }

    /// What stands there has lost its attributes.
    pub(super) fn drop_attributes(&mut self, real: Vec<u8>, names: &[String]) {
        if names.is_empty() {
            return;
        }
        if self.dropped.len() >= MOST {
            self.more += 1;
            return;
        }
        let names = escape::message(&names.join(", "), NAMES);
        self.dropped.insert(real, names);
    }

    /// A file has another name now.
    ///
    /// # Errors
    /// See [`refuse`](Self::refuse).
    pub(super) fn link(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        if from == to {
            return Ok(());
        }
        if let Some(names) = self.dropped.get(from).cloned() {
            self.drop_attributes(to.to_vec(), &[names]);
        }
        match self.refused.get(from).copied() {
            Some(special) => self.refuse(to.to_vec(), special),
            None => Ok(()),
        }
    }

    /// What must not stay, by path.
    pub(super) fn refused(&self) -> impl Iterator<Item = (&[u8], Special)> {
        let refused = self.refused.iter();
        refused.map(|(real, special)| (real.as_slice(), *special))
    }

    /// What has lost attributes: the first ones, and how many more there are.
    pub(super) fn dropped(self, first: usize) -> (Vec<Dropped>, usize) {
        let more = self.more + self.dropped.len().saturating_sub(first);
        let dropped = self.dropped.into_iter().take(first);
        let dropped = dropped.map(|(real, attributes)| Dropped {
            path: escape::path(&real),
            attributes,
        });
        (dropped.collect(), more)
    }
}

/// A file of an image that is unpacked without its extended attributes, a file capability
/// among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// Its path in the image, without the `/` at the beginning; fit for a terminal.
    pub path: String,
    /// The names of the attributes, with commas between them; fit for a terminal.
    pub attributes: String,
}
