//! What the process has to put right before anything else, and back again
//! before init takes its place.

use std::os::fd::{AsFd, AsRawFd};
use std::sync::Mutex;

use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::fs::{Mode, OFlags, fcntl_getfl, open};
use rustix::process::umask;

/// What SIGPIPE did when the program was started.
static SIGPIPE: Mutex<SigHandler> = Mutex::new(SigHandler::SigDfl);

/// Which permissions new files did not get when the program was started.
static UMASK: Mutex<Option<Mode>> = Mutex::new(None);

/// Makes the process fit to work: see the steps.
pub fn prepare() {
    reserve_standard_descriptors();
    // What is made has the mode that it is made with, whoever called; and where a mode is
    // not given, it is nothing that others could write to.
    let before = umask(Mode::WGRP | Mode::WOTH);
    if let Ok(mut kept) = UMASK.lock() {
        *kept = Some(before);
    }
    // The judge may end while the host writes to it.
    // SAFETY: sets a disposition, no handler.
    let before = unsafe { signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    if let (Ok(before), Ok(mut kept)) = (before, SIGPIPE.lock()) {
        *kept = before;
    }
}

/// Gives back what init inherits.
pub fn restore() {
    if let Ok(Some(before)) = UMASK.lock().as_deref() {
        umask(*before);
    }
    if let Ok(before) = SIGPIPE.lock() {
        // SAFETY: sets what was set when the program was started.
        let _ = unsafe { signal(Signal::SIGPIPE, *before) };
    }
}

/// Makes a file standard input, output and error.
pub fn become_standard(file: impl AsFd) -> nix::Result<()> {
    dup2_stdin(&file)?;
    dup2_stdout(&file)?;
    dup2_stderr(&file)
}

/// Takes the console as standard input, output and error, where the kernel
/// found none to give: it looks before /dev is mounted.
pub fn use_console() {
    // What keeps the place of a missing one can only be looked at.
    let given = fcntl_getfl(std::io::stdout()).is_ok_and(|flags| !flags.contains(OFlags::PATH));
    if given {
        return;
    }
    if let Ok(console) = open(
        "/dev/console",
        OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC,
        Mode::empty(),
    ) {
        let _ = become_standard(console);
    }
}

/// Makes sure that no file opened later becomes standard input, output or
/// error: a message written there would go into it. What takes their place
/// cannot be written to, and is closed again when init is executed.
fn reserve_standard_descriptors() {
    while let Ok(place) = open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        if place.as_raw_fd() > libc::STDERR_FILENO {
            return;
        }
        // Stays open.
        std::mem::forget(place);
    }
}
