//! Begins the project of a policy: a folder that builds, and whose cases pass, as it is made.

pub(crate) mod built;
pub(crate) mod files;
pub(crate) mod name;
mod sdk;
mod specification;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape::Shown;

pub use built::component;
pub use name::{Name, NoName};
pub use specification::{Project, Questions};

switch_root_core::outcomes! {
    /// Why a project is not begun.
    pub(crate) enum NotBegun in "policies" {
        /// Name another folder, or remove the one that is there.
        "SR-T23" Occupied { folder: String } = "cannot begin a project in {folder}: it is there already, and nothing is written over; name another place with --output DIR",
    }
}

/// Makes the project in `folder`, which must not be there yet, and returns the paths of its
/// files, relative to the folder.
///
/// # Errors
/// The folder is there, or cannot be made; there is no SDK where one is said to be. Nothing
/// stays then.
pub fn create(project: &Project, folder: &Path) -> Result<Vec<String>> {
    let files = files::of(project)?;
    fs::create_dir(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::input(NotBegun::Occupied {
            folder: folder.shown(),
        }),
        _ => Error::system(
            Attempt::MakeFolder {
                path: folder.shown(),
            },
            &error,
        ),
    })?;
    for (name, content) in &files {
        let path = folder.join(name);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, content));
        if let Err(error) = written {
            // This very call has made it.
            let _ = fs::remove_dir_all(folder);
            let path = path.shown();
            return Err(Error::system(Attempt::Write { path }, &error));
        }
    }
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests;
