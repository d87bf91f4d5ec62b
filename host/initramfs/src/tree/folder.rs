//! Reading a tree out of a folder: as if the folder were packed into an image, and
//! that one unpacked by the kernel.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, CWD, Dir, Mode, OFlags, Stat};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::file_kind::FileKind;
use switch_root_core::resolve::{self, Within};
use switch_root_core::{interrupt, path};

use super::budget::{Budget, Exceeded};
use super::store::{Keeper, Kept, Stored};
use super::unpack::Unpacker;
use super::volume::PLACE;
use super::{Limits, Tree, Want, Wanted};
use crate::archive::Member;

switch_root_core::outcomes! {
    /// Why a folder is not read as if an image were made of it.
    pub enum NotRead in "images" {
        /// Another folder was named, perhaps, than that of the image.
        "SR-G36" Exceeded { folder: String, reason: Exceeded } = "cannot read {folder}: {reason}",
        /// The system's own words follow.
        "SR-G39" Refused { path: String, folder: String } = "cannot read {path} in {folder}",
    }
}

const DIRECTORY: OFlags = OFlags::DIRECTORY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A FIFO must not block who opens it.
const FILE: OFlags = OFlags::NOFOLLOW
    .union(OFlags::CLOEXEC)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY);

/// A folder, and what may still be read of it.
struct Walk<'a> {
    folder: &'a Path,
    root: OwnedFd,
    budget: Budget,
    /// The numbers that files of several names have in the image.
    numbers: HashMap<(u64, u64), u32>,
}

impl Tree {
    /// Reads a folder. No link is followed.
    ///
    /// # Errors
    /// It cannot be read, or a limit is exceeded, and is named with the option that
    /// raises it.
    pub fn of_folder(folder: &Path, limits: &Limits) -> Result<Self> {
        Self::of_folder_wanted(folder, limits, &Wanted::of_plan())
    }

    /// The same, with other contents.
    ///
    /// # Errors
    /// See there.
    pub fn of_folder_wanted(folder: &Path, limits: &Limits, wanted: &Wanted) -> Result<Self> {
        // The folder itself may be given by a link.
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        let root = fs::openat(CWD, folder, flags, Mode::empty())
            .map_err(|error| failed(folder, b"/", error.into()))?;
        let mut walk = Walk {
            folder,
            root,
            budget: Budget::new(limits),
            numbers: HashMap::new(),
        };
        let mut tree = Self::of_kernel();
        let now = wanted.without_places();
        let mut unpacker = Unpacker::new(&mut tree, Keeper::new(&now));
        let stat = fs::fstat(&walk.root).map_err(|error| failed(folder, b"/", error.into()))?;
        unpacker.member(PLACE, &walk.member(b"/.", &stat)?, &mut io::empty())?;
        let mut todo = vec![b"/".to_vec()];
        while let Some(directory) = todo.pop() {
            walk.directory(&directory, &mut todo, &mut unpacker)?;
        }
        let mut keeper = Keeper::new(wanted);
        for (id, path, want) in tree.missing(wanted) {
            let mut file = walk.open(&path)?;
            let kept = match want {
                Want::Place => Kept {
                    stored: Some(Stored::File(file)),
                    digest: None,
                },
                _ => {
                    let size = tree.node(id).size;
                    let mut contents = Read::by_ref(&mut file).take(size);
                    keeper.read(Some(want), &path, size, None, &mut contents)?
                }
            };
            tree.keep(id, kept);
        }
        Ok(tree)
    }
}

impl Walk<'_> {
    fn directory(
        &mut self,
        path: &[u8],
        todo: &mut Vec<Vec<u8>>,
        unpacker: &mut Unpacker<'_, '_>,
    ) -> Result<()> {
        let folder = self.folder;
        let failed = |path: &[u8], error: rustix::io::Errno| failed(folder, path, error.into());
        let fd = resolve::open(Within::Tree, &self.root, relative(path), DIRECTORY)
            .map_err(|error| failed(path, error))?;
        for child in Dir::read_from(&fd).map_err(|error| failed(path, error))? {
            interrupt::check()?;
            let child = child.map_err(|error| failed(path, error))?;
            let name = child.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let inside = path::join(path, name.to_bytes());
            let stat = match fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                // Gone since it was read.
                Err(rustix::io::Errno::NOENT) => continue,
                Err(error) => return Err(failed(&inside, error)),
            };
            let mut member = self.member(&inside, &stat)?;
            match FileKind::of_mode(stat.st_mode) {
                Some(FileKind::Directory) => {
                    unpacker.member(PLACE, &member, &mut io::empty())?;
                    todo.push(inside);
                }
                Some(FileKind::Regular) => {
                    let mut contents = self.open(&inside)?.take(member.size.into());
                    unpacker.member(PLACE, &member, &mut contents)?;
                }
                Some(FileKind::Symlink) => {
                    let target = fs::readlinkat(&fd, name, Vec::new())
                        .map_err(|error| failed(&inside, error))?
                        .into_bytes();
                    // At most PATH_MAX.
                    member.size = target.len() as u32;
                    unpacker.member(PLACE, &member, &mut &target[..])?;
                }
                _ => unpacker.member(PLACE, &member, &mut io::empty())?,
            }
        }
        Ok(())
    }

    /// What an image would say of a file.
    fn member(&mut self, path: &[u8], stat: &Stat) -> Result<Member> {
        let regular = FileKind::of_mode(stat.st_mode) == Some(FileKind::Regular);
        let size = if regular { stat.st_size as u64 } else { 0 };
        let size = self.budget.take(path, size).map_err(|reason| {
            let folder = self.folder.shown();
            Error::input(NotRead::Exceeded { folder, reason })
        })?;
        // Those of one name need no number.
        let number = self.numbers.len() as u32 + 1;
        let several =
            stat.st_nlink > 1 && FileKind::of_mode(stat.st_mode) != Some(FileKind::Directory);
        let ino = match several {
            true => *self
                .numbers
                .entry((stat.st_dev, stat.st_ino))
                .or_insert(number),
            false => 0,
        };
        Ok(Member {
            name: relative(path).to_vec(),
            ino,
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            nlink: if several { 2 } else { 1 },
            size,
            rdev: (fs::major(stat.st_rdev), fs::minor(stat.st_rdev)),
            ..Member::default()
        })
    }

    fn open(&self, path: &[u8]) -> Result<File> {
        resolve::open(Within::Tree, &self.root, relative(path), FILE)
            .map(File::from)
            .map_err(|error| failed(self.folder, path, error.into()))
    }
}

fn relative(path: &[u8]) -> &[u8] {
    match path.strip_prefix(b"/") {
        Some(b"") | None => b".",
        Some(relative) => relative,
    }
}

fn failed(folder: &Path, path: &[u8], error: io::Error) -> Error {
    let attempt = NotRead::Refused {
        path: escape::path(path),
        folder: folder.shown(),
    };
    Error::system(attempt, &error)
}
