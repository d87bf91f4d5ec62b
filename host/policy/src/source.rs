//! Where the files of policies are: in directories of this machine, or in an image that
//! was never unpacked.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::file::{self, Links};
use switch_root_core::outcome::Message;

use crate::native::NativeFile;

/// A file that was read.
pub struct Contents<B = Vec<u8>> {
    /// All of it.
    pub bytes: B,
    /// The user that owns it.
    pub uid: u32,
    /// Its permission bits.
    pub mode: u32,
}

/// A root directory with files in it. All paths are absolute, and lie below that root.
pub trait Source {
    /// The names in a directory, in any order; `None` where there is none.
    ///
    /// # Errors
    /// A sentence without the path.
    fn names(&self, directory: &Path) -> Result<Option<Vec<OsString>>, Message>;

    /// Reads a regular file of at most `limit` bytes, following links; `None` where there
    /// is none.
    ///
    /// # Errors
    /// A sentence without the path.
    fn read(&self, path: &Path, limit: u64) -> Result<Option<Contents>, Message>;

    /// The same of native code, which is run where it lies.
    ///
    /// # Errors
    /// A sentence without the path.
    fn read_native(
        &self,
        path: &Path,
        limit: u64,
    ) -> Result<Option<Contents<NativeFile>>, Message> {
        let Some(Contents { bytes, uid, mode }) = self.read(path, limit)? else {
            return Ok(None);
        };
        let bytes = NativeFile::copied(&bytes)?;
        Ok(Some(Contents { bytes, uid, mode }))
    }

    /// Whether it is a link to /dev/null, which need not be there yet, or that device.
    fn is_null(&self, path: &Path) -> bool;

    /// Whether it is a regular file without contents.
    fn is_empty(&self, path: &Path) -> bool;

    /// A path for people, escaped.
    fn shown(&self, path: &Path) -> String;
}

/// Whether a folder that is not there is the name of something: of a dangling symbolic link.
///
/// # Errors
/// As of [`Source::names`].
pub fn is_dangling(source: &dyn Source, folder: &Path) -> Result<bool, Message> {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Ok(false);
    };
    let names = source.names(parent)?.unwrap_or_default();
    Ok(names.iter().any(|other| other == name))
}

/// A directory of this machine.
pub struct Disk {
    root: PathBuf,
    /// It is the root of a machine, so that paths are shown as that machine has them.
    is_root: bool,
}

impl Disk {
    /// A root directory. Its files are called as the machine has them that will run there.
    pub fn root(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            is_root: true,
        }
    }

    /// A folder. Its files are called as this machine has them.
    pub fn folder(folder: &Path) -> Self {
        Self {
            root: folder.to_owned(),
            is_root: false,
        }
    }

    fn place(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

impl Source for Disk {
    fn names(&self, directory: &Path) -> Result<Option<Vec<OsString>>, Message> {
        let unreadable = |error: Errno| Message::quoted(io::Error::from(error).to_string());
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match rustix::fs::open(self.place(directory), flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(None),
            // Something above it is no directory, rather than what stands there.
            Err(Errno::NOTDIR) if fs::symlink_metadata(self.place(directory)).is_err() => {
                return Ok(None);
            }
            other => other.map_err(unreadable)?,
        };
        names_in(opened).map(Some).map_err(unreadable)
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Contents>, Message> {
        let read = file::read(&self.place(path), limit, Links::Follow)?;
        Ok(read.map(|(bytes, metadata)| Contents {
            bytes,
            uid: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        }))
    }

    fn read_native(
        &self,
        path: &Path,
        limit: u64,
    ) -> Result<Option<Contents<NativeFile>>, Message> {
        let Some(file) = file::open(&self.place(path), Links::Follow)? else {
            return Ok(None);
        };
        let metadata = file::examine(&file, limit)?;
        Ok(Some(Contents {
            bytes: NativeFile::read(&file, metadata.len() as usize)?,
            uid: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        }))
    }

    fn is_null(&self, path: &Path) -> bool {
        let path = self.place(path);
        fs::read_link(&path).is_ok_and(|target| target.as_os_str() == OsStr::new("/dev/null"))
            || fs::metadata(&path).is_ok_and(|file| {
                file.file_type().is_char_device() && file.rdev() == nix::sys::stat::makedev(1, 3)
            })
    }

    fn is_empty(&self, path: &Path) -> bool {
        fs::metadata(self.place(path)).is_ok_and(|file| file.is_file() && file.len() == 0)
    }

    fn shown(&self, path: &Path) -> String {
        if self.is_root {
            escape::path(path.as_os_str().as_bytes())
        } else {
            escape::path(self.place(path).as_os_str().as_bytes())
        }
    }
}

/// The names in a directory that is opened for reading, without those of itself and of the
/// one above.
///
/// # Errors
/// What the system says.
pub fn names_in(directory: OwnedFd) -> rustix::io::Result<Vec<OsString>> {
    // Not the standard library's, which panics where the directory cannot be closed:
    // process 1 must not.
    let mut names = Vec::new();
    for entry in Dir::new(directory)? {
        let entry = entry?;
        match entry.file_name().to_bytes() {
            b"." | b".." => {}
            name => names.push(OsStr::from_bytes(name).to_owned()),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_a_file_there_is_nothing_and_a_file_is_no_folder() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("etc"), "a file").unwrap();
        let disk = Disk::root(folder.path());
        assert_eq!(disk.names(Path::new("/etc/policies.d")), Ok(None));
        assert!(disk.read(Path::new("/etc/a.json"), 10).unwrap().is_none());
        assert!(disk.names(Path::new("/etc")).is_err());
    }
}
