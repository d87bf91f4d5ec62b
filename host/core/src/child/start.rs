//! What a program begins with.

use std::io;

use nix::sys::signal::{SigHandler, SigSet, Signal, signal};

/// Takes back what was ignored or blocked, as a program has it that the kernel starts.
///
/// # Errors
/// Those of sigaction(2) and sigprocmask(2).
pub fn default_signals() -> io::Result<()> {
    // What is ignored is handed down: SIGPIPE by Rust's runtime, SIGINT and SIGQUIT by a
    // shell that runs us in the background, SIGHUP by nohup.
    let unchangeable = [Signal::SIGKILL, Signal::SIGSTOP];
    for which in Signal::iterator().filter(|which| !unchangeable.contains(which)) {
        // SAFETY: installs no handler.
        unsafe { signal(which, SigHandler::SigDfl) }?;
    }
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Makes sure that children which end can be waited for: where whoever started us ignores SIGCHLD,
/// the kernel would take them away before.
///
/// # Errors
/// Those of sigaction(2).
pub fn waitable() -> io::Result<()> {
    // SAFETY: installs no handler.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
    Ok(())
}

/// Keeps to ourselves what whoever started us left open: all but standard input, standard
/// output and standard error is closed in programs that are executed.
///
/// # Errors
/// Those of close_range(2).
pub fn own_descriptors() -> io::Result<()> {
    // SAFETY: changes a flag of descriptors, and takes no pointers.
    let marked = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    match marked {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
