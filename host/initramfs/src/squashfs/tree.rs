//! What is in a folder, in the order in which it stands in an image.

use std::ffi::OsStr;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, readlinkat, statat};
use switch_root_core::error::{Error, Result};
use switch_root_core::{escape, interrupt};

switch_root_core::outcomes! {
    /// Why no layer is made of what is in a folder.
    pub enum Refused in "layers" {
        /// The system's own words follow.
        "SR-Q05" BySystem { path: String } = "cannot make a layer of {path}",
        /// Another folder was named, perhaps, than that of the extension.
        "SR-Q06" Entries { path: String, most: usize } = "cannot make a layer of {path}: it has more than {most} entries",
        "SR-Q07" Depth { path: String, most: usize } = "cannot make a layer of {path}: it is nested more deeply than {most} directories",
        /// What writes images takes no longer targets.
        "SR-Q08" Target { path: String, length: usize, most: usize } = "cannot make a layer of {path}: the target of this symbolic link has {length} bytes; at most {most} are possible",
        /// Talos refuses extensions that have something else.
        "SR-Q09" Kind { path: String, what: &'static str } = "cannot make a layer of {path}: it is {what}, and a layer has only files, directories and symbolic links; remove it from the extension",
    }
}

/// Files and directories of a layer. Each takes about 600 bytes of memory.
const ENTRIES: usize = 300_000;

/// Directories within each other: the writer of images is recursive.
const DEPTH: usize = 128;

/// The longest target of a link that the writer of images takes, in bytes.
const TARGET: usize = 255;

/// Everything below a directory.
pub struct Tree {
    /// The directory.
    pub root: Arc<OwnedFd>,
    /// Parents before children, and names by their bytes.
    pub entries: Vec<Entry>,
}

/// Something in a directory.
pub struct Entry {
    /// From the directory at the top, relative.
    pub path: PathBuf,
    /// Permissions.
    pub mode: u16,
    /// What it is.
    pub what: What,
}

/// What something in a directory is.
pub enum What {
    Directory,
    /// With its size in bytes.
    File(u64),
    /// With its target.
    Link(PathBuf),
}

/// Reads a directory and all below it. Links are never followed.
pub fn read(top: &Path) -> Result<Tree> {
    let at = |path: &Path| {
        let path = if path.as_os_str().is_empty() {
            top.to_owned()
        } else {
            top.join(path)
        };
        escape::path(path.as_os_str().as_bytes())
    };
    let failed = |path: &Path, error: rustix::io::Errno| {
        let path = at(path);
        Error::system(Refused::BySystem { path }, &io::Error::from(error))
    };
    let too_many = |path: &Path| {
        Error::input(Refused::Entries {
            path: at(path),
            most: ENTRIES,
        })
    };

    let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let nowhere = Path::new("");
    // The top itself may be a link: it is what the caller means.
    let root =
        openat(CWD, top, directory, Mode::empty()).map_err(|error| failed(nowhere, error))?;
    let mut entries: Vec<Entry> = Vec::new();
    // What is still to be looked at, the next one last.
    let mut pending: Vec<PathBuf> = Vec::new();
    let list = |path: &Path, pending: &mut Vec<PathBuf>| {
        let name = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        let folder = openat(&root, name, directory | OFlags::NOFOLLOW, Mode::empty())
            .and_then(Dir::new)
            .map_err(|error| failed(path, error))?;
        let mut names: Vec<CString> = Vec::new();
        for entry in folder {
            let entry = entry.map_err(|error| failed(path, error))?;
            let name: &CStr = entry.file_name();
            if name != c"." && name != c".." {
                names.push(name.to_owned());
            }
            if names.len() + pending.len() > ENTRIES {
                return Err(too_many(path));
            }
        }
        names.sort_unstable();
        let names = names.iter().rev();
        pending.extend(names.map(|name| path.join(OsStr::from_bytes(name.to_bytes()))));
        Ok(())
    };
    list(nowhere, &mut pending)?;
    while let Some(path) = pending.pop() {
        interrupt::check()?;
        if entries.len() == ENTRIES {
            return Err(too_many(nowhere));
        }
        let stat = statat(&root, &path, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| failed(&path, error))?;
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                if path.components().count() > DEPTH {
                    return Err(Error::input(Refused::Depth {
                        path: at(&path),
                        most: DEPTH,
                    }));
                }
                list(&path, &mut pending)?;
                What::Directory
            }
            FileType::RegularFile => What::File(stat.st_size as u64),
            FileType::Symlink => {
                let target =
                    readlinkat(&root, &path, Vec::new()).map_err(|error| failed(&path, error))?;
                let target = target.as_bytes();
                if target.len() > TARGET {
                    return Err(Error::input(Refused::Target {
                        path: at(&path),
                        length: target.len(),
                        most: TARGET,
                    }));
                }
                What::Link(PathBuf::from(OsStr::from_bytes(target)))
            }
            other => {
                let what = match other {
                    FileType::CharacterDevice | FileType::BlockDevice => "a device node",
                    FileType::Fifo => "a pipe",
                    FileType::Socket => "a socket",
                    _ => "of an unknown kind",
                };
                let path = at(&path);
                return Err(Error::input(Refused::Kind { path, what }));
            }
        };
        entries.push(Entry {
            path,
            // Without the type.
            mode: (stat.st_mode & 0o7777) as u16,
            what,
        });
    }
    Ok(Tree {
        root: Arc::new(root),
        entries,
    })
}
