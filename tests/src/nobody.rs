//! What a user without any privileges finds.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Gid, Uid, fork, pipe2, setgroups, setresgid, setresuid};

use crate::names::escape;
use crate::snapshot::served_lines;

/// The number of the user and of the group.
const NOBODY: u32 = 65534;

/// What nobody finds below a directory, as `find` does: escaped paths. `None` where this
/// process cannot become that user.
pub fn finds(directory: &Path) -> Option<BTreeSet<String>> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC).ok()?;
    // SAFETY: this process has one thread, so the child may do all that we may.
    match unsafe { fork() }.ok()? {
        ForkResult::Child => {
            drop(read);
            let told = become_nobody().and_then(|()| {
                let mut text = String::from("nobody\n");
                list(directory, &served_points(), &mut text);
                File::from(write).write_all(text.as_bytes())
            });
            // SAFETY: ends the child without the exit handlers of the program that it was
            // forked from.
            unsafe { libc::_exit(i32::from(told.is_err())) }
        }
        ForkResult::Parent { child } => {
            drop(write);
            let mut text = String::new();
            let read = File::from(read).read_to_string(&mut text);
            let _ = waitpid(child, None);
            read.ok()?;
            let found = text.strip_prefix("nobody\n")?;
            Some(found.lines().map(String::from).collect())
        }
    }
}

fn become_nobody() -> io::Result<()> {
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    Ok(setresuid(user, user, user)?)
}

/// Where file systems are mounted that a process serves, which may not answer.
fn served_points() -> BTreeSet<String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let points = served_lines(&mounts).filter_map(|line| line.split(' ').nth(4));
    points.map(String::from).collect()
}

/// Adds a line for each entry. A directory that may not be read has none, and one of these
/// mount points is not entered.
fn list(directory: &Path, served: &BTreeSet<String>, text: &mut String) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        text.push_str(&escape(path.as_os_str().as_bytes()));
        text.push('\n');
        let answers = !served.iter().any(|point| path == Path::new(point));
        if answers && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            list(&path, served, text);
        }
    }
}
