//! The copy of one file, whatever kind it has, and of what it has beside its
//! contents.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use nix::unistd::fchdir;
use rustix::fs::{
    self, AtFlags, FileType, Gid, Mode, OFlags, SeekFrom, Stat, Timespec, Timestamps, Uid,
    XattrFlags,
};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::resolve::{self, Within};

use crate::mount_calls::LARGEST_ATTRIBUTE;

switch_root_core::outcomes! {
    /// Why a file is not copied, or not as it is.
    pub enum Lacking in "not-copied" {
        /// The copy lacks nothing else.
        "SR-W77" Attribute { name: String, error: io::Error } = "attribute {name}: {error}",
        /// `/run`, which takes memory, has too much already.
        "SR-W78" NoMemory = "there is no memory to copy it with",
    }
}

/// How much of a file is read at once, in bytes.
const AT_ONCE: usize = 128 << 10;

/// Copies what is no directory: bytes or target or device number, mode, owner, times,
/// extended attributes. `buffer` is kept from one call to the next. Returns what the
/// copy lacks.
///
/// # Errors
/// Why there is no copy: nothing of one is left.
pub fn copy(
    from: &OwnedFd,
    to: &OwnedFd,
    name: &[u8],
    stat: &Stat,
    buffer: &mut Vec<u8>,
) -> io::Result<Vec<io::Error>> {
    let made = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => copy_contents(from, to, name, buffer),
        FileType::Symlink => fs::readlinkat(from, name, Vec::new())
            .and_then(|target| fs::symlinkat(target, to, name))
            .map_err(io::Error::from),
        kind => fs::mknodat(to, name, kind, Mode::RUSR | Mode::WUSR, stat.st_rdev)
            .map_err(io::Error::from),
    };
    made.and_then(|()| copy_attributes(from, to, name))
        .inspect_err(|_| {
            let _ = fs::unlinkat(to, name, AtFlags::empty());
        })
}

/// Copies a file's bytes, and leaves holes where it has some.
fn copy_contents(
    from: &OwnedFd,
    to: &OwnedFd,
    name: &[u8],
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let source = File::from(resolve::open(Within::Mount, from, name, flags)?);
    let size = fs::fstat(&source)?.st_size as u64;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let copy = File::from(fs::openat(to, name, flags, Mode::RUSR | Mode::WUSR)?);
    // Without memory for it this file is lost, and not this process.
    let more = AT_ONCE.saturating_sub(buffer.len());
    buffer
        .try_reserve_exact(more)
        .map_err(|_| io::Error::other(Lacking::NoMemory))?;
    buffer.resize(AT_ONCE, 0);
    let mut at = 0;
    while at < size {
        let (start, end) = match fs::seek(&source, SeekFrom::Data(at)) {
            Ok(start) => {
                let end = fs::seek(&source, SeekFrom::Hole(start)).unwrap_or(size);
                (start, end.min(size))
            }
            // Nothing but a hole follows.
            Err(Errno::NXIO) => break,
            // The file system does not tell.
            Err(_) => (at, size),
        };
        at = start;
        while at < end {
            let wanted = (end - at).min(AT_ONCE as u64) as usize;
            let read = source.read_at(&mut buffer[..wanted], at)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            copy.write_all_at(&buffer[..read], at)?;
            at += read as u64;
        }
    }
    copy.set_len(size)
}

/// Gives a copy what the original has beside its contents. Returns the extended
/// attributes that it lacks.
///
/// # Errors
/// Owner, mode or times cannot be set: the copy must not be used.
pub fn copy_attributes(from: &OwnedFd, to: &OwnedFd, name: &[u8]) -> io::Result<Vec<io::Error>> {
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    // Anew: reading a directory has changed when it was read.
    let stat = fs::statat(from, name, nofollow)?;
    let (owner, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fs::chownat(to, name, Some(owner), Some(group), nofollow)?;
    // After the owner, which takes bits of the mode away, and capabilities.
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
        fs::chmodat(to, name, mode, AtFlags::empty())?;
    }
    let lacking = copy_extended(from, to, name);
    let time = |seconds, nanoseconds| Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds,
    };
    let times = Timestamps {
        last_access: time(stat.st_atime, stat.st_atime_nsec as _),
        last_modification: time(stat.st_mtime, stat.st_mtime_nsec as _),
    };
    fs::utimensat(to, name, &times, nofollow)?;
    Ok(lacking)
}

/// Copies the extended attributes. The calls for links take a path alone, so that the
/// directory becomes the working directory.
fn copy_extended(from: &OwnedFd, to: &OwnedFd, name: &[u8]) -> Vec<io::Error> {
    let lacking = |attribute: &[u8], error: io::Error| {
        let name = escape::path(attribute);
        vec![io::Error::other(Lacking::Attribute { name, error })]
    };
    let listed = || -> io::Result<Vec<u8>> {
        fchdir(from)?;
        if matches!(fs::llistxattr_query(name), Ok(0) | Err(Errno::OPNOTSUPP)) {
            return Ok(Vec::new());
        }
        let mut names = vec![0; LARGEST_ATTRIBUTE];
        let length = fs::llistxattr(name, names.as_mut_slice())?;
        names.truncate(length);
        Ok(names)
    };
    let names = match listed() {
        Ok(names) => names,
        Err(error) => return lacking(b"*", error),
    };
    let mut all = Vec::new();
    for attribute in names
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let copied = || -> io::Result<()> {
            let mut value = vec![0; LARGEST_ATTRIBUTE];
            fchdir(from)?;
            let length = fs::lgetxattr(name, attribute, value.as_mut_slice())?;
            fchdir(to)?;
            Ok(fs::lsetxattr(
                name,
                attribute,
                &value[..length],
                XattrFlags::empty(),
            )?)
        };
        if let Err(error) = copied() {
            all.extend(lacking(attribute, error));
        }
    }
    all
}
