//! The init of the new root: it must exist there, be a regular file, and be
//! executable, before anything is changed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind, ReadCache, ReadRef};
use policy::answer::is_at_or_below;
use policy::escape;
use rustix::fs::{self, FileType, Mode, OFlags, ResolveFlags, StatVfsMountFlags};
use rustix::io::Errno;

use crate::new_root::MOVED;
use crate::proc::Proc;

/// What is executed where the kernel's `init=` says nothing: the first that can
/// be, as the kernel has it, but for its shell, which anybody could use.
pub const USUAL: [&str; 3] = ["/sbin/init", "/etc/init", "/bin/init"];

/// What systemd executes before that, which need not have the usual name.
const OF_SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// What was found out about the init.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// The absolute paths of the new root that lead to it: as given, and
    /// without links.
    pub paths: [Vec<u8>; 2],
    /// Device number and inode of everything on the way to it, and to the
    /// interpreter or loader that it needs: links, directories, the files.
    pub trail: Vec<(u64, u64)>,
    /// Its path in the new root with all links resolved.
    pub resolved: Vec<u8>,
    /// Device number and inode, to know it again.
    pub identity: (u64, u64),
    /// Why executing it may fail all the same, as sentences.
    pub warnings: Vec<String>,
}

/// Resolves a path as a process would whose root directory is the new root.
pub fn resolve(
    new_root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    fs::openat2(
        new_root,
        path,
        flags | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )
}

/// A path of the new root, which may be given without the slash that it begins
/// with: init is executed in the root directory.
pub fn absolute(path: &[u8]) -> Vec<u8> {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    [b"/", relative].concat()
}

/// Examines the init at `path` of the new root, which is mounted at `mounted_at`.
///
/// # Errors
/// Why it cannot be the init: a sentence for the operator.
pub fn check(
    new_root: BorrowedFd<'_>,
    mounted_at: &[u8],
    path: &[u8],
    proc: &Proc,
) -> Result<Init, String> {
    let shown = escape::path(path);
    let place = format!("the new root {}", escape::path(mounted_at));
    let file = resolve(new_root, path, OFlags::PATH)
        .map_err(|error| unresolved(new_root, path, error, &place))?;
    let failed = |what: &str, error: io::Error| format!("init {shown} cannot be {what}: {error}");
    let stat = fs::fstat(&file).map_err(|error| failed("examined", error.into()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => {
            return Err(format!(
                "init {shown} is a directory of {place}; name the program in it"
            ));
        }
        _ => {
            return Err(format!(
                "init {shown} in {place} is not a regular file; name a program"
            ));
        }
    }
    if stat.st_mode & 0o111 == 0 {
        return Err(format!(
            "init {shown} in {place} is not executable (mode {:04o}); chmod it in the image",
            stat.st_mode & 0o7777
        ));
    }
    let options = fs::fstatvfs(&file)
        .map_err(|error| failed("examined", error.into()))?
        .f_flag;
    if options.contains(StatVfsMountFlags::NOEXEC) {
        return Err(format!(
            "init {shown} lies on a file system mounted noexec; mount {place} without it"
        ));
    }
    let path_now = proc
        .path_of(&file)
        .map_err(|error| failed("located", error))?;
    let resolved = path_now
        .strip_prefix(mounted_at)
        .filter(|rest| rest.starts_with(b"/"))
        .map_or_else(|| absolute(path), <[u8]>::to_vec);
    let paths = [absolute(path), resolved.clone()];
    for covered in MOVED {
        if paths
            .iter()
            .any(|path| is_at_or_below(path, covered.as_bytes()))
        {
            return Err(format!(
                "init {shown} in {place} lies below {covered}, where the kernel's or the running system's own is mounted; put it elsewhere, such as at /sbin/init"
            ));
        }
    }
    let unfollowed = |error: Errno| failed("followed", error.into());
    let mut trail = follow(new_root, path).map_err(unfollowed)?;
    let mut warnings = Vec::new();
    match resolve(new_root, path, OFlags::RDONLY | OFlags::NONBLOCK) {
        Ok(file) => {
            let (interpreter, warning) = interpreter(new_root, File::from(file), &shown);
            warnings.extend(warning);
            if let Some(interpreter) = interpreter {
                trail.extend(follow(new_root, &interpreter).map_err(unfollowed)?);
            }
        }
        Err(error) => warnings.push(format!(
            "init {shown} cannot be read ({error}); whether it can be executed is not known"
        )),
    }
    Ok(Init {
        paths,
        trail,
        resolved,
        identity: (stat.st_dev, stat.st_ino),
        warnings,
    })
}

/// Finds the init that a program such as systemd executes where it is told of none: the
/// kernel's `init=`, systemd itself, or what is usual. With it comes its path.
///
/// # Errors
/// Why there is none: a sentence for the operator.
pub fn find(
    new_root: BorrowedFd<'_>,
    mounted_at: &[u8],
    of_the_kernel: &Option<String>,
    proc: &Proc,
) -> Result<(Vec<u8>, Init), String> {
    let candidates = match of_the_kernel {
        Some(init) => vec![init.as_str()],
        None => OF_SYSTEMD.into_iter().chain(USUAL).collect(),
    };
    let mut failure = String::new();
    for candidate in candidates {
        match check(new_root, mounted_at, candidate.as_bytes(), proc) {
            Ok(init) => return Ok((candidate.into(), init)),
            // Most readers know the usual one alone.
            Err(reason) if failure.is_empty() || candidate == USUAL[0] => failure = reason,
            Err(_) => {}
        }
    }
    Err(failure)
}

/// Says why there is nothing at the path, and how far it can be followed.
fn unresolved(new_root: BorrowedFd<'_>, path: &[u8], error: Errno, place: &str) -> String {
    let shown = escape::path(path);
    let link = resolve(new_root, path, OFlags::PATH | OFlags::NOFOLLOW)
        .ok()
        .and_then(|link| fs::readlinkat(&link, c"", Vec::new()).ok());
    match (error, link) {
        (Errno::NOENT, Some(target)) => format!(
            "init {shown} is a symbolic link to {}, which is not in {place}; links are resolved as if the new root were the root already",
            escape::path(target.to_bytes())
        ),
        (Errno::NOENT, None) => format!(
            "init {shown} is not in {place}; check the path, and that the right file system is mounted there"
        ),
        (Errno::LOOP, _) => {
            format!(
                "init {shown} in {place} is a symbolic link that leads in circles; repair it in the image"
            )
        }
        (error, _) => format!(
            "init {shown} in {place} cannot be resolved: {}",
            io::Error::from(error)
        ),
    }
}

/// Device number and inode of all that is passed on the way to a path, as far as
/// it leads.
fn follow(new_root: BorrowedFd<'_>, path: &[u8]) -> Result<Vec<(u64, u64)>, Errno> {
    /// As many as the kernel follows.
    const LINKS: u32 = 40;
    let mut passed = Vec::new();
    let mut links = 0;
    let parts = |path: &[u8]| -> Vec<Vec<u8>> {
        let parts = path
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty());
        parts.rev().map(<[u8]>::to_vec).collect()
    };
    // Components still to come, the next one last.
    let mut to_come = parts(path);
    // Directories below the new root that lead to where we are.
    let mut directories: Vec<OwnedFd> = Vec::new();
    while let Some(part) = to_come.pop() {
        match part.as_slice() {
            b"." => continue,
            b".." => {
                directories.pop();
                continue;
            }
            _ => {}
        }
        let here = directories.last().map_or(new_root, AsFd::as_fd);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = match fs::openat(here, part.as_slice(), flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => break,
            other => other?,
        };
        let stat = fs::fstat(&found)?;
        passed.push((stat.st_dev, stat.st_ino));
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            directories.push(found);
            continue;
        }
        let target = fs::readlinkat(&found, c"", Vec::new())?;
        links += 1;
        if links > LINKS {
            break;
        }
        if target.to_bytes().starts_with(b"/") {
            directories.clear();
        }
        to_come.extend(parts(target.to_bytes()));
    }
    Ok(passed)
}

/// Finds the program that the kernel needs to start the init: the one that a
/// script names, or the loader of a dynamic executable; and says where it, or
/// the init itself, is not what it should be.
fn interpreter(
    new_root: BorrowedFd<'_>,
    file: File,
    shown: &str,
) -> (Option<Vec<u8>>, Option<String>) {
    // A script's first line counts as far as the kernel reads it.
    const LINE: u64 = 256;
    let cache = ReadCache::new(file);
    let doubtful = |what: &str| {
        (
            None,
            Some(format!(
                "init {shown} is {what}; executing it is likely to fail"
            )),
        )
    };
    let head = cache
        .len()
        .and_then(|length| (&cache).read_bytes_at(0, length.min(LINE)));
    let Ok(head) = head else {
        return doubtful("a file whose beginning cannot be read");
    };
    let (what, interpreter) = match head {
        [b'#', b'!', line @ ..] => {
            let line = line
                .split(|byte| *byte == b'\n')
                .next()
                .unwrap_or_default()
                .trim_ascii();
            let name = line
                .split(|byte| matches!(byte, b' ' | b'\t'))
                .next()
                .unwrap_or_default();
            ("script whose interpreter", name.to_vec())
        }
        [0x7f, b'E', b'L', b'F', ..] => match loader(&cache) {
            Ok(Some(loader)) => ("dynamic executable whose loader", loader),
            Ok(None) => return (None, None),
            Err(()) => return doubtful("a damaged ELF file, or cannot be read whole"),
        },
        _ => return doubtful("neither an ELF file nor a script that begins with #!"),
    };
    let there = resolve(new_root, &interpreter, OFlags::PATH)
        .and_then(fs::fstat)
        .is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                && stat.st_mode & 0o111 != 0
        });
    let warning = (!there).then(|| {
        format!("init {shown} is a {what} {} is not an executable file of the new root; executing it is likely to fail", escape::path(&interpreter))
    });
    (Some(interpreter), warning)
}

/// The path of the loader that an ELF file names, if it names one.
fn loader(file: &ReadCache<File>) -> Result<Option<Vec<u8>>, ()> {
    match FileKind::parse(file).map_err(drop)? {
        FileKind::Elf32 => loader_of::<FileHeader32<Endianness>>(file),
        FileKind::Elf64 => loader_of::<FileHeader64<Endianness>>(file),
        _ => Err(()),
    }
}

fn loader_of<H: FileHeader>(file: &ReadCache<File>) -> Result<Option<Vec<u8>>, ()> {
    let header = H::parse(file).map_err(drop)?;
    let endian = header.endian().map_err(drop)?;
    for segment in header.program_headers(endian, file).map_err(drop)? {
        if let Some(path) = segment.interpreter(endian, file).map_err(drop)? {
            return Ok(Some(path.to_vec()));
        }
    }
    Ok(None)
}
