//! Reading files that may be anything: too large, a FIFO that never ends, a
//! device, a link to somewhere else.

use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Whether a symbolic link may stand at the end of the path.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Followed, as usual.
    Follow,
    /// An error.
    Refuse,
}

/// Opens and reads a regular file of at most `limit` bytes.
///
/// # Errors
/// `Ok(None)` where there is no such file; otherwise a sentence without the
/// path: not a regular file, a symbolic link, too large, or the system's word.
pub fn read(path: &Path, limit: u64, links: Links) -> Result<Option<(Vec<u8>, Metadata)>, String> {
    match open(path, links)? {
        Some(file) => contents(file, limit).map(Some),
        None => Ok(None),
    }
}

/// Opens a file to be read, whatever it is.
///
/// # Errors
/// As of [`read`].
pub fn open(path: &Path, links: Links) -> Result<Option<File>, String> {
    let nofollow = if links == Links::Refuse {
        libc::O_NOFOLLOW
    } else {
        0
    };
    let opened = File::options()
        .read(true)
        // A FIFO without a writer would block the boot for ever.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | nofollow)
        .open(path);
    match opened {
        Ok(file) => Ok(Some(file)),
        // Where something above it is no directory, there is no such file either.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(None)
        }
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) && links == Links::Refuse => {
            Err("is a symbolic link; put the file itself there".into())
        }
        // What open(2) says of a socket.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => {
            Err("is not a regular file".into())
        }
        Err(error) => Err(format!("cannot be opened: {error}")),
    }
}

/// Reads an open file under the same rules as [`read`].
///
/// # Errors
/// A sentence without the path.
pub fn read_open(fd: OwnedFd, limit: u64) -> Result<Vec<u8>, String> {
    contents(File::from(fd), limit).map(|(bytes, _)| bytes)
}

/// Checks that bytes begin as a component does.
///
/// # Errors
/// What else they are: what follows the file's name in a sentence.
pub fn check_component(wasm: &[u8]) -> Result<(), &'static str> {
    match wasm {
        // Magic number and version of a core module, and of a component.
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(
            "is a core module, not a component; build it with the policy SDK, or wrap it with `wasm-tools component new`",
        ),
        [b'\0', b'a', b's', b'm', ..] => Ok(()),
        _ => Err("is not WebAssembly"),
    }
}

/// Says that a file of this many bytes is larger than what is read.
pub fn too_large(bytes: u64, limit: u64) -> String {
    format!("is {bytes} bytes large; at most {limit} are read")
}

/// Says that a file of this many bytes is too large for the memory that is left.
pub fn no_memory(bytes: u64) -> String {
    format!("cannot be read: there is no memory for its {bytes} bytes")
}

/// What the system says of an open file, which is to be a regular one of at most `limit`
/// bytes.
///
/// # Errors
/// A sentence without the path.
pub fn examine(file: &File, limit: u64) -> Result<Metadata, String> {
    let metadata = file
        .metadata()
        .map_err(|error| format!("cannot be examined: {error}"))?;
    if !metadata.is_file() {
        return Err("is not a regular file".into());
    }
    if metadata.len() > limit {
        return Err(too_large(metadata.len(), limit));
    }
    Ok(metadata)
}

/// Reads an open file like [`read_open`], with what the system says of it.
///
/// # Errors
/// A sentence without the path.
pub fn contents(file: File, limit: u64) -> Result<(Vec<u8>, Metadata), String> {
    let metadata = examine(&file, limit)?;
    let mut bytes = Vec::new();
    // Too large for the memory that is left is an error like any other.
    bytes
        .try_reserve_exact(metadata.len() as usize)
        .map_err(|_| no_memory(metadata.len()))?;
    // One byte more than allowed shows a file that has grown meanwhile.
    (&file)
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > limit {
        return Err(format!("is larger than the {limit} bytes that are read"));
    }
    Ok((bytes, metadata))
}
