//! Reading the files that the command line names.

use std::io::Read;
use std::path::Path;

use switch_root_core::error::{Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::reading::{self, cannot_read};

switch_root_core::outcomes! {
    /// Why a file of the command line is not read.
    pub(crate) enum Unread in "srctl" {
        /// It is another file than was meant, or another kind of file.
        "SR-H02" TooLarge { path: String, limit: u64 } = "cannot read {path}: it is larger than the {limit} bytes that are read",
        "SR-H03" NotText { path: String, offset: usize } = "cannot read {path}: it is not UTF-8: the byte at offset {offset} is wrong",
    }
}

/// The largest text file that is read, in bytes.
const LIMIT: u64 = 16 << 20;

/// Reads a file whole, whatever it is: a pipe from a shell, too.
///
/// # Errors
/// The path, and why it cannot be read.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_up_to(path, LIMIT)
}

/// The same, of at most `limit` bytes.
///
/// # Errors
/// See [`read`].
pub fn read_up_to(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reading::stream(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| cannot_read(path, &error))?;
    if bytes.len() as u64 > limit {
        let path = path.shown();
        return Err(Error::input(Unread::TooLarge { path, limit }));
    }
    Ok(bytes)
}

/// A path for people.
pub fn shown(path: &Path) -> String {
    escape::path(path.as_os_str().as_encoded_bytes())
}

/// Reads a text file.
///
/// # Errors
/// See [`read`].
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read(path)?).map_err(|error| {
        Error::input(Unread::NotText {
            path: path.shown(),
            offset: error.utf8_error().valid_up_to(),
        })
    })
}
