//! Begins the project of a policy: a folder that builds, and whose cases pass, as it is made.

mod built;
mod files;
mod name;
mod sdk;
mod specification;

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;

pub use built::component;
pub use name::Name;
pub use specification::{Project, Questions};

/// Makes the project in `folder`, which must not be there yet, and returns the paths of its
/// files, relative to the folder.
///
/// # Errors
/// The folder is there, or cannot be made; there is no SDK where one is said to be. Nothing
/// stays then.
pub fn create(project: &Project, folder: &Path) -> Result<Vec<String>> {
    let files = files::of(project)?;
    let shown = folder.shown();
    fs::create_dir(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::input(format!(
            "cannot begin a project in {shown}: it is there already, and nothing is written over; name another place with --output DIR"
        )),
        _ => Error::system(format!("cannot make the folder {shown}"), &error),
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
            return Err(Error::system(
                format!("cannot write {}", path.shown()),
                &error,
            ));
        }
    }
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests;
