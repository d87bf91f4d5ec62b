//! The files of a root directory that need not be this machine's: links in it lead to
//! where they would there, and never out of it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use policy::source::{Contents, Source, names_in};
use rustix::fs::{self, FileType, Mode, OFlags, Stat, StatVfs};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::file::{self, Unreadable};
use switch_root_core::outcome::Message;
use switch_root_core::resolve::in_root;

/// A root directory.
pub struct Rooted {
    directory: OwnedFd,
}

impl Rooted {
    /// Opens a root directory.
    ///
    /// # Errors
    /// It is not there, or no directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::open(path, flags, Mode::empty())?;
        Ok(Self { directory })
    }

    /// Whether it is the root directory of this process.
    pub fn is_this_one(&self) -> bool {
        let here = (fs::stat("/"), fs::fstat(&self.directory));
        matches!(here, (Ok(own), Ok(this)) if (own.st_dev, own.st_ino) == (this.st_dev, this.st_ino))
    }

    /// Opens a path as a process would whose root directory this is.
    pub fn at(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        in_root(&self.directory, path, flags)
    }

    /// Whether there is something of this name, if only a dangling symbolic link.
    pub fn exists(&self, path: &Path) -> bool {
        self.at(path, OFlags::PATH | OFlags::NOFOLLOW).is_ok()
    }

    /// What is at a path, links followed.
    pub fn stat(&self, path: impl AsRef<Path>) -> Option<Stat> {
        let place = self.at(path.as_ref(), OFlags::PATH).ok()?;
        fs::fstat(place).ok()
    }

    /// Whether there is a regular file at a path, links followed.
    pub fn is_file(&self, path: impl AsRef<Path>) -> bool {
        self.is(path, FileType::RegularFile)
    }

    /// Whether there is a directory at a path, links followed.
    pub fn is_directory(&self, path: impl AsRef<Path>) -> bool {
        self.is(path, FileType::Directory)
    }

    fn is(&self, path: impl AsRef<Path>, kind: FileType) -> bool {
        let stat = self.stat(path);
        stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == kind)
    }

    /// The path that a path leads to, links followed, as that root has it; none where
    /// /proc does not tell.
    pub fn real(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        let name = |fd: &OwnedFd| {
            let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
            std::fs::read_link(link).ok()
        };
        let place = name(&self.at(path.as_ref(), OFlags::PATH).ok()?)?;
        let below = place.strip_prefix(name(&self.directory)?).ok()?.to_owned();
        Some(Path::new("/").join(below))
    }

    /// How full the file system of a directory is.
    pub fn space(&self, path: &str) -> Option<StatVfs> {
        let place = self.at(Path::new(path), OFlags::RDONLY).ok()?;
        fs::fstatvfs(place).ok()
    }

    /// Reads a regular file; `None` where there is none.
    ///
    /// # Errors
    /// A sentence without the path.
    pub fn bytes(&self, path: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>, Message> {
        Ok(self.read(path.as_ref(), limit)?.map(|it| it.bytes))
    }

    /// The same as text, what is not UTF-8 replaced.
    ///
    /// # Errors
    /// See [`bytes`](Self::bytes).
    pub fn text(&self, path: impl AsRef<Path>, limit: u64) -> Result<Option<String>, Message> {
        let bytes = self.bytes(path, limit)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The paths in a directory, sorted; none where there is no such directory, or it cannot
    /// be read.
    pub fn listing(&self, path: &str) -> Vec<PathBuf> {
        let path = Path::new(path);
        let names = self.names(path).ok().flatten().into_iter().flatten();
        let mut paths: Vec<PathBuf> = names.map(|name| path.join(name)).collect();
        paths.sort();
        paths
    }
}

impl Source for Rooted {
    fn names(&self, directory: &Path) -> Result<Option<Vec<OsString>>, Message> {
        let unreadable = |error: Errno| Message::quoted(io::Error::from(error).to_string());
        let opened = match self.at(directory, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => return Ok(None),
            // Something above it is no directory, rather than what stands there.
            Err(Errno::NOTDIR) if !self.exists(directory) => return Ok(None),
            other => other.map_err(unreadable)?,
        };
        names_in(opened).map(Some).map_err(unreadable)
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Contents>, Message> {
        // A FIFO without a writer would be waited for.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let opened = match self.at(path, flags) {
            Ok(opened) => opened,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(Errno::NXIO) => Err(Unreadable::NotRegular)?,
            Err(error) => {
                let error = error.into();
                Err(Unreadable::Opening { error })?
            }
        };
        let (bytes, metadata) = file::contents(File::from(opened), limit)?;
        Ok(Some(Contents {
            bytes,
            uid: metadata.uid(),
            mode: metadata.mode() & 0o7777,
        }))
    }

    fn is_null(&self, path: &Path) -> bool {
        let link = self.at(path, OFlags::PATH | OFlags::NOFOLLOW);
        if link
            .and_then(|link| fs::readlinkat(link, c"", Vec::new()))
            .is_ok_and(|target| target.as_bytes() == b"/dev/null")
        {
            return true;
        }
        let found = self.at(path, OFlags::PATH).and_then(fs::fstat);
        found.is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
                && stat.st_rdev == fs::makedev(1, 3)
        })
    }

    fn is_empty(&self, path: &Path) -> bool {
        let found = self.at(path, OFlags::PATH).and_then(fs::fstat);
        found.is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size == 0
        })
    }

    fn shown(&self, path: &Path) -> String {
        escape::path(path.as_os_str().as_encoded_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Rooted) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("etc/d")).unwrap();
        std::fs::write(folder.path().join("etc/d/a"), "inside").unwrap();
        let root = Rooted::open(folder.path()).unwrap();
        (folder, root)
    }

    fn text(root: &Rooted, path: &str) -> Option<String> {
        let contents = root.read(Path::new(path), 100).unwrap()?;
        Some(String::from_utf8(contents.bytes).unwrap())
    }

    #[test]
    fn links_lead_to_where_they_would_in_that_root() {
        let (folder, root) = tree();
        for (name, target) in [
            ("absolute", "/etc/d/a"),
            ("relative", "etc/d/a"),
            ("above", "../../../../../etc/d/a"),
            ("outside", "/proc/self/status"),
            ("null", "/dev/null"),
        ] {
            symlink(target, folder.path().join(name)).unwrap();
        }
        symlink("/etc/d", folder.path().join("folder")).unwrap();
        for name in ["/absolute", "/relative", "/above", "/folder/a"] {
            assert_eq!(text(&root, name).as_deref(), Some("inside"), "{name}");
        }
        assert_eq!(text(&root, "/outside"), None);
        assert_eq!(root.text("/etc/none", 100), Ok(None));
        let refused = root.text("/etc", 100).unwrap_err();
        assert!(refused.text.contains("regular file"), "{refused}");
        assert!(root.exists(Path::new("/outside")));
        assert!(root.is_null(Path::new("/null")));
        assert!(!root.is_null(Path::new("/absolute")));
        assert_eq!(root.names(Path::new("/folder")).unwrap().unwrap(), ["a"]);
    }

    #[test]
    fn below_a_file_there_is_nothing_and_a_file_is_no_folder() {
        let (_folder, root) = tree();
        assert_eq!(root.names(Path::new("/etc/d/a/b")), Ok(None));
        assert!(root.read(Path::new("/etc/d/a/b"), 10).unwrap().is_none());
        assert!(root.names(Path::new("/etc/d/a")).is_err());
        assert!(root.read(Path::new("/etc/d/a"), 3).is_err());
    }
}
