//! Waiting for the deletion to end: for the report's directory to get another one.

use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use switch_root_core::error::{Error, Result};
use switch_root_core::interrupt;

use super::read::{Read, read};
use crate::input::shown;

switch_root_core::outcomes! {
    /// Why the end of the deletion is not waited for.
    pub(crate) enum NotWaited in "srctl" {
        /// The system's own words follow. Without `--wait` the report is shown as it is.
        "SR-H65" Change { path: String } = "cannot wait for {path} to change",
    }
}

/// Reads a report, and reads it again whenever there is a new one, until it says that the
/// deletion has ended, or the time is over.
///
/// # Errors
/// See [`read`]; or the system does not let us wait.
pub fn finished(path: &Path, until: Instant) -> Result<Read> {
    let mut report = read(path)?;
    if !report.report.is_running() || Instant::now() >= until {
        return Ok(report);
    }
    let fail = |error: std::io::Error| {
        let path = shown(path);
        Error::system(NotWaited::Change { path }, &error)
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
        .map_err(|error| fail(error.into()))?;
    let events = WatchFlags::MOVED_TO | WatchFlags::CLOSE_WRITE;
    inotify::add_watch(&watch, directory, events).map_err(|error| fail(error.into()))?;
    loop {
        // Once more after the watch was set: it may have changed before.
        report = read(path)?;
        let left = until.saturating_duration_since(Instant::now());
        if !report.report.is_running() || left.is_zero() {
            return Ok(report);
        }
        interrupt::check()?;
        let mut polled = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
        // Not rounded down to no time at all, which would spin.
        let left = left + std::time::Duration::from_millis(1);
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut polled, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(fail(error.into())),
        }
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&watch, &mut buffer);
        // Which names came does not matter: the report is read in any case.
        while reader.next().is_ok() {}
    }
}
