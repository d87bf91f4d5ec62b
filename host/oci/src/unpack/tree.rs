//! The folder that layers are unpacked into. Every name is looked up from its
//! root, one component at a time and never through a symlink by the kernel:
//! a symlink among the parents is followed here, with the folder as its `/`.

pub(crate) mod directory;
pub(crate) mod lookup;
mod removal;

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use directory::{DIRECTORY, Directory, Real, check_depth, failed, reopen};
use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::{escape, interrupt};

use super::failure::broken;
use super::marks::{Marks, Special};
use super::name::components;

switch_root_core::outcomes! {
    /// Why an entry is not unpacked.
    pub enum Unfit in "unpacking" {
        /// The image was cut off. Fetch it again.
        "SR-Y86" Truncated { path: String, there: u64, size: u64 } = "the layer ends within {path}: {there} of its {size} bytes are there",
        /// The tool that made the layer writes what others do not read. Build the image with another
        /// one.
        "SR-Y87" LinkRefused { path: String, target: String } = "the layer's entry {path} is a hard link to {target}, refused",
        "SR-Y88" LinkToRoot { path: String, target: String } = "the layer's entry {path} is a hard link to {target}, the root of the image",
        "SR-Y89" LinkToNothing { path: String, target: String } = "the layer's entry {path} is a hard link to {target}, which is not in the image (a link stands behind its target)",
        "SR-Y90" LinkToDirectory { path: String, target: String } = "the layer's entry {path} is a hard link to {target}, a directory",
    }
}

/// The folder.
pub(super) struct Tree {
    root: Arc<Directory>,
    /// The parent of the entry before, by its spelling: most entries of an
    /// archive stand behind others of the same directory.
    last: Option<(Vec<u8>, Arc<Directory>)>,
    /// Modes of directories that we could not write into; given at the end.
    modes: BTreeMap<Real, u32>,
    /// What the layer has written, where there are layers below it.
    written: Option<HashSet<Real>>,
    layers: usize,
    /// What is not as the layers have it.
    pub(super) marks: Marks,
}

impl Tree {
    /// # Errors
    /// The folder cannot be opened.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        use std::os::unix::ffi::OsStrExt;

        let fd = fs::openat(CWD, folder, DIRECTORY, Mode::empty())
            .map_err(|error| failed("open", folder.as_os_str().as_bytes(), error))?;
        Ok(Self {
            root: Arc::new(Directory {
                fd,
                real: Vec::new(),
            }),
            last: None,
            modes: BTreeMap::new(),
            written: None,
            layers: 0,
            marks: Marks::default(),
        })
    }

    /// Whiteouts from now on remove what was there before, alone.
    pub(super) fn begin_layer(&mut self) {
        // Below the first layer there is nothing that could be removed.
        self.written = (self.layers > 0).then(HashSet::new);
        self.layers += 1;
    }

    /// What is done when the last layer was unpacked.
    pub(super) fn complete(self) -> (Modes, Marks) {
        let modes = Modes {
            root: self.root,
            modes: self.modes,
        };
        (modes, self.marks)
    }

    /// Makes a directory, or gives one that is there its mode.
    pub(super) fn directory(&mut self, path: &[&[u8]], mode: u32) -> Result<Real> {
        let (parent, name) = self.parent(path)?;
        let real = parent.child(name);
        check_depth(&real)?;
        let cannot = |error| failed("make the directory", &real, error);
        let open = || fs::openat(&parent.fd, name, DIRECTORY, Mode::empty());
        let fd = match fs::mkdirat(&parent.fd, name, Mode::RWXU).and_then(|()| open()) {
            // One of a lower layer, or of an entry below it, stays.
            Err(Errno::EXIST) => match open() {
                Ok(fd) => fd,
                Err(_) => self.place(&parent, name, || {
                    fs::mkdirat(&parent.fd, name, Mode::RWXU).and_then(|()| open())
                })?,
            },
            made => made.map_err(cannot)?,
        };
        fs::fchmod(&fd, Mode::from_raw_mode(mode | 0o700)).map_err(cannot)?;
        if mode & 0o700 == 0o700 {
            self.modes.remove(&real);
        } else {
            self.modes.insert(real.clone(), mode);
        }
        self.marks.forget(&real);
        self.note(real.clone());
        Ok(real)
    }

    /// Makes a file of exactly `size` bytes.
    pub(super) fn file(
        &mut self,
        path: &[&[u8]],
        mode: u32,
        size: u64,
        content: &mut impl Read,
        buffer: &mut [u8],
    ) -> Result<Real> {
        let (parent, name) = self.parent(path)?;
        let real = parent.child(name);
        let cannot = |error| failed("write", &real, error);
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self.place(&parent, name, || {
            fs::openat(&parent.fd, name, flags, Mode::RUSR | Mode::WUSR)
        })?;
        let mut left = size;
        while left > 0 {
            interrupt::check()?;
            let want = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = content
                .read(&mut buffer[..want])
                .map_err(|error| broken(&error).about(&escape::path(&real)))?;
            if read == 0 {
                let truncated = Unfit::Truncated {
                    path: escape::path(&real),
                    there: size - left,
                    size,
                };
                return Err(Error::new(Kind::Corrupt, truncated));
            }
            let mut rest = &buffer[..read];
            while !rest.is_empty() {
                let written =
                    rustix::io::retry_on_intr(|| rustix::io::write(&fd, rest)).map_err(cannot)?;
                rest = &rest[written..];
            }
            left -= read as u64;
        }
        // After the content: writing takes setuid away.
        fs::fchmod(&fd, Mode::from_raw_mode(mode)).map_err(cannot)?;
        self.note(real.clone());
        Ok(real)
    }

    /// Puts an empty file where something is that must not be there in the end: a later
    /// layer may take it away, and links to it are as bad.
    pub(super) fn refuse(&mut self, path: &[&[u8]], special: Special) -> Result<()> {
        let real = self.file(path, 0o600, 0, &mut std::io::empty(), &mut [])?;
        self.marks.refuse(real, special)
    }

    /// Makes a symlink, which may point anywhere.
    pub(super) fn symlink(&mut self, path: &[&[u8]], target: &[u8]) -> Result<Real> {
        let (parent, name) = self.parent(path)?;
        let real = parent.child(name);
        self.place(&parent, name, || fs::symlinkat(target, &parent.fd, name))?;
        self.note(real.clone());
        Ok(real)
    }

    /// Gives a file of the image another name.
    pub(super) fn hardlink(&mut self, path: &[&[u8]], target: &[u8]) -> Result<()> {
        let (parent, name) = self.parent(path)?;
        let real = parent.child(name);
        let (path, to) = (escape::path(&real), escape::path(target));
        let target_path = components(target).map_err(|error| {
            let (path, target) = (path.clone(), to.clone());
            error.within(Unfit::LinkRefused { path, target })
        })?;
        let Some((target_name, target_parents)) = target_path.split_last() else {
            return Err(Error::input(Unfit::LinkToRoot { path, target: to }));
        };
        let missing = |path, target| Error::input(Unfit::LinkToNothing { path, target });
        let Some(target_parent) = self.walk(target_parents, false)? else {
            return Err(missing(path, to));
        };
        let stat = |directory: &Directory, name: &[u8]| {
            fs::statat(&directory.fd, name, AtFlags::SYMLINK_NOFOLLOW)
        };
        let found = match stat(&target_parent, target_name) {
            Ok(found) => found,
            Err(Errno::NOENT) => return Err(missing(path, to)),
            Err(error) => return Err(failed("look at", target, error)),
        };
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            return Err(Error::input(Unfit::LinkToDirectory { path, target: to }));
        }
        // A link to itself would remove its own content.
        let same = stat(&parent, name)
            .is_ok_and(|there| (there.st_dev, there.st_ino) == (found.st_dev, found.st_ino));
        if !same {
            self.place(&parent, name, || {
                fs::linkat(
                    &target_parent.fd,
                    *target_name,
                    &parent.fd,
                    name,
                    AtFlags::empty(),
                )
            })?;
            self.marks.link(&target_parent.child(target_name), &real)?;
        }
        self.note(real);
        Ok(())
    }

    /// A whiteout: removes what lower layers have of that name.
    pub(super) fn remove(&mut self, parents: &[&[u8]], name: &[u8]) -> Result<()> {
        if self.written.is_none() {
            return Ok(());
        }
        if let Some(parent) = self.walk(parents, false)? {
            self.take_away(&parent, name, true)?;
        }
        Ok(())
    }

    /// An opaque whiteout: removes what lower layers have in that directory.
    pub(super) fn clear(&mut self, path: &[&[u8]]) -> Result<()> {
        if self.written.is_none() {
            return Ok(());
        }
        if let Some(directory) = self.walk(path, false)? {
            self.empty(&directory, true)?;
        }
        Ok(())
    }

    /// Makes something of a name; what is there goes before.
    fn place<T>(
        &mut self,
        parent: &Directory,
        name: &[u8],
        make: impl Fn() -> std::result::Result<T, Errno>,
    ) -> Result<T> {
        let cannot = |error| failed("write", &parent.child(name), error);
        match make() {
            Err(Errno::EXIST) => {
                self.take_away(parent, name, false)?;
                make().map_err(cannot)
            }
            made => made.map_err(cannot),
        }
    }

    /// Remembers what this layer has written, with the directories on the way.
    fn note(&mut self, real: Real) {
        let Some(written) = &mut self.written else {
            return;
        };
        let mut next = Some(real);
        while let Some(path) = next {
            next = path
                .iter()
                .rposition(|&byte| byte == b'/')
                .map(|slash| path[..slash].to_vec());
            if !written.insert(path) {
                return;
            }
        }
    }
}

/// Modes that directories get at the end: those that keep us from writing into
/// them.
pub struct Modes {
    root: Arc<Directory>,
    modes: BTreeMap<Real, u32>,
}

impl Modes {
    /// Gives directories their modes.
    ///
    /// # Errors
    /// The system refuses.
    pub fn apply(self) -> Result<()> {
        // What is deeper first: a directory that cannot be searched comes last.
        for (real, mode) in self.modes.into_iter().rev() {
            fs::fchmod(&reopen(&self.root, &real)?.fd, Mode::from_raw_mode(mode))
                .map_err(|error| failed("set the mode of", &real, error))?;
        }
        Ok(())
    }
}
