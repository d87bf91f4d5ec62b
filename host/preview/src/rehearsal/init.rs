//! The init of the new root: waits for the end of the deletion, and tells what it sees.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::termios::tcdrain;
use nix::sys::wait::{WaitPidFlag, waitpid};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat};
use serde_json::Value;
use switch_root_core::escape;
use switch_root_core::locations::{PRESERVED_PATH, REPORT_PATH};

use super::messages::{self, Entry, Message, Preserved, Testimony, say};

/// What is read of a report, in bytes.
const LONGEST: u64 = 64 << 20;
/// How many survivors are listed.
const ENTRIES: usize = 100_000;
/// How deep they are listed: that many descriptors are open meanwhile.
const DEPTH: usize = 256;
/// How often the report is looked at.
const STEP: Duration = Duration::from_millis(5);

/// Runs as the init. `patience` is how long the deletion may take; a machine is ended
/// afterwards.
pub fn run(patience: Duration, in_machine: bool) -> ExitCode {
    let deadline = Instant::now() + patience;
    let mut report = read_report();
    while !is_final(&report) && Instant::now() < deadline {
        // As process 1, we get everybody's children.
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status.pid().is_some())
        {
        }
        std::thread::sleep(STEP);
        report = read_report();
    }
    let testimony = Testimony {
        settled: is_final(&report),
        preserved: preserved(),
        report,
    };
    if in_machine {
        // A line of the kernel's in the middle of ours would spoil it.
        let _ = fs::write("/proc/sys/kernel/printk", "1");
    }
    let said = say(&Message::Seen(Box::new(testimony)));
    if in_machine {
        end_machine();
    }
    ExitCode::from(u8::from(said.is_err()))
}

/// Ends the machine. The emulator is told to end where a machine would restart: that
/// needs no driver for a power button.
pub fn end_machine() {
    let _ = tcdrain(io::stdout());
    let _ = reboot(RebootMode::RB_AUTOBOOT);
}

fn read_report() -> Value {
    File::open(REPORT_PATH)
        .and_then(|file| messages::read(file, LONGEST))
        .unwrap_or_default()
}

/// Whether nothing will be written into a report any more.
fn is_final(report: &Value) -> bool {
    matches!(
        report["deletion"]["state"].as_str(),
        Some("complete" | "skipped")
    )
}

fn preserved() -> Preserved {
    let mut found = Preserved::default();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // Where nothing survives there may be no such directory.
    if let Ok(root) = rustix::fs::open(PRESERVED_PATH, flags, Mode::empty()) {
        list(&root, &mut Vec::new(), 0, &mut found);
    }
    found
        .entries
        .sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Lists a directory and what is below it, mounts included: those that are kept are
/// part of what survives.
fn list(directory: &OwnedFd, path: &mut Vec<u8>, depth: usize, found: &mut Preserved) {
    let Ok(entries) = Dir::read_from(directory) else {
        found.cut = true;
        return;
    };
    for entry in entries {
        let Ok(entry) = entry else {
            found.cut = true;
            return;
        };
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if found.entries.len() >= ENTRIES || depth >= DEPTH {
            found.cut = true;
            return;
        }
        let Ok(stat) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else {
            continue;
        };
        let length = path.len();
        path.push(b'/');
        path.extend_from_slice(name.to_bytes());
        let kind = FileType::from_raw_mode(stat.st_mode);
        found.entries.push(Entry {
            path: escape::path(path),
            kind: word(kind).to_owned(),
        });
        if kind == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(directory, name, flags, Mode::empty()) {
                Ok(inner) => list(&inner, path, depth + 1, found),
                Err(_) => found.cut = true,
            }
        }
        path.truncate(length);
    }
}

/// A kind of file in the words of the report.
fn word(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        FileType::BlockDevice => "block-device",
        FileType::CharacterDevice => "character-device",
        FileType::Fifo => "fifo",
        FileType::Socket => "socket",
        _ => "file",
    }
}
