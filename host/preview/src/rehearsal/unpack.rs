//! Unpacking an image as the kernel does it (`init/initramfs.c`): member after
//! member, what is behind overwrites what is before, hard links by number, and what
//! cannot be made is passed over.
//!
//! Paths are resolved as if the folder were `/`: no member leads out of it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use initramfs::archive::Member;
use initramfs::members::{FirstNames, cut_at_nul, is_early};
use initramfs::segments::{self, Place};
use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, RawMode, Uid, makedev};
use rustix::io::Errno;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::resolve::in_root;

switch_root_core::outcomes! {
    /// Why an image is not unpacked.
    pub(crate) enum NotUnpacked in "rehearsals" {
        /// It is unpacked into memory, within a limit.
        "SR-J30" TooLarge { limit: u64 } = "it has more than {limit} bytes, or more names than have room beside them, when it is unpacked; allow more with --max-bytes",
        /// The system's own words follow.
        "SR-J31" Stopped = "cannot unpack it",
    }
}

/// What is told one by one.
const TOLD: usize = 5;

/// What was unpacked, and what is otherwise than at boot.
#[derive(Debug, Default)]
pub struct Unpacked {
    /// Device nodes for which an empty file stands: their paths, escaped.
    pub placeholders: BTreeSet<String>,
    /// Members that belong to somebody whom this namespace does not know.
    pub foreign: u64,
    /// Members that cannot be unpacked, and mostly are not at boot either: the first
    /// few, as sentences.
    pub passed_over: Vec<String>,
    /// How many they are.
    pub passed_over_count: u64,
}

/// Makes what the kernel has in rootfs before it unpacks an image.
///
/// # Errors
/// It cannot be made.
pub fn prepare(root: BorrowedFd<'_>) -> io::Result<Unpacked> {
    let mut done = Unpacked::default();
    fs::mkdirat(root, "dev", Mode::from_raw_mode(0o755))?;
    fs::mkdirat(root, "root", Mode::from_raw_mode(0o700))?;
    let mode = Mode::from_raw_mode(0o600);
    if !node_at(
        root,
        b"dev/console",
        FileType::CharacterDevice,
        mode,
        makedev(5, 1),
    )? {
        done.placeholders.insert("/dev/console".into());
    }
    Ok(done)
}

/// Makes a device, fifo or socket. Says whether an empty file stands for it.
fn node_at(
    above: impl AsFd,
    name: &[u8],
    kind: FileType,
    mode: Mode,
    device: u64,
) -> io::Result<bool> {
    match fs::mknodat(&above, name, kind, mode, device) {
        // Only who may make devices of the whole machine makes them.
        Err(Errno::PERM) => {
            fs::mknodat(&above, name, FileType::RegularFile, mode, 0)?;
            Ok(false)
        }
        Err(error) => Err(error.into()),
        Ok(()) => Ok(true),
    }
}

/// Unpacks the image in a file, which errors call `shown`, into a folder that was
/// [prepared](prepare). `limit` is how many bytes that folder takes, for the error.
///
/// # Errors
/// See [`segments::scan`]; or the folder is full.
pub fn unpack(
    image: File,
    shown: &str,
    root: BorrowedFd<'_>,
    done: Unpacked,
    limit: u64,
) -> Result<Unpacked> {
    let mut unpacking = Unpacking {
        root,
        limit,
        first_names: FirstNames::default(),
        done,
    };
    segments::scan_opened(image, shown, &mut |place, member, contents| {
        unpacking.member(place, member, contents)
    })?;
    Ok(unpacking.done)
}

struct Unpacking<'a> {
    root: BorrowedFd<'a>,
    limit: u64,
    first_names: FirstNames,
    done: Unpacked,
}

impl Unpacking<'_> {
    fn member(&mut self, place: Place, member: &Member, contents: &mut dyn Read) -> Result<()> {
        self.first_names.at(place);
        match self.make(member, contents) {
            Ok(()) => Ok(()),
            Err(error) if is_full(&error) => {
                let limit = self.limit;
                Err(Error::input(NotUnpacked::TooLarge { limit }))
            }
            // What the image's own reader says.
            Err(error) if error.raw_os_error().is_none() => {
                Err(Error::of_copy(NotUnpacked::Stopped, &error))
            }
            Err(_) if is_early(member) => Ok(()),
            Err(error) => {
                self.done.passed_over_count += 1;
                if self.done.passed_over.len() < TOLD {
                    let name = escape::path(&member.name);
                    let sentence = format!("`{name}` is not unpacked: {error}");
                    self.done.passed_over.push(sentence);
                }
                Ok(())
            }
        }
    }

    fn make(&mut self, member: &Member, contents: &mut dyn Read) -> io::Result<()> {
        let kind = FileType::from_raw_mode(member.mode as RawMode);
        let empty = !matches!(kind, FileType::RegularFile | FileType::Symlink);
        if empty && member.size > 0 {
            return Err(Errno::INVAL.into());
        }
        if kind == FileType::Directory {
            return self.directory(member);
        }
        // Whether or not the file can be made: the kernel notes it first.
        let first = match kind {
            FileType::RegularFile
            | FileType::BlockDevice
            | FileType::CharacterDevice
            | FileType::Fifo
            | FileType::Socket => self.first_names.of(member)?,
            _ => None,
        };
        // A name that ends with a slash is no file's.
        let cut = member.name.iter().rposition(|byte| *byte == b'/');
        let (above, name) = member.name.split_at(cut.map_or(0, |cut| cut + 1));
        let above = match above {
            [] => self.root.try_clone_to_owned()?,
            above => self.open(above, OFlags::PATH | OFlags::DIRECTORY)?,
        };
        if kind == FileType::Symlink {
            if u64::from(member.size) > libc::PATH_MAX as u64 {
                return Ok(());
            }
            clean(&above, name, None);
            let mut target = Vec::new();
            contents.read_to_end(&mut target)?;
            cut_at_nul(&mut target);
            fs::symlinkat(target.as_slice(), &above, name)?;
            self.made(member);
            return self.own(member, |user, group| {
                fs::chownat(&above, name, user, group, AtFlags::SYMLINK_NOFOLLOW)
            });
        }
        clean(&above, name, Some(kind));
        let linked = match first {
            Some(first) => {
                self.link(&first, &above, name)?;
                true
            }
            None => false,
        };
        match kind {
            FileType::RegularFile => self.file(member, &above, name, linked, contents),
            FileType::BlockDevice
            | FileType::CharacterDevice
            | FileType::Fifo
            | FileType::Socket
                if !linked =>
            {
                self.node(member, &above, name, kind)
            }
            _ => Ok(()),
        }
    }

    fn directory(&mut self, member: &Member) -> io::Result<()> {
        let path = trimmed(&member.name);
        let cut = path.iter().rposition(|byte| *byte == b'/');
        let (above, name) = path.split_at(cut.map_or(0, |cut| cut + 1));
        let mode = Mode::from_raw_mode(member.mode & 0o7777);
        if !name.is_empty() {
            let above = match above {
                [] => self.root.try_clone_to_owned()?,
                above => self.open(above, OFlags::PATH | OFlags::DIRECTORY)?,
            };
            clean(&above, name, Some(FileType::Directory));
            match fs::mkdirat(&above, name, mode) {
                Err(Errno::EXIST) | Ok(()) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.made(member);
        let place = self.open(
            if path.is_empty() { b"/" } else { path },
            OFlags::RDONLY | OFlags::DIRECTORY,
        )?;
        self.own(member, |user, group| fs::fchown(&place, user, group))?;
        Ok(fs::fchmod(&place, mode)?)
    }

    fn file(
        &mut self,
        member: &Member,
        above: &OwnedFd,
        name: &[u8],
        linked: bool,
        contents: &mut dyn Read,
    ) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        // Another name of a file: what it holds stays, unless this one has contents.
        let cut = match linked && member.size == 0 {
            true => OFlags::empty(),
            false => OFlags::TRUNC,
        };
        let file = fs::openat(above, name, flags | cut, Mode::from_raw_mode(0o600))?;
        let mut file = File::from(file);
        self.made(member);
        self.own(member, |user, group| fs::fchown(&file, user, group))?;
        fs::fchmod(&file, Mode::from_raw_mode(member.mode & 0o7777))?;
        io::copy(contents, &mut file).map(drop)
    }

    fn node(
        &mut self,
        member: &Member,
        above: &OwnedFd,
        name: &[u8],
        kind: FileType,
    ) -> io::Result<()> {
        let mode = Mode::from_raw_mode(member.mode & 0o7777);
        let device = makedev(member.rdev.0, member.rdev.1);
        self.made(member);
        if !node_at(above, name, kind, mode, device)? {
            self.done.placeholders.insert(shown(member));
        }
        self.own(member, |user, group| {
            fs::chownat(above, name, user, group, AtFlags::SYMLINK_NOFOLLOW)
        })?;
        Ok(fs::chmodat(above, name, mode, AtFlags::empty())?)
    }

    /// Makes a further name of a file that is there.
    fn link(&self, first: &[u8], above: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let first = self.open(first, OFlags::PATH | OFlags::NOFOLLOW)?;
        clean(above, name, None);
        // By descriptor: only so is the first name looked up within the folder.
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&first));
        Ok(fs::linkat(
            fs::CWD,
            link,
            above,
            name,
            AtFlags::SYMLINK_FOLLOW,
        )?)
    }

    /// Gives it to its owner, where the namespace knows that one.
    fn own(
        &mut self,
        member: &Member,
        change: impl FnOnce(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>,
    ) -> io::Result<()> {
        if (member.uid, member.gid) == (0, 0) {
            return Ok(());
        }
        let (user, group) = (Uid::from_raw(member.uid), Gid::from_raw(member.gid));
        match change(Some(user), Some(group)) {
            Err(Errno::INVAL | Errno::PERM) => {
                self.done.foreign += 1;
                Ok(())
            }
            done => Ok(done?),
        }
    }

    /// Something else stands where a placeholder may have stood.
    fn made(&mut self, member: &Member) {
        if !self.done.placeholders.is_empty() {
            self.done.placeholders.remove(&shown(member));
        }
    }

    fn open(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        Ok(in_root(self.root, path, flags)?)
    }
}

/// Takes away what stands at a name, if it is of another type. What cannot be taken
/// away shows when the name is made.
fn clean(above: &OwnedFd, name: &[u8], kind: Option<FileType>) {
    let Ok(stat) = fs::statat(above, name, AtFlags::SYMLINK_NOFOLLOW) else {
        return;
    };
    let there = FileType::from_raw_mode(stat.st_mode);
    if Some(there) == kind {
        return;
    }
    let flags = match there {
        FileType::Directory => AtFlags::REMOVEDIR,
        _ => AtFlags::empty(),
    };
    let _ = fs::unlinkat(above, name, flags);
}

/// A path without the slashes at its end.
fn trimmed(name: &[u8]) -> &[u8] {
    let slashes = name.iter().rev().take_while(|byte| **byte == b'/').count();
    &name[..name.len() - slashes]
}

/// The path of a member in the initramfs, for people.
fn shown(member: &Member) -> String {
    let path = Path::new("/").join(OsStr::from_bytes(member.path()));
    escape::path(path.as_os_str().as_bytes())
}

fn is_full(error: &io::Error) -> bool {
    let full = [Errno::NOSPC, Errno::NOMEM, Errno::DQUOT];
    let number = error.raw_os_error();
    full.iter()
        .any(|errno| number == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests;
