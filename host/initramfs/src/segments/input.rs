//! The file that an initramfs is read from.

use std::fs::File;
use std::io::{self, BufRead, Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use switch_root_core::error::Attempt;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

use crate::compression::LOOKAHEAD;
use switch_root_core::reading;

switch_root_core::outcomes! {
    /// Why a file is no initramfs.
    pub enum Unfit in "images" {
        /// A folder, a device or a pipe was named.
        "SR-G20" NotRegular { path: String } = "cannot read {path}: it is not a regular file; name the file that holds the initramfs",
        /// What made it has failed, often for a full disk.
        "SR-G21" Empty { path: String } = "{path} is empty, so it is no initramfs",
    }
}

const BUFFER: usize = 128 * 1024;

/// A file that knows where it stands, and shows some bytes before they are read.
pub struct Input {
    file: File,
    shown: String,
    buffer: Vec<u8>,
    /// What of `buffer` has not been read yet.
    unread: std::ops::Range<usize>,
    offset: u64,
}

impl Input {
    /// Opens a regular file.
    pub fn open(path: &Path) -> Result<Self> {
        let shown = escape::path(path.as_os_str().as_bytes());
        Self::opened(reading::regular(path)?, shown)
    }

    /// Takes a regular file that is open, at its beginning. `shown` stands in errors.
    pub fn opened(file: File, shown: String) -> Result<Self> {
        let metadata = file.metadata().map_err(|error| {
            let path = shown.clone();
            Error::system(Attempt::Read { path }, &error)
        })?;
        if !metadata.is_file() {
            return Err(Error::input(Unfit::NotRegular { path: shown }));
        }
        if metadata.len() == 0 {
            return Err(Error::input(Unfit::Empty { path: shown }));
        }
        Ok(Self {
            file,
            shown,
            buffer: vec![0; BUFFER],
            unread: 0..0,
            offset: 0,
        })
    }

    /// The path, for errors.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// How many bytes have been read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Goes to an offset.
    pub fn go_to(&mut self, offset: u64) -> Result<()> {
        self.unread = 0..0;
        self.offset = offset;
        self.file
            .seek(SeekFrom::Start(offset))
            .map(drop)
            .map_err(|error| self.failed(&error))
    }

    /// The next bytes, at most [`LOOKAHEAD`]; fewer are the end.
    pub fn peek(&mut self) -> Result<&[u8]> {
        match self.fill() {
            Ok(()) => {
                Ok(&self.buffer
                    [self.unread.start..self.unread.end.min(self.unread.start + LOOKAHEAD)])
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Reads over zeros, and tells how many they were.
    pub fn skip_zeros(&mut self) -> Result<u64> {
        let start = self.offset;
        loop {
            switch_root_core::interrupt::check()?;
            self.fill().map_err(|error| self.failed(&error))?;
            let unread = &self.buffer[self.unread.clone()];
            let zeros = unread.iter().take_while(|byte| **byte == 0).count();
            let all = zeros == unread.len();
            self.consume(zeros);
            if !all || zeros == 0 {
                return Ok(self.offset - start);
            }
        }
    }

    /// That it cannot be read.
    pub fn failed(&self, error: &io::Error) -> Error {
        let path = self.shown.clone();
        Error::system(Attempt::Read { path }, error)
    }

    /// Reads until there is as much as is shown.
    fn fill(&mut self) -> io::Result<()> {
        while self.unread.len() < LOOKAHEAD {
            self.buffer.copy_within(self.unread.clone(), 0);
            self.unread = 0..self.unread.len();
            match self.file.read(&mut self.buffer[self.unread.end..]) {
                Ok(0) => break,
                Ok(length) => self.unread.end += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(buffer)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Input {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.fill()?;
        Ok(&self.buffer[self.unread.clone()])
    }

    fn consume(&mut self, length: usize) {
        let length = length.min(self.unread.len());
        self.unread.start += length;
        self.offset += length as u64;
    }
}
