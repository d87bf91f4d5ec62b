//! Calls are read from the registers of x86_64: on other machines none are watched.

use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::os::fd::OwnedFd;

use nix::unistd::Pid;

use crate::fault::{Call, Watch};
use crate::outcome::End;

/// Would follow the system calls of a subject.
pub struct Watcher<'a>(Infallible, PhantomData<&'a OwnedFd>);

impl<'a> Watcher<'a> {
    /// Begins to watch a process.
    ///
    /// # Errors
    /// Always: that it cannot be done here.
    pub fn seize(_first: Pid, _watch: Watch, _proc: &'a OwnedFd) -> io::Result<Self> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "system calls are watched on x86_64 alone",
        ))
    }

    /// As on x86_64.
    ///
    /// # Errors
    /// None: there is no such value.
    pub fn signals(&self) -> io::Result<OwnedFd> {
        match self.0 {}
    }

    /// As on x86_64.
    ///
    /// # Errors
    /// None: there is no such value.
    pub fn attend(&mut self) -> io::Result<()> {
        match self.0 {}
    }

    /// As on x86_64.
    ///
    /// # Errors
    /// None: there is no such value.
    pub fn finish(self) -> io::Result<(End, Vec<Call>)> {
        match self.0 {}
    }
}
