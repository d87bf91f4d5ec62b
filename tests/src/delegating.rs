//! A stand-in for the init of an initramfs that switches and deletes by itself, as
//! systemd does: it runs the subject before, and switches where that does not fail.
//!
//! It is the probe under another name, and process 1. Its arguments are commands with
//! `;` between them. Beside programs there are `remove PATH`, `write PATH TEXT`,
//! `journal` (from there on standard error is said to be a stream of systemd's journal)
//! and `move` (/run and the others are moved to the new root, as systemd did once, and
//! not bound there).

use std::convert::Infallible;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::dir::Dir;
use nix::fcntl::{OFlag, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{UnlinkatFlags, chdir, chroot, pivot_root, unlinkat};

use crate::apply::NOTHING;
use crate::scene::{INIT, NEW_ROOT};

/// Where scenes put it. It is known by this name.
pub const DELEGATOR: &str = "/bin/delegator";
/// What stands between two commands.
pub const NEXT: &str = ";";

/// Whether this process is the stand-in, by its name.
pub fn is_called() -> bool {
    arguments().first().is_some_and(|name| name == DELEGATOR)
}

/// The arguments of this process, which Rust does not have where its own beginning is left out.
pub fn arguments() -> Vec<OsString> {
    let text = fs::read("/proc/self/cmdline").unwrap_or_default();
    let mut arguments: Vec<OsString> = text
        .split(|byte| *byte == 0)
        .map(|argument| OsString::from_vec(argument.to_vec()))
        .collect();
    arguments.pop();
    arguments
}

/// Runs the commands, switches, deletes the initramfs and becomes the new root's init.
///
/// # Errors
/// The command that failed, or the step of the switch.
pub fn play() -> io::Result<Infallible> {
    let arguments = arguments();
    let mut journal = None;
    let mut transfer = MsFlags::MS_BIND | MsFlags::MS_REC;
    for command in arguments[1..].split(|argument| argument == NEXT) {
        match command {
            [word] if word == "move" => transfer = MsFlags::MS_MOVE,
            command => run(command, &mut journal)?,
        }
    }
    switch(transfer)?;
    Err(Command::new(INIT).exec())
}

fn run(command: &[OsString], journal: &mut Option<String>) -> io::Result<()> {
    match command {
        [word, path] if word == "remove" => fs::remove_file(path),
        [word, path, text] if word == "write" => fs::write(path, text.as_bytes()),
        [word] if word == "journal" => {
            let stream = fstat(io::stderr())?;
            *journal = Some(format!("{}:{}", stream.st_dev, stream.st_ino));
            Ok(())
        }
        [program, arguments @ ..] => {
            let mut command = Command::new(program);
            if let Some(stream) = journal {
                command.env("JOURNAL_STREAM", stream);
            }
            let status = command.args(arguments).status()?;
            match status.success() {
                true => Ok(()),
                false => Err(io::Error::other(format!("{program:?} ended with {status}"))),
            }
        }
        [] => Ok(()),
    }
}

/// In the order, and with the calls, of systemd: all mounts become private, those that
/// every system has go to the new root, and what is on the initramfs' device is deleted.
fn switch(transfer: MsFlags) -> io::Result<()> {
    let directory = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let old_root = nix::fcntl::open("/", directory, Mode::empty())?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NOTHING, "/", NOTHING, private, NOTHING)?;
    for place in ["/dev", "/sys", "/proc", "/run"] {
        let target = format!("{NEW_ROOT}{place}");
        let device = |path: &str| fs::metadata(path).map(|file| file.dev());
        if device(&target)? == device(NEW_ROOT)? {
            mount(Some(place), &*target, NOTHING, transfer, NOTHING)?;
        }
    }
    chdir(NEW_ROOT)?;
    if pivot_root(".", ".").is_ok() {
        umount2(".", MntFlags::MNT_DETACH)?;
    } else {
        mount(Some("."), "/", NOTHING, MsFlags::MS_MOVE, NOTHING)?;
        chroot(".")?;
    }
    chdir("/")?;
    let device = fstat(&old_root)?.st_dev;
    empty(old_root, device)
}

/// Deletes what is in a directory and on its device.
fn empty(directory: OwnedFd, device: u64) -> io::Result<()> {
    let mut listing = Dir::from_fd(directory.as_fd().try_clone_to_owned()?)?;
    let names: Vec<CString> = listing
        .iter()
        .map(|entry| Ok(entry?.file_name().to_owned()))
        .collect::<nix::Result<_>>()?;
    drop(listing);
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    for name in names {
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let name = OsStr::from_bytes(name.to_bytes());
        match openat(&directory, name, flags, Mode::empty()) {
            Ok(inside) if fstat(&inside)?.st_dev == device => {
                empty(inside, device)?;
                unlinkat(&directory, name, UnlinkatFlags::RemoveDir)?;
            }
            Ok(other) => drop::<OwnedFd>(other),
            Err(_) => unlinkat(&directory, name, UnlinkatFlags::NoRemoveDir)?,
        }
    }
    Ok(())
}
