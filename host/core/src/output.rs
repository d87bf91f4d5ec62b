//! Writing a file so that it is there whole or not at all.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::escape;
use tempfile::{NamedTempFile, TempDir};

use crate::error::{Attempt, Error, Result};

crate::outcomes! {
    /// Why a file is not written.
    pub enum NotWritten in "system" {
        /// What is to be made is a file: name one.
        "SR-U24" Unnamed { path: String } = "cannot write {path}: it names no file",
        "SR-U25" NotRegular { path: String, what: &'static str } = "cannot write {path}: it is {what}, and only regular files are replaced; name a file",
        /// Links that lead to each other, or too many of them.
        "SR-U26" Links { path: String } = "cannot write {path}: its symbolic links lead nowhere",
    }
}

/// Links that are followed to where a target is, as many as the kernel follows.
const LINKS: usize = 40;

/// A file that takes its place when it is finished. It is written beside its
/// target, and is gone if it is dropped before [`commit`](Self::commit).
pub struct AtomicFile {
    file: NamedTempFile,
    target: PathBuf,
}

impl AtomicFile {
    /// Begins a file that will stand at `target`. It gets the mode of what is
    /// there; where nothing is, 0644 less the umask. Where `target` is a symbolic
    /// link, what it leads to is replaced, and the link stays.
    ///
    /// # Errors
    /// `target` is something else than a regular file, or its directory cannot be
    /// written to.
    pub fn create(target: &Path) -> Result<Self> {
        let (target, before) = destination(target)?;
        let fail = |error: &io::Error| cannot_write(&target, error);
        let name = target.file_name().ok_or_else(|| {
            let path = shown(&target);
            Error::input(NotWritten::Unnamed { path })
        })?;
        let mut prefix = std::ffi::OsString::from(".");
        // So that the whole name stays below the limit of file systems.
        prefix.push(std::ffi::OsStr::from_bytes(
            &name.as_bytes()[..name.len().min(200)],
        ));
        prefix.push(".");
        let file = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".partial")
            .permissions(Permissions::from_mode(0o644))
            .tempfile_in(directory(&target))
            .map_err(|error| fail(&error))?;
        let this = Self { file, target };
        if let Some(before) = before {
            this.look_like(&before)?;
        }
        Ok(this)
    }

    /// Gives the file the mode of another one, and its owner where that may be: a
    /// file that only its owner could read stays so.
    ///
    /// # Errors
    /// The mode cannot be set.
    pub fn look_like(&self, other: &Metadata) -> Result<()> {
        // Only root may give a file away.
        let _ = std::os::unix::fs::fchown(self.as_file(), Some(other.uid()), Some(other.gid()));
        self.as_file()
            .set_permissions(Permissions::from_mode(other.mode() & 0o777))
            .map_err(|error| cannot_write(&self.target, &error))
    }

    /// What is being written, for those that need a file.
    pub fn as_file(&self) -> &File {
        self.file.as_file()
    }

    /// A folder in the same directory, for what is needed to write the file. It is
    /// gone when it is dropped.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn folder_beside(&self) -> Result<TempDir> {
        tempfile::Builder::new()
            .prefix(".")
            .suffix(".partial")
            .tempdir_in(directory(&self.target))
            .map_err(|error| cannot_write(&self.target, &error))
    }

    /// Puts the file into its place, once it is on the disk.
    ///
    /// # Errors
    /// It cannot be written out or renamed. It is gone then, and what was at the
    /// target is as it was.
    pub fn commit(self) -> Result<()> {
        let Self { file, target } = self;
        file.as_file()
            .sync_all()
            .map_err(|error| cannot_write(&target, &error))?;
        file.persist(&target)
            .map_err(|error| cannot_write(&target, &error.error))?;
        // The file is whole, whether or not its name survives a power cut: a
        // directory that cannot be synced (some network file systems) is no
        // failure.
        let _ = File::open(directory(&target)).and_then(|directory| directory.sync_all());
        Ok(())
    }

    fn named(&self, error: io::Error) -> io::Error {
        match error.kind() {
            ErrorKind::Interrupted => error,
            _ => cannot_write(&self.target, &error).into(),
        }
    }
}

/// Errors name the target.
impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.as_file().write(bytes);
        written.map_err(|error| self.named(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        let position = self.as_file().seek(position);
        position.map_err(|error| self.named(error))
    }
}

/// That a file cannot be written, with what to do where that is known.
pub fn cannot_write(path: &Path, error: &io::Error) -> Error {
    let advice = match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "; free some space there, or name another place"
        }
        ErrorKind::FileTooLarge => {
            "; raise the limit of file sizes (ulimit -f), or name a place on another file system"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "; name a place that you may write to"
        }
        _ => "",
    };
    let path = shown(path);
    Error::system(Attempt::Write { path }, error).advised(advice)
}

fn shown(path: &Path) -> String {
    escape::path(path.as_os_str().as_bytes())
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Where a path leads to, and the mode of the file that is there.
fn destination(target: &Path) -> Result<(PathBuf, Option<Metadata>)> {
    let mut path = target.to_owned();
    for _ in 0..LINKS {
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok((path, None)),
            Err(error) => return Err(cannot_write(&path, &error)),
        };
        if metadata.is_file() {
            return Ok((path, Some(metadata)));
        }
        if !metadata.is_symlink() {
            let what = if metadata.is_dir() {
                "a directory"
            } else {
                "a device, pipe or socket"
            };
            let path = shown(&path);
            return Err(Error::input(NotWritten::NotRegular { path, what }));
        }
        let link = fs::read_link(&path).map_err(|error| cannot_write(&path, &error))?;
        path = directory(&path).join(link);
    }
    let path = shown(target);
    Err(Error::input(NotWritten::Links { path }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use crate::escape::Shown;

    use super::*;

    fn listing(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn write(target: &Path, text: &str) -> Result<()> {
        let mut file = AtomicFile::create(target)?;
        file.write_all(text.as_bytes()).unwrap();
        file.commit()
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"new").unwrap();
        assert!(!target.exists());
        drop(file);
        assert_eq!(listing(folder.path()), Vec::<String>::new());

        write(&target, "old").unwrap();
        let mut file = AtomicFile::create(&target).unwrap();
        file.write_all(b"half").unwrap();
        drop(file);
        assert_eq!(fs::read(&target).unwrap(), b"old");
        write(&target, "new").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"new");
        assert_eq!(listing(folder.path()), ["a"]);
    }

    #[test]
    fn the_mode_of_what_was_there_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a");
        write(&target, "1").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode(&target) & !0o644, 0);
        fs::set_permissions(&target, Permissions::from_mode(0o606)).unwrap();
        write(&target, "2").unwrap();
        assert_eq!(mode(&target), 0o606);
    }

    #[test]
    fn a_link_stays_and_what_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("sub")).unwrap();
        symlink("sub/b", path("a")).unwrap();
        symlink("c", path("sub/b")).unwrap();
        write(&path("a"), "new").unwrap();
        assert_eq!(fs::read(path("sub/c")).unwrap(), b"new");
        assert!(path("a").is_symlink() && path("sub/b").is_symlink());
        symlink("loop", path("loop")).unwrap();
        let error = write(&path("loop"), "").unwrap_err().to_string();
        assert!(error.contains("lead nowhere"), "{error}");
    }

    #[test]
    fn only_regular_files_are_replaced() {
        let folder = tempfile::tempdir().unwrap();
        for (target, expected) in [
            (folder.path().to_owned(), "it is a directory"),
            ("/dev/null".into(), "it is a device"),
            (folder.path().join("no/a"), "No such file"),
        ] {
            let error = write(&target, "").unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("cannot write {}", target.shown())),
                "{error}"
            );
            assert!(error.contains(expected), "{error}");
        }
        assert_eq!(listing(folder.path()), Vec::<String>::new());
    }
}
