//! What a system call is about, for people: found out while its process is stopped.

use std::os::fd::OwnedFd;

use nix::fcntl::readlinkat;
use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;
use std::os::unix::ffi::OsStrExt;

use crate::names::escape;

/// The longest text that is read, in bytes.
const LONGEST: usize = 256;

/// Calls with a path: which argument is the directory that it begins in, if any, and
/// which is the path.
const PATHS: [(&str, Option<usize>, usize); 26] = [
    ("access", None, 0),
    ("chdir", None, 0),
    ("chroot", None, 0),
    ("execve", None, 0),
    ("fsconfig", Some(0), 2),
    ("fsopen", None, 0),
    ("getxattr", None, 0),
    ("lstat", None, 0),
    ("mkdir", None, 0),
    ("mkdirat", Some(0), 1),
    ("mount", None, 1),
    ("mount_setattr", Some(0), 1),
    ("move_mount", Some(0), 1),
    ("newfstatat", Some(0), 1),
    ("open", None, 0),
    ("open_tree", Some(0), 1),
    ("openat", Some(0), 1),
    ("openat2", Some(0), 1),
    ("pivot_root", None, 0),
    ("readlink", None, 0),
    ("readlinkat", Some(0), 1),
    ("rename", None, 0),
    ("stat", None, 0),
    ("statx", Some(0), 1),
    ("umount2", None, 0),
    ("unlinkat", Some(0), 1),
];

/// Calls whose first argument is a descriptor.
const DESCRIPTORS: [&str; 17] = [
    "close",
    "dup2",
    "dup3",
    "fchdir",
    "fcntl",
    "fstat",
    "fstatfs",
    "fsmount",
    "getdents64",
    "ioctl",
    "lseek",
    "pread64",
    "read",
    "readv",
    "renameat",
    "write",
    "writev",
];

/// Calls whose first argument says what is asked for.
const NUMBERS: [&str; 5] = ["capset", "prctl", "prlimit64", "rt_sigaction", "setrlimit"];

/// Describes a call: its path, its descriptor, or its number, or nothing.
pub fn describe(proc: &OwnedFd, pid: Pid, name: &str, arguments: [u64; 4]) -> String {
    if let Some((_, directory, path)) = PATHS.iter().find(|(call, ..)| *call == name) {
        let path = text(pid, arguments[*path]);
        let directory = directory.map(|index| arguments[index] as libc::c_int);
        return match directory.filter(|fd| *fd != libc::AT_FDCWD && !path.starts_with('/')) {
            Some(fd) if path.is_empty() => descriptor(proc, pid, fd),
            Some(fd) => format!("{} {path}", descriptor(proc, pid, fd)),
            None => path,
        };
    }
    let first = arguments[0] as libc::c_int;
    match name {
        "fcntl" => format!("{} {}", descriptor(proc, pid, first), arguments[1]),
        "poll" => String::new(),
        "prlimit64" => arguments[1].to_string(),
        _ if DESCRIPTORS.contains(&name) => descriptor(proc, pid, first),
        _ if NUMBERS.contains(&name) => first.to_string(),
        _ => String::new(),
    }
}

/// What a descriptor refers to. Pipes and the like have numbers that no two runs share.
fn descriptor(proc: &OwnedFd, pid: Pid, fd: libc::c_int) -> String {
    match readlinkat(proc, &*format!("{pid}/fd/{fd}")) {
        Ok(target) => {
            let target = escape(target.as_bytes());
            let name = target.split(":[").next().unwrap_or_default();
            // In the PID namespace it is another one than here.
            format!("<{}>", name.replace(&format!("/{pid}/"), "/self/"))
        }
        Err(_) => format!("<{fd}>"),
    }
}

/// A text that ends with a NUL byte.
fn text(pid: Pid, address: u64) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < LONGEST {
        let place = (address + bytes.len() as u64) as ptrace::AddressType;
        let Ok(word) = ptrace::read(pid, place) else {
            break;
        };
        bytes.extend_from_slice(&word.to_ne_bytes());
        if word.to_ne_bytes().contains(&0) {
            break;
        }
    }
    let end = bytes.iter().position(|byte| *byte == 0);
    bytes.truncate(end.unwrap_or(bytes.len()));
    escape(&bytes)
}
