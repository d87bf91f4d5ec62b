//! Reading files that may be anything: too large, a FIFO that never ends, a
//! device, a link to somewhere else.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

crate::outcomes! {
    /// Why a file is not read: what follows its name in a sentence.
    pub enum Unreadable in "policy-files" {
        /// The file in question, be it a policy, a sidecar, `extensions.yaml` or an image. Links are
        /// refused where what they lead to would not be moved with them.
        "SR-F01" Examining { error: io::Error } = "cannot be examined: {error}",
        "SR-F02" Opening { error: io::Error } = "cannot be opened: {error}",
        "SR-F03" Reading { error: io::Error } = "cannot be read: {error}",
        "SR-F04" NoMemory { size: u64 } = "cannot be read: there is no memory for its {size} bytes",
        "SR-F05" NotRegular = "is not a regular file",
        "SR-F06" Link = "is a symbolic link; put the file itself there",
        /// Policies may have 64 MiB, sidecars, lists of signers and `extensions.yaml` 1 MiB, signatures
        /// 16 KiB.
        "SR-F07" TooLarge { size: u64, limit: u64 } = "is {size} bytes large; at most {limit} are read",
        "SR-F08" Growing { limit: u64 } = "is larger than the {limit} bytes that are read",
        /// Something writes to a `.cwasm` while the machine switches. Make the image again.
        "SR-F09" Changing = "changes while it is read",
        /// Often the package that the link leads to was not put into the initramfs.
        "SR-F10" Dangling = "is a link to nothing",
    }
}

crate::outcomes! {
    /// Why bytes are not a component: what follows the file's name in a sentence.
    pub enum NoComponent in "policy-files" {
        /// The file has another format, or is truncated.
        "SR-P20" NotWebAssembly = "is not WebAssembly",
        /// The build ended one step too early: `srctl policy build` goes all the way.
        "SR-P21" CoreModule = "is a core module, not a component; build it with the policy SDK, or wrap it with `wasm-tools component new`",
    }
}

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
pub fn read(
    path: &Path,
    limit: u64,
    links: Links,
) -> Result<Option<(Vec<u8>, Metadata)>, Unreadable> {
    match open(path, links)? {
        Some(file) => contents(file, limit).map(Some),
        None => Ok(None),
    }
}

/// Opens a file to be read, whatever it is.
///
/// # Errors
/// As of [`read`].
pub fn open(path: &Path, links: Links) -> Result<Option<File>, Unreadable> {
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
            Err(Unreadable::Link)
        }
        // What open(2) says of a socket.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Err(Unreadable::NotRegular),
        Err(error) => Err(Unreadable::Opening { error }),
    }
}

/// Reads an open file under the same rules as [`read`].
///
/// # Errors
/// A sentence without the path.
pub fn read_open(fd: OwnedFd, limit: u64) -> Result<Vec<u8>, Unreadable> {
    contents(File::from(fd), limit).map(|(bytes, _)| bytes)
}

/// Checks that bytes begin as a component does.
///
/// # Errors
/// What else they are: what follows the file's name in a sentence.
pub fn check_component(wasm: &[u8]) -> Result<(), NoComponent> {
    match wasm {
        // Magic number and version of a core module, and of a component.
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(NoComponent::CoreModule),
        [b'\0', b'a', b's', b'm', ..] => Ok(()),
        _ => Err(NoComponent::NotWebAssembly),
    }
}

/// What the system says of an open file, which is to be a regular one of at most `limit`
/// bytes.
///
/// # Errors
/// A sentence without the path.
pub fn examine(file: &File, limit: u64) -> Result<Metadata, Unreadable> {
    let metadata = file
        .metadata()
        .map_err(|error| Unreadable::Examining { error })?;
    if !metadata.is_file() {
        return Err(Unreadable::NotRegular);
    }
    let size = metadata.len();
    if size > limit {
        return Err(Unreadable::TooLarge { size, limit });
    }
    Ok(metadata)
}

/// Reads an open file like [`read_open`], with what the system says of it.
///
/// # Errors
/// A sentence without the path.
pub fn contents(file: File, limit: u64) -> Result<(Vec<u8>, Metadata), Unreadable> {
    let metadata = examine(&file, limit)?;
    let size = metadata.len();
    let mut bytes = Vec::new();
    // Too large for the memory that is left is an error like any other.
    bytes
        .try_reserve_exact(size as usize)
        .map_err(|_| Unreadable::NoMemory { size })?;
    // One byte more than allowed shows a file that has grown meanwhile.
    (&file)
        .take(limit + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Unreadable::Reading { error })?;
    if bytes.len() as u64 > limit {
        return Err(Unreadable::Growing { limit });
    }
    Ok((bytes, metadata))
}
