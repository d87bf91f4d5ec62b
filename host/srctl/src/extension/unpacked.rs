//! The folder of unpacked extensions that a command is about.

use std::path::Path;

use extension::folder::{self, Unpacked};
use extension::validate::{self as checks, Checked, Finding};
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape::Shown;
use switch_root_core::progress::Progress;

use crate::input::shown;

switch_root_core::outcomes! {
    /// Why there are no extensions to take.
    pub(crate) enum NoExtensions in "srctl" {
        /// Check the path.
        "SR-H49" NoFolder { folder: String } = "there is no folder {folder}; name one as `srctl extension pull` makes it, with a folder for each extension",
        "SR-H50" Empty { folder: String } = "there is nothing to pack: {folder} holds no extensions",
    }
}

/// Reads the extensions of a folder, and checks them.
pub fn checked(folder: &Path, progress: &dyn Progress) -> Result<(Vec<Checked>, Vec<Finding>)> {
    let task = progress.begin(&folder.shown(), None);
    task.say("reading");
    checks::validate(&folders(folder)?)
}

/// The extensions of a folder, which must be there: that a misspelt one has none would be
/// taken for an answer.
pub fn folders(folder: &Path) -> Result<Vec<Unpacked>> {
    if !folder.exists() {
        let folder = shown(folder);
        return Err(Error::new(
            Kind::NotFound,
            NoExtensions::NoFolder { folder },
        ));
    }
    folder::list(folder)
}
