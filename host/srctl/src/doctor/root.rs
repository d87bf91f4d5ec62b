//! The files of a machine, below its root directory: links lead where they would lead
//! there, and never out of it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use policy::escape;
use policy::file;
use policy::source::{Contents, Source};
use policy::trust::TRUST;
use rustix::fs::{self, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, StatVfs};
use rustix::io::Errno;

/// Where a machine keeps what its images have in the trust folder.
pub const MACHINE_TRUST: &str = "/etc/switch-root/trust";

/// A device /dev/null.
const NULL: (u32, u32) = (1, 3);

/// A root directory.
pub struct Root {
    directory: OwnedFd,
}

impl Root {
    /// Opens it.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { directory })
    }

    fn at(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = match relative.as_os_str().is_empty() {
            true => Path::new("."),
            false => relative,
        };
        fs::openat2(
            &self.directory,
            relative,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            ResolveFlags::IN_ROOT,
        )
    }

    /// What is at a path, links followed.
    pub fn stat(&self, path: impl AsRef<Path>) -> Option<Stat> {
        let place = self.at(path.as_ref(), OFlags::PATH).ok()?;
        fs::fstat(place).ok()
    }

    /// Whether there is a regular file at a path, links followed.
    pub fn is_file(&self, path: impl AsRef<Path>) -> bool {
        let stat = self.stat(path);
        stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
    }

    /// Whether there is a directory at a path, links followed.
    pub fn is_directory(&self, path: impl AsRef<Path>) -> bool {
        let stat = self.stat(path);
        stat.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    /// The path that a path leads to, links followed, as the machine has it; none where
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
    pub fn bytes(&self, path: impl AsRef<Path>, limit: u64) -> Result<Option<Vec<u8>>, String> {
        Ok(self.contents(path.as_ref(), limit)?.map(|it| it.bytes))
    }

    /// The same as text, what is not UTF-8 replaced.
    ///
    /// # Errors
    /// See [`bytes`](Self::bytes).
    pub fn text(&self, path: impl AsRef<Path>, limit: u64) -> Result<Option<String>, String> {
        let bytes = self.bytes(path, limit)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn contents(&self, path: &Path, limit: u64) -> Result<Option<Contents>, String> {
        // A FIFO must not block who opens it.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = match self.at(path, flags) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            Err(error) => {
                let error = io::Error::from(error);
                return Err(format!("cannot be opened: {error}"));
            }
        };
        let stat = fs::fstat(&file).map_err(|error| {
            let error = io::Error::from(error);
            format!("cannot be examined: {error}")
        })?;
        Ok(Some(Contents {
            bytes: file::read_open(file, limit)?,
            uid: stat.st_uid,
            mode: stat.st_mode & 0o7777,
        }))
    }

    /// The names in a directory, sorted; none where there is no such directory, or it cannot
    /// be read.
    pub fn listing(&self, path: &str) -> Vec<PathBuf> {
        let names = self.list(Path::new(path)).ok().flatten();
        let mut paths: Vec<PathBuf> = names
            .into_iter()
            .flatten()
            .map(|name| Path::new(path).join(name))
            .collect();
        paths.sort();
        paths
    }

    fn list(&self, directory: &Path) -> Result<Option<Vec<OsString>>, String> {
        let unreadable = |error: Errno| io::Error::from(error).to_string();
        let opened = match self.at(directory, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT) => return Ok(None),
            // Something above it is no directory, rather than what stands there.
            Err(Errno::NOTDIR) if self.stat(directory).is_none() => return Ok(None),
            other => other.map_err(unreadable)?,
        };
        let mut names = Vec::new();
        for entry in Dir::new(opened).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            match entry.file_name().to_bytes() {
                b"." | b".." => {}
                name => names.push(OsString::from_vec(name.to_vec())),
            }
        }
        Ok(Some(names))
    }

    /// Where a link at a path leads, as it is written.
    fn link(&self, path: &Path) -> Option<Vec<u8>> {
        let place = self.at(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        let target = fs::readlinkat(place, "", Vec::new()).ok()?;
        Some(target.into_bytes())
    }

    /// The lists of signers become the image's.
    fn of_machine(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(TRUST) {
            Ok(rest) if self.is_directory(MACHINE_TRUST) => Path::new(MACHINE_TRUST).join(rest),
            _ => path.to_owned(),
        }
    }
}

/// The files as the image gets them.
impl Source for Root {
    fn names(&self, directory: &Path) -> Result<Option<Vec<OsString>>, String> {
        self.list(&self.of_machine(directory))
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Contents>, String> {
        self.contents(&self.of_machine(path), limit)
    }

    fn is_null(&self, path: &Path) -> bool {
        let path = self.of_machine(path);
        self.link(&path)
            .is_some_and(|target| OsStr::from_bytes(&target) == OsStr::new("/dev/null"))
            || self.stat(&path).is_some_and(|stat| {
                let device = (fs::major(stat.st_rdev), fs::minor(stat.st_rdev));
                FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && device == NULL
            })
    }

    fn is_empty(&self, path: &Path) -> bool {
        let path = self.of_machine(path);
        self.stat(path).is_some_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && stat.st_size == 0
        })
    }

    fn shown(&self, path: &Path) -> String {
        escape::path(self.of_machine(path).as_os_str().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_where_they_would_lead_on_the_machine() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("etc/switch-root/trust")).unwrap();
        std::fs::write(path("etc/passwd"), "its own").unwrap();
        symlink("/etc/passwd", path("absolute")).unwrap();
        symlink("../../../etc/passwd", path("etc/above")).unwrap();
        symlink("/dev/null", path("masked")).unwrap();
        std::fs::write(path("etc/switch-root/trust/a.signers"), "").unwrap();
        let root = Root::open(folder.path()).unwrap();
        for name in ["/etc/passwd", "/absolute", "/etc/above"] {
            let text = root.text(name, 100).unwrap();
            assert_eq!(text.as_deref(), Some("its own"), "{name}");
        }
        assert_eq!(root.text("/etc/shadow", 100), Ok(None));
        assert!(root.text("/etc", 100).unwrap_err().contains("regular file"));
        assert!(root.is_null(Path::new("/masked")));
        assert!(!root.is_null(Path::new("/absolute")));
        let names = root.names(Path::new(TRUST)).unwrap().unwrap();
        assert_eq!(names, ["a.signers"]);
        assert!(root.is_empty(&Path::new(TRUST).join("a.signers")));
        assert_eq!(
            root.shown(&Path::new(TRUST).join("a.signers")),
            "/etc/switch-root/trust/a.signers"
        );
    }
}
