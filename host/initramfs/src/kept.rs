//! The policies of an initramfs with the lists that say whose count, in a folder where
//! they are found as in the initramfs itself.
//!
//! Whoever runs this owns what is written there. What the initramfs says of a file's owner
//! and mode is remembered, since the boot goes by it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use policy::source::{Contents, Disk, Source};
use switch_root_core::error::Attempt;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::locations::{self, TRUST};
use switch_root_core::outcome::Message;
use switch_root_core::output::cannot_write;

use crate::archive::Member;

/// The files. Paths are those of the initramfs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    folder: PathBuf,
    /// User and permissions of each file.
    owners: BTreeMap<PathBuf, (u32, u32)>,
}

impl Kept {
    /// No files yet. The folder is made with the first one.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            owners: BTreeMap::new(),
        }
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.folder.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Writes a member of the archive that policies are found by, and tells whether it is
    /// one. Of links only those that mask are written.
    pub fn take(&mut self, member: &Member, contents: &mut dyn Read) -> Result<bool> {
        if member.is_directory() {
            // An empty trust folder is one, too.
            if member.path() != TRUST.trim_start_matches('/').as_bytes() {
                return Ok(false);
            }
            let folder = self.place(Path::new(TRUST));
            fs::create_dir_all(&folder).map_err(|error| {
                let path = folder.shown();
                Error::system(Attempt::Make { path }, &error)
            })?;
            return Ok(true);
        }
        let Some(path) = policy_path(member.path()) else {
            return Ok(false);
        };
        // The last one of a name counts.
        self.remove(&path)?;
        if member.is_file() {
            self.write(&path, contents, member.uid, member.mode & 0o7777)?;
            return Ok(true);
        }
        let mut link = Vec::new();
        let place = self.place(&path);
        contents
            .take(libc::PATH_MAX as u64)
            .read_to_end(&mut link)
            .and_then(|_| match &link[..] {
                b"/dev/null" => {
                    make_parents(&place)?;
                    std::os::unix::fs::symlink("/dev/null", &place)
                }
                _ => Ok(()),
            })
            .map_err(|error| cannot_write(&place, &error))?;
        Ok(true)
    }

    /// Puts a file of root's there, with this mode, in the place of its predecessor.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn put(&mut self, path: &Path, mut bytes: &[u8], mode: u32) -> Result<()> {
        self.remove(path)?;
        self.write(path, &mut bytes, 0, mode)
    }

    /// Takes a file away, if there is one.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&mut self, path: &Path) -> Result<()> {
        self.owners.remove(path);
        let place = self.place(path);
        match fs::remove_file(&place) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = place.shown();
                Err(Error::system(Attempt::Remove { path }, &error))
            }
            _ => Ok(()),
        }
    }

    fn write(&mut self, path: &Path, contents: &mut dyn Read, uid: u32, mode: u32) -> Result<()> {
        let place = self.place(path);
        make_parents(&place).map_err(|error| cannot_write(&place, &error))?;
        copy(&place, contents)?;
        self.owners.insert(path.to_owned(), (uid, mode));
        Ok(())
    }

    /// Whether there is a file of this name, or a link that masks.
    pub fn has(&self, path: &Path) -> bool {
        self.place(path).symlink_metadata().is_ok()
    }

    fn disk(&self) -> Disk {
        Disk::root(&self.folder)
    }
}

impl Source for Kept {
    fn names(&self, directory: &Path) -> std::result::Result<Option<Vec<OsString>>, Message> {
        self.disk().names(directory)
    }

    fn read(&self, path: &Path, limit: u64) -> std::result::Result<Option<Contents>, Message> {
        let contents = self.disk().read(path, limit)?;
        Ok(contents.map(|contents| match self.owners.get(path) {
            Some(&(uid, mode)) => Contents {
                uid,
                mode,
                ..contents
            },
            None => contents,
        }))
    }

    fn is_null(&self, path: &Path) -> bool {
        self.disk().is_null(path)
    }

    fn is_empty(&self, path: &Path) -> bool {
        self.disk().is_empty(path)
    }

    fn shown(&self, path: &Path) -> String {
        self.disk().shown(path)
    }
}

/// The path of a file in a folder of policies, or of those whose signatures count.
fn policy_path(path: &[u8]) -> Option<PathBuf> {
    [locations::VENDOR, locations::OPERATOR, TRUST]
        .into_iter()
        .find_map(|folder| {
            let inside = folder.trim_start_matches('/').as_bytes();
            let name = path.strip_prefix(inside)?.strip_prefix(b"/")?;
            let plain = !name.is_empty() && !name.contains(&b'/') && !matches!(name, b"." | b"..");
            plain.then(|| Path::new(folder).join(OsStr::from_bytes(name)))
        })
}

fn make_parents(place: &Path) -> io::Result<()> {
    place.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Copies something to a new file.
///
/// # Errors
/// It cannot be read or written.
pub fn copy(target: &Path, contents: &mut dyn Read) -> Result<()> {
    File::create(target)
        .and_then(|mut file| {
            io::copy(contents, &mut file)?;
            file.flush()
        })
        .map_err(|error| {
            let path = target.shown();
            Error::of_copy(Attempt::Write { path }, &error)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_right_in_a_folder_of_policies_are_policies() {
        let path = |path: &str| policy_path(path.as_bytes());
        let file = "etc/switch-root/policies.d/50-a.wasm";
        assert_eq!(path(file), Some(Path::new("/").join(file)));
        assert_eq!(path("etc/switch-root/policies.d/a/b"), None);
        assert_eq!(path("etc/switch-root/policies.d/.."), None);
        assert_eq!(path("etc/switch-root/policies.d"), None);
        assert_eq!(path("etc/switch-root/policies.dx/a"), None);
    }

    #[test]
    fn owner_and_mode_are_those_of_the_initramfs() {
        let folder = tempfile::tempdir().unwrap();
        let mut kept = Kept::new(&folder.path().join("root"));
        let mut member = Member {
            name: b"etc/switch-root/policies.d/50-a.cwasm".to_vec(),
            mode: libc::S_IFREG | 0o664,
            uid: 1000,
            nlink: 1,
            ..Member::default()
        };
        let path = Path::new("/etc/switch-root/policies.d/50-a.cwasm");
        let of = |kept: &Kept| {
            let contents = kept.read(path, 100).unwrap().unwrap();
            (contents.bytes, contents.uid, contents.mode)
        };
        assert!(kept.take(&member, &mut &b"one"[..]).unwrap());
        assert_eq!(of(&kept), (b"one".to_vec(), 1000, 0o664));
        (member.mode, member.uid) = (libc::S_IFREG | 0o600, 0);
        assert!(kept.take(&member, &mut &b"two"[..]).unwrap());
        assert_eq!(of(&kept), (b"two".to_vec(), 0, 0o600));
        kept.put(path, b"three", 0o644).unwrap();
        assert_eq!(of(&kept), (b"three".to_vec(), 0, 0o644));
        kept.remove(path).unwrap();
        assert!(!kept.has(path) && kept.read(path, 100).unwrap().is_none());
    }
}
