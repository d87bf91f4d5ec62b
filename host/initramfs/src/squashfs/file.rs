//! Files that are opened when they are read, and closed when they were, so that
//! there is one descriptor and not as many as there are files.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, openat};
use switch_root_core::error::{Attempt, Error, Kind};
use switch_root_core::progress::Task;
use switch_root_core::{escape, interrupt};

switch_root_core::outcomes! {
    /// Why the contents of a file are not those that a layer has.
    pub enum Unsteady in "layers" {
        /// Something writes to the extension's folder.
        "SR-Q03" Changed { path: String } = "{path} was changed while it was read; leave the extension alone while it is being packed",
    }
}

/// A file below a directory, which must have the size that it had.
pub struct Lazy<'a> {
    root: Arc<OwnedFd>,
    path: PathBuf,
    state: State,
    left: u64,
    task: Option<&'a dyn Task>,
}

enum State {
    Unopened,
    Open(File),
    Ended,
}

impl<'a> Lazy<'a> {
    /// A regular file of this size at a path below `root`; `task` is told what was
    /// read of it.
    pub fn new(root: &Arc<OwnedFd>, path: &Path, size: u64, task: Option<&'a dyn Task>) -> Self {
        Self {
            root: root.clone(),
            path: path.to_owned(),
            state: State::Unopened,
            left: size,
            task,
        }
    }

    fn shown(&self) -> String {
        escape::path(self.path.as_os_str().as_bytes())
    }

    fn changed(&self) -> io::Error {
        let path = self.shown();
        Error::new(Kind::Corrupt, Unsteady::Changed { path }).into()
    }

    fn attempt(&self) -> Attempt {
        Attempt::Read { path: self.shown() }
    }
}

impl Read for Lazy<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        interrupt::check()?;
        if let State::Unopened = self.state {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let file = openat(&self.root, &self.path, flags, Mode::empty())
                .map_err(|error| Error::system(self.attempt(), &error.into()))?;
            self.state = State::Open(file.into());
        }
        let State::Open(file) = &mut self.state else {
            return Ok(0);
        };
        let length = match file.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Error::system(self.attempt(), &error).into());
            }
            length => length?,
        };
        match self.left.checked_sub(length as u64) {
            Some(left) if length > 0 || left == 0 => self.left = left,
            _ => return Err(self.changed()),
        }
        if length == 0 {
            self.state = State::Ended;
        }
        if let Some(task) = self.task {
            task.advance(length as u64);
        }
        Ok(length)
    }
}
