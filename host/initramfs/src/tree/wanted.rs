//! Of which files the contents are kept.

use serde::{Deserialize, Serialize};
use switch_root_core::limits::fixed;
use switch_root_core::locations::{self, TRUST};

use crate::boot_program;

/// What is kept of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Want {
    /// All of it, up to so many bytes; larger ones are not kept.
    Whole(u64),
    /// So many of its first bytes.
    Head(u64),
    /// Where it can be read: in the image where it is not compressed, otherwise in a
    /// copy on disk that has no name.
    Place,
}

/// The files whose contents are kept, by absolute paths.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Wanted {
    files: Vec<(Vec<u8>, Want)>,
    /// Of folders, everything that is right in them.
    folders: Vec<(Vec<u8>, Want)>,
    /// Whether there shall be a digest of every file.
    pub digests: bool,
}

impl Wanted {
    /// What a plan is made of.
    pub fn of_plan() -> Self {
        let mut wanted = Self::default()
            .folder(locations::VENDOR, Want::Whole(fixed::POLICY_FILE))
            .folder(locations::OPERATOR, Want::Whole(fixed::POLICY_FILE))
            .folder(TRUST, Want::Whole(fixed::SIGNERS_FILE))
            // The program that the image calls: whether it has a compiler, and its release.
            .folder(locations::LIBRARY, Want::Whole(boot_program::LIMIT));
        wanted.files.extend(Self::of_boot_programs().files);
        for path in locations::EXTENSIONS {
            wanted = wanted.file(path, Want::Whole(fixed::EXTENSIONS_FILE));
        }
        for path in locations::OS_RELEASE {
            wanted = wanted.file(path, Want::Whole(fixed::OS_RELEASE));
        }
        for name in crate::machine::ROOT_IMAGES {
            wanted = wanted.file(&format!("/{name}"), Want::Place);
        }
        for path in crate::inner::PLACES {
            wanted = wanted.file(path, Want::Place);
        }
        wanted
    }

    /// What the kernel executes, and what that calls to switch.
    pub fn of_boot_programs() -> Self {
        let places = locations::BOOT_PROGRAM_PLACES.into_iter();
        places.fold(Self::default(), |wanted, path| {
            wanted.file(path, Want::Whole(boot_program::LIMIT))
        })
    }

    /// One more file, or something else of one that is wanted already.
    #[must_use]
    pub fn file(mut self, path: &str, want: Want) -> Self {
        self.files.retain(|(other, _)| other != path.as_bytes());
        self.files.push((path.into(), want));
        self
    }

    /// All files of one more folder.
    #[must_use]
    pub fn folder(mut self, path: &str, want: Want) -> Self {
        self.folders.push((path.into(), want));
        self
    }

    /// A digest of every file, too.
    #[must_use]
    pub fn with_digests(mut self) -> Self {
        self.digests = true;
        self
    }

    /// The same, but for files of which only the place is wanted.
    pub(super) fn without_places(&self) -> Self {
        let keep = |wanted: &[(Vec<u8>, Want)]| {
            let contents = wanted.iter().filter(|(_, want)| *want != Want::Place);
            contents.cloned().collect()
        };
        Self {
            files: keep(&self.files),
            folders: keep(&self.folders),
            digests: self.digests,
        }
    }

    /// What is wanted of the file of this name in this directory.
    pub(super) fn at(&self, directory: &[u8], name: &[u8]) -> Option<Want> {
        let folder = self.folders.iter().find(|(path, _)| path == directory);
        folder
            .or_else(|| {
                self.files
                    .iter()
                    .find(|(path, _)| *path == switch_root_core::path::join(directory, name))
            })
            .map(|(_, want)| *want)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = (&[u8], Want)> {
        self.files.iter().map(|(path, want)| (&path[..], *want))
    }

    pub(super) fn folders(&self) -> impl Iterator<Item = (&[u8], Want)> {
        self.folders.iter().map(|(path, want)| (&path[..], *want))
    }
}
