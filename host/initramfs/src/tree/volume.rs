//! Reading a tree out of what a file system image was made into.

use std::collections::HashSet;
use std::fs::File;
use std::io::Seek;

use switch_root_core::error::{Attempt, Error, Result};

use super::store::Keeper;
use super::unpack::Unpacker;
use super::{Limits, Tree, Wanted};
use crate::archive::Member;
use crate::segments::input::Input;
use crate::segments::{Place, scan_input};

/// Of what is in no archive, or not yet.
pub(super) const PLACE: Place = Place {
    part: 1,
    archive: 0,
    contents: None,
    continues: false,
};

impl Tree {
    /// Reads the archive that a file system image was made into, with the contents that are
    /// wanted.
    ///
    /// # Errors
    /// Why it is not read.
    pub(crate) fn of_archive(archive: &File, limits: &Limits, wanted: &Wanted) -> Result<Self> {
        let shown = || "what it holds".to_owned();
        let (tree, _) = Self::new().filled(wanted, &|visit| {
            let file = archive.try_clone().and_then(|mut file| {
                file.rewind()?;
                Ok(file)
            });
            let read = |error| Error::system(Attempt::Read { path: shown() }, &error);
            let mut input = Input::opened(file.map_err(read)?, shown())?;
            // The archive has no name: contents cannot be read from where they are in it later.
            scan_input(
                &mut input,
                &limits.scanning(),
                &mut |place, member, contents| {
                    let place = Place {
                        contents: None,
                        ..place
                    };
                    visit(place, member, contents)
                },
            )
        })?;
        Ok(tree)
    }

    /// The numbers of those members, from 1, whose contents are wanted; of the others, links
    /// alone have contents here.
    ///
    /// # Errors
    /// See [`Unpacker::member`].
    pub(crate) fn sources<'a>(
        members: impl Iterator<Item = (Member, &'a [u8])>,
        wanted: &Wanted,
    ) -> Result<HashSet<u32>> {
        let (mut tree, nothing) = (Self::new(), Wanted::default());
        let mut unpacker = Unpacker::new(&mut tree, Keeper::new(&nothing));
        for (member, mut target) in members {
            unpacker.member(PLACE, &member, &mut target)?;
        }
        let missing = tree.missing(wanted).into_iter();
        Ok(missing.map(|(id, _, _)| tree.node(id).source).collect())
    }
}
