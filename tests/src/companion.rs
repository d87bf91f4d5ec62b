//! Processes of the initramfs that live on across a switch. Each is the probe under
//! another name: `companion ROLE ARGUMENTS...` goes into the background when what it is
//! there for has begun, so that whoever starts it need only wait for its end.
//!
//! - `serve SOURCE POINT`: a FUSE file system, see [`crate::fuse`]; `stopped SOURCE POINT`
//!   the same, which is stopped as soon as it is mounted, and so never answers;
//! - `write FILE`: appends lines to a file that it has open;
//! - `feed FILE`: writes to a file that it opens by path each time, as whoever feeds a
//!   watchdog does;
//! - `see FILE PATH...`: writes down which of the paths there are, into a file that it has
//!   open;
//! - `orphan`: ends a while later with the status [`ORPHAN`].
//!
//! `write` and `feed` write the time, by `CLOCK_MONOTONIC` in microseconds. Two more end at
//! once: `load FILE` loads a module, `copy FROM TO` copies what is in a directory; and the kernel starts `core FILE` for a dump of memory,
//! and `-q -- NAME` for a module: they copy their root's `/etc/os-release`.

use std::ffi::{CString, OsStr};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::sys::prctl;
use nix::sys::signal::{Signal, raise};
use nix::unistd::{ForkResult, fork, pipe2, setsid};

use crate::delegating::arguments;
use crate::fuse::Fuse;
use crate::probe::{HELPED, monotonic_us};

/// Where scenes put it. It is known by this name.
pub const COMPANION: &str = "/bin/companion";
/// The status that an orphan ends with.
pub const ORPHAN: i32 = 42;
/// How long an orphan lives.
const ORPHAN_LIVES: Duration = Duration::from_millis(700);
/// How often something is done.
const PERIOD: Duration = Duration::from_millis(20);
/// What is seen is written in one piece of this size, so that nobody reads a half.
const PIECE: usize = 4096;

/// Whether this process is one, by its name.
pub fn is_called() -> bool {
    arguments().first().is_some_and(|name| name == COMPANION)
}

/// Plays its role.
///
/// # Errors
/// What keeps it from that.
pub fn play() -> io::Result<()> {
    let arguments = arguments();
    let Some((role, rest)) = arguments.get(1..).and_then(<[_]>::split_first) else {
        return Err(io::Error::other("no role"));
    };
    let rest: Vec<&Path> = rest.iter().map(Path::new).collect();
    match (role.to_str().unwrap_or_default(), &rest[..]) {
        ("load", [module]) => load(module),
        ("copy", [from, to]) => copy(from, to),
        ("core", [file]) => fs::copy("/etc/os-release", file).map(drop),
        // As the kernel calls modprobe.
        ("-q", _) => fs::copy("/etc/os-release", HELPED[1].1).map(drop),
        (role, rest) => in_the_background(role, rest),
    }
}

/// Copies directories and files into a directory.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

fn load(module: &Path) -> io::Result<()> {
    match finit_module(File::open(module)?, c"", ModuleInitFlags::empty()) {
        Ok(()) | Err(nix::errno::Errno::EEXIST) => Ok(()),
        Err(error) => Err(io::Error::other(format!("{}: {error}", module.display()))),
    }
}

/// Forks; the parent ends when the child has begun.
fn in_the_background(role: &str, rest: &[&Path]) -> io::Result<()> {
    let (begun, begin) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: this process has one thread, so the child may do all that we may.
    match unsafe { fork() }? {
        ForkResult::Parent { .. } => {
            drop(begin);
            let mut answer = String::new();
            File::from(begun).read_to_string(&mut answer)?;
            match answer.as_str() {
                "begun" => Ok(()),
                other => Err(io::Error::other(format!("{role}: {other}"))),
            }
        }
        ForkResult::Child => {
            drop(begun);
            let mut begin = Some(File::from(begin));
            let outcome = go_on(role, rest, &mut begin);
            if let (Err(error), Some(mut begin)) = (outcome, begin) {
                let _ = write!(begin, "{error}");
            }
            std::process::exit(1)
        }
    }
}

/// Says that what it is there for has begun.
fn say(begin: &mut Option<File>) -> io::Result<()> {
    match begin.take() {
        Some(mut begin) => begin.write_all(b"begun"),
        None => Ok(()),
    }
}

fn go_on(role: &str, rest: &[&Path], begin: &mut Option<File>) -> io::Result<()> {
    setsid()?;
    prctl::set_name(&CString::new(role)?)?;
    match (role, rest) {
        ("serve" | "stopped", [source, point]) => {
            let mut fuse = Fuse::mount(source, point)?;
            loop {
                if fuse.answer()? {
                    say(begin)?;
                    if role == "stopped" {
                        raise(Signal::SIGSTOP)?;
                    }
                }
            }
        }
        ("write", [file]) => {
            let mut file = OpenOptions::new().create(true).append(true).open(file)?;
            repeatedly(begin, || writeln!(file, "{}", monotonic_us()))
        }
        ("feed", [file]) => {
            File::create(file)?;
            // As one does who must not end: what fails is tried again.
            repeatedly(begin, || {
                let written = OpenOptions::new().write(true).open(file);
                let _ = written.and_then(|file| {
                    file.write_all_at(format!("{:020}", monotonic_us()).as_bytes(), 0)
                });
                Ok(())
            })
        }
        ("see", [file, paths @ ..]) => {
            let file = File::create(file)?;
            repeatedly(begin, || {
                let mut text: Vec<u8> = paths.iter().flat_map(|path| see(path)).collect();
                text.resize(PIECE, b' ');
                file.write_all_at(&text, 0)
            })
        }
        ("orphan", []) => {
            say(begin)?;
            std::thread::sleep(ORPHAN_LIVES);
            std::process::exit(ORPHAN)
        }
        _ => Err(io::Error::other("no such role")),
    }
}

fn repeatedly(
    begin: &mut Option<File>,
    mut what: impl FnMut() -> io::Result<()>,
) -> io::Result<()> {
    loop {
        what()?;
        say(begin)?;
        std::thread::sleep(PERIOD);
    }
}

/// One word of what is at a path.
fn see(path: &Path) -> Vec<u8> {
    let found = match fs::symlink_metadata(path) {
        Ok(_) => "there",
        Err(_) => "missing",
    };
    let line = OsStr::as_bytes(path.as_os_str());
    [line, b"=", found.as_bytes(), b" "].concat()
}
