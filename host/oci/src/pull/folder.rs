//! The folder that images are unpacked into: all of them appear in it, or none.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape;
use tempfile::TempDir;

use crate::unpack::Modes;

switch_root_core::outcomes! {
    /// Why nothing is unpacked into a folder.
    pub enum Unfit in "pulling" {
        /// Nothing is written over.
        "SR-O05" Taken { path: String } = "{path} is there already; remove it, or pull into another folder",
        "SR-O06" NotAFolder { path: String } = "cannot unpack into {path}: it is not a folder; name one, or one that is not there yet",
        /// The system's own words follow: permissions, or a full disk.
        "SR-O07" Refused { path: String } = "cannot make a folder in {path}",
    }
}

/// Of the root of an image. A layer's own entry for it says nothing that is
/// worth a folder that others cannot read.
const MODE: u32 = 0o755;

/// Where the folders go. Directories that were made for it are removed again,
/// unless [`Output::commit`] succeeds.
pub(super) struct Output {
    path: PathBuf,
    /// The outermost first.
    made: Vec<PathBuf>,
}

impl Output {
    /// # Errors
    /// One of the `names` is there; the folder cannot be made, or is none.
    pub(super) fn open(path: &Path, names: &[String]) -> Result<Self> {
        for name in names {
            let folder = path.join(name);
            if folder.symlink_metadata().is_ok() {
                let path = shown(&folder);
                return Err(Error::input(Unfit::Taken { path }));
            }
        }
        if path.exists() && !path.is_dir() {
            let path = shown(path);
            return Err(Error::input(Unfit::NotAFolder { path }));
        }
        let mut missing: Vec<PathBuf> = path
            .ancestors()
            .take_while(|path| {
                !path.as_os_str().is_empty()
                    && path
                        .symlink_metadata()
                        .is_err_and(|error| error.kind() == ErrorKind::NotFound)
            })
            .map(Path::to_owned)
            .collect();
        missing.reverse();
        let mut output = Self {
            path: path.to_owned(),
            made: Vec::new(),
        };
        for directory in missing {
            match fs::create_dir(&directory) {
                Ok(()) => output.made.push(directory),
                // Somebody else has made it meanwhile, or `a/../a` was asked for.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let path = shown(&directory);
                    return Err(Error::system(Attempt::MakeFolder { path }, &error));
                }
            }
        }
        Ok(output)
    }

    /// A folder for an image, under a hidden name that nobody else may enter.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn stage(&self) -> Result<Staged> {
        let cannot = |error: &std::io::Error| {
            let path = shown(&self.path);
            Error::system(Unfit::Refused { path }, error)
        };
        let folder = tempfile::Builder::new()
            .prefix(".pull-")
            .tempdir_in(&self.path)
            .map_err(|error| cannot(&error))?;
        // Out of the group that a setgid directory gives, which everything in
        // it would be given, too.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(0), Some(0))
                .map_err(|error| cannot(&error))?;
        }
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700))
            .map_err(|error| cannot(&error))?;
        Ok(Staged {
            folder,
            modes: None,
        })
    }

    /// Gives all folders their names; where it fails, none has one.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn commit(
        mut self,
        staged: impl Iterator<Item = (Staged, String)>,
    ) -> Result<Vec<PathBuf>> {
        let mut named = Named(Vec::new());
        for (staged, name) in staged {
            let target = self.path.join(name);
            let Staged { folder, modes } = staged;
            // From here on its modes may keep us from removing it as it is.
            let kept = folder.keep();
            named.0.push(kept.clone());
            if let Some(modes) = modes {
                modes.apply()?;
            }
            fs::set_permissions(&kept, fs::Permissions::from_mode(MODE))
                .and_then(|()| fs::rename(&kept, &target))
                .map_err(|error| {
                    let path = shown(&target);
                    Error::system(Attempt::Make { path }, &error)
                })?;
            named.0.pop();
            named.0.push(target);
        }
        self.made.clear();
        Ok(std::mem::take(&mut named.0))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        for directory in self.made.iter().rev() {
            // What others have put into it meanwhile stays, and so does it.
            let _ = fs::remove_dir(directory);
        }
    }
}

/// A folder that is being filled; removed when it is dropped.
pub(super) struct Staged {
    folder: TempDir,
    modes: Option<Modes>,
}

impl Staged {
    /// Where it is for now.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its content is complete, but for what is done at the end.
    pub(super) fn unpacked(&mut self, modes: Modes) {
        self.modes = Some(modes);
    }
}

/// Folders that are removed, unless they are taken out.
struct Named(Vec<PathBuf>);

impl Drop for Named {
    fn drop(&mut self) {
        for folder in &self.0 {
            open_up(folder);
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// Lets us remove what is in a folder, as far as we may.
fn open_up(folder: &Path) {
    let mut ahead = vec![folder.to_owned()];
    while let Some(directory) = ahead.pop() {
        let _ = fs::set_permissions(&directory, fs::Permissions::from_mode(0o700));
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                ahead.push(entry.path());
            }
        }
    }
}

fn shown(path: &Path) -> String {
    escape::path(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_folder_is_refused_before_anything_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "mine").unwrap();
        let refused = Output::open(&file, &["000.a".to_owned()]).err().unwrap();
        assert!(
            refused.to_string().contains("file: it is not a folder"),
            "{refused}"
        );
        assert_eq!(fs::read(&file).unwrap(), b"mine");
        assert!(Output::open(folder.path(), &["000.a".to_owned()]).is_ok());
    }
}
