//! The folders of an initramfs that policies and signers are in, written apart and put
//! into their places together.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use policy::source::{Contents, Disk, Source};
use policy::trust::compiled::{self, Compiled};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use switch_root_core::error::{Error, Result};
use switch_root_core::locations::{COMPILED, OPERATOR, TRUST, VENDOR};
use switch_root_core::outcome::Message;
use switch_root_core::output::cannot_write;
use tempfile::TempDir;

use crate::as_initramfs::Signers;
use crate::rooted::Rooted;

switch_root_core::outcomes! {
    /// Why folders are not put into their places.
    pub(crate) enum NotPlaced in "srctl" {
        /// The image is as it was. The system's own words follow.
        "SR-H44" Nothing = "nothing was staged",
        "SR-H45" Folder { folder: &'static str } = "cannot put {folder} into the image",
    }
}

/// The folders that are replaced as a whole.
const FOLDERS: [&str; 3] = [VENDOR, OPERATOR, TRUST];

/// The mode of files that everybody may read.
const READABLE: u32 = 0o644;

/// A file to be written.
pub struct Piece {
    /// Its path in the image.
    pub path: PathBuf,
    /// What it is.
    pub what: What,
}

/// What is written.
pub enum What {
    /// A file.
    Bytes(Vec<u8>),
    /// A link to /dev/null.
    Null,
}

impl Piece {
    /// A file.
    pub fn bytes(path: &Path, bytes: Vec<u8>) -> Self {
        Self {
            path: path.to_owned(),
            what: What::Bytes(bytes),
        }
    }

    /// What is in it.
    pub fn contents(&self) -> &[u8] {
        match &self.what {
            What::Bytes(bytes) => bytes,
            What::Null => &[],
        }
    }
}

/// The folders, in a folder of their own within the image's root. It is gone when it is
/// dropped, with what stood in their places.
pub struct Folders {
    work: TempDir,
}

/// A folder that was put into its place.
struct Placed {
    parent: OwnedFd,
    name: OsString,
    number: usize,
    before: bool,
    after: bool,
}

impl Folders {
    /// Writes all files: root's where this is root, with the mode 0644 and the same time in
    /// every run. Where signatures are demanded, `compiled` becomes the list of the native
    /// code that needs none, which is root's alone.
    ///
    /// # Errors
    /// One cannot be written.
    pub fn write(
        image: &Path,
        pieces: &[&Piece],
        signers: &Signers,
        compiled: &Compiled,
    ) -> Result<Self> {
        let work = tempfile::Builder::new()
            .prefix(".switch-root.")
            .suffix(".partial")
            .tempdir_in(image)
            .map_err(|error| cannot_write(image, &error))?;
        let folders = Self { work };
        for piece in pieces {
            folders.put(&piece.path, &piece.what, READABLE)?;
        }
        if let Some(signers) = signers {
            folders.make(Path::new(TRUST))?;
            for (name, list) in signers {
                let path = Path::new(TRUST).join(name);
                folders.put(&path, &What::Bytes(list.clone()), READABLE)?;
            }
            if !compiled.is_empty() {
                let list = What::Bytes(compiled.to_bytes());
                folders.put(Path::new(COMPILED), &list, compiled::MODE)?;
            }
        }
        for folder in FOLDERS {
            let path = folders.new_place(Path::new(folder));
            if path.is_dir() {
                finish(&path)?;
            }
        }
        Ok(folders)
    }

    /// The folders as a boot finds them in the image.
    pub fn as_boot_sees_them(&self) -> impl Source + use<> {
        OwnedByRoot(Disk::root(&self.work.path().join("new")))
    }

    fn new_place(&self, path: &Path) -> PathBuf {
        let new = self.work.path().join("new");
        new.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn make(&self, folder: &Path) -> Result<()> {
        let path = self.new_place(folder);
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o755).create(&path);
        made.and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755)))
            .map_err(|error| cannot_write(folder, &error))
    }

    fn put(&self, path: &Path, what: &What, mode: u32) -> Result<()> {
        if let Some(folder) = path.parent() {
            self.make(folder)?;
        }
        let place = self.new_place(path);
        let written = match what {
            What::Null => symlink("/dev/null", &place),
            What::Bytes(bytes) => File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&place)
                .and_then(|mut file| {
                    file.write_all(bytes)?;
                    file.set_permissions(Permissions::from_mode(mode))
                }),
        };
        written.map_err(|error| cannot_write(path, &error))?;
        finish(&place)
    }

    /// Puts the folders into their places, and takes away those of which nothing is left.
    ///
    /// # Errors
    /// One cannot be put there; the image is as it was then.
    pub fn commit(self, image: &Rooted) -> Result<()> {
        let mut placed: Vec<Placed> = Vec::new();
        for (number, folder) in FOLDERS.into_iter().enumerate() {
            match self.place(image, number, Path::new(folder)) {
                Ok(one) => placed.extend(one),
                Err(error) => {
                    for one in placed.iter().rev() {
                        self.take_back(one);
                    }
                    let error = Error::system(NotPlaced::Folder { folder }, &error.into());
                    return Err(error.within(NotPlaced::Nothing));
                }
            }
        }
        Ok(())
    }

    /// Puts one folder into its place. What is there is kept until all are in theirs.
    fn place(
        &self,
        image: &Rooted,
        number: usize,
        folder: &Path,
    ) -> rustix::io::Result<Option<Placed>> {
        use rustix::fs::{CWD, renameat};
        let new = self.new_place(folder);
        let after = new.is_dir();
        let (Some(above), Some(name)) = (folder.parent(), folder.file_name()) else {
            return Err(Errno::INVAL);
        };
        let parent = match after {
            true => make_parents(image, above)?,
            false => match image.at(above, OFlags::PATH | OFlags::DIRECTORY) {
                Ok(parent) => parent,
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        let before = match renameat(&parent, name, CWD, self.old_place(number)) {
            Ok(()) => true,
            Err(Errno::NOENT) => false,
            Err(error) => return Err(error),
        };
        let mut placed = Placed {
            parent,
            name: name.to_owned(),
            number,
            before,
            after: false,
        };
        if after && let Err(error) = renameat(CWD, &new, &placed.parent, name) {
            self.take_back(&placed);
            return Err(error);
        }
        placed.after = after;
        Ok(Some(placed))
    }

    /// Puts back what stood in a place. Where even that fails nothing more can be done.
    fn take_back(&self, placed: &Placed) {
        use rustix::fs::{CWD, renameat};
        if placed.after {
            let rejected = self.work.path().join(format!("rejected-{}", placed.number));
            let _ = renameat(&placed.parent, &placed.name, CWD, rejected);
        }
        if placed.before {
            let old = self.old_place(placed.number);
            let _ = renameat(CWD, old, &placed.parent, &placed.name);
        }
    }

    fn old_place(&self, number: usize) -> PathBuf {
        self.work.path().join(format!("old-{number}"))
    }
}

/// Opens a directory of the image, which is made where it is missing.
fn make_parents(image: &Rooted, path: &Path) -> rustix::io::Result<OwnedFd> {
    let mut parent = image.at(Path::new("/"), OFlags::PATH | OFlags::DIRECTORY)?;
    let mut walked = PathBuf::from("/");
    for part in path.components().skip(1) {
        walked.push(part);
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        parent = match image.at(&walked, flags) {
            Err(Errno::NOENT) => {
                let mode = Mode::from_raw_mode(0o755);
                rustix::fs::mkdirat(&parent, part.as_os_str(), mode)?;
                // Whatever the umask is: generators may have a strict one.
                rustix::fs::chmodat(&parent, part.as_os_str(), mode, AtFlags::empty())?;
                image.at(&walked, flags)?
            }
            other => other?,
        };
    }
    Ok(parent)
}

/// Gives a file to root where this is root, and sets its time: an image of the same files
/// is to be the same.
fn finish(path: &Path) -> Result<()> {
    let epoch = std::env::var("SOURCE_DATE_EPOCH").ok();
    let seconds = epoch.and_then(|text| text.parse().ok()).unwrap_or(0);
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    let owned = match rustix::process::geteuid().is_root() {
        true => rustix::fs::chownat(
            rustix::fs::CWD,
            path,
            Some(Uid::ROOT),
            Some(Gid::ROOT),
            AtFlags::SYMLINK_NOFOLLOW,
        ),
        false => Ok(()),
    };
    owned
        .and_then(|()| {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags)
        })
        .map_err(|error| cannot_write(path, &error.into()))
}

/// Files that will be root's, whoever makes the image.
struct OwnedByRoot(Disk);

impl Source for OwnedByRoot {
    fn names(&self, directory: &Path) -> std::result::Result<Option<Vec<OsString>>, Message> {
        self.0.names(directory)
    }

    fn read(&self, path: &Path, limit: u64) -> std::result::Result<Option<Contents>, Message> {
        let contents = self.0.read(path, limit)?;
        Ok(contents.map(|contents| Contents { uid: 0, ..contents }))
    }

    fn is_null(&self, path: &Path) -> bool {
        self.0.is_null(path)
    }

    fn is_empty(&self, path: &Path) -> bool {
        self.0.is_empty(path)
    }

    fn shown(&self, path: &Path) -> String {
        self.0.shown(path)
    }
}
