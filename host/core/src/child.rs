//! Processes that are run to their end: what they write, for how long they may run, and what
//! they begin with. Rehearsals and the tests of the whole system run their machines with it.

mod run;
mod start;
mod streams;

use std::io;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

pub use run::{Ran, run, run_between};
pub use start::{default_signals, own_descriptors, waitable};
pub use streams::{Beside, Bounds, Collected, collect};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It was killed when its time was over.
    TimedOut,
}

/// Waits for the end of a child.
///
/// # Errors
/// Those of waitpid(2).
pub fn wait(process: Pid) -> io::Result<End> {
    match waitpid(process, None)? {
        WaitStatus::Exited(_, status) => Ok(End::Exited(status)),
        WaitStatus::Signaled(_, signal, _) => Ok(End::Killed(signal as i32)),
        other => Err(io::Error::other(format!("it ended strangely: {other:?}"))),
    }
}
