//! Opening and reading what a command line or an environment names, which may be anything: a
//! FIFO that nobody writes to, or a terminal where nobody types, must not hold the program
//! beyond the first signal.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{Attempt, Error, Result};
use crate::escape::Shown;
use crate::interrupt;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

crate::outcomes! {
    /// Why a file is not read.
    pub enum NotRead in "system" {
        /// Another file was meant, or one that was not made.
        "SR-U27" Directory { path: String } = "cannot read {path}: it is a directory, and not a regular file; name a file",
        "SR-U28" NotRegular { path: String } = "cannot read {path}: it is not a regular file; name a file, or write what comes through a pipe to one first",
    }
}

/// How long a signal may stay unnoticed that comes just before something is waited for, in
/// milliseconds.
const STEP: u16 = 200;

/// Opens a regular file, and nothing else: what is read from its end, or more than once.
///
/// # Errors
/// The path, why it cannot be read, and what to do.
pub fn regular(path: &Path) -> Result<File> {
    let file = open(path).map_err(|error| match error.raw_os_error() {
        // What open(2) says of a socket.
        Some(libc::ENXIO) => not_regular(path),
        _ => cannot_read(path, &error),
    })?;
    let metadata = file.metadata().map_err(|error| cannot_read(path, &error))?;
    match (metadata.is_file(), metadata.is_dir()) {
        (true, _) => Ok(file),
        (_, true) => Err(Error::input(NotRead::Directory { path: path.shown() })),
        _ => Err(not_regular(path)),
    }
}

/// Opens whatever there is, to be read once, from its beginning.
///
/// # Errors
/// As of open(2); [`cannot_read`] makes a sentence of it.
pub fn stream(path: &Path) -> io::Result<Stream<File>> {
    open(path).map(Stream)
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        // open(2) would wait for the writer of a FIFO.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
}

/// What may have to be waited for: a signal ends that, with [`interrupt::check`]'s error.
pub struct Stream<S>(pub S);

impl<S: AsFd + Read> Read for Stream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            interrupt::check()?;
            let mut waited = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            // Of a FIFO that nobody has opened yet poll(2), unlike read(2), says no end.
            match poll(&mut waited, PollTimeout::from(STEP)) {
                Ok(0) | Err(Errno::EINTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            match self.0.read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
        }
    }
}

fn not_regular(path: &Path) -> Error {
    Error::input(NotRead::NotRegular { path: path.shown() })
}

/// That a file or folder cannot be read, with what to do where that is known.
pub fn cannot_read(path: &Path, error: &io::Error) -> Error {
    cannot(Attempt::Read { path: path.shown() }, path, error)
}

/// The same of what else was attempted with it.
pub fn cannot(attempt: Attempt, path: &Path, error: &io::Error) -> Error {
    let advice = match error.kind() {
        ErrorKind::NotFound if fs::symlink_metadata(path).is_ok() => {
            "; it is a dangling symbolic link: correct the link, or name another path"
        }
        ErrorKind::NotFound | ErrorKind::NotADirectory => "; check the path",
        ErrorKind::PermissionDenied => "; run srctl as a user who may read it, such as root",
        ErrorKind::IsADirectory => "; name a file",
        _ => "",
    };
    Error::system(attempt, error).advised(advice)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn only_regular_files_are_opened_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        mkfifo(&path("fifo"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        symlink("nowhere", path("dangling")).unwrap();
        fs::write(path("file"), "text").unwrap();
        assert!(regular(&path("file")).is_ok());
        for (name, words) in [
            ("fifo", "is not a regular file; name a file, or write"),
            ("socket", "is not a regular file"),
            ("dangling", "is a dangling symbolic link: correct"),
            (
                "none",
                "No such file or directory (os error 2); check the path",
            ),
            (
                "file/below",
                "Not a directory (os error 20); check the path",
            ),
            (".", "is a directory, and not a regular file; name a file"),
        ] {
            let error = regular(&path(name)).unwrap_err().to_string();
            assert!(error.starts_with("cannot read /"), "{error}");
            assert!(error.contains(words), "{error}");
        }
        let device = regular(Path::new("/dev/null")).unwrap_err().to_string();
        assert!(device.contains("not a regular file"), "{device}");
    }

    #[test]
    fn stream_of_a_fifo_ends_with_its_writer() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let mut stream = stream(&fifo).unwrap();
        let writing = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(50));
            let mut writer = File::options().write(true).open(fifo).unwrap();
            writer.write_all(b"te").unwrap();
            std::thread::sleep(std::time::Duration::from_millis(50));
            writer.write_all(b"xt").unwrap();
        });
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        writing.join().unwrap();
        assert_eq!(text, "text");
    }
}
