//! Reading the files that the command line names.

use std::io::Read;
use std::path::Path;

use switch_root_core::error::{Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::reading::{self, cannot_read};

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
        return Err(Error::input(format!(
            "cannot read {}: it is larger than the {limit} bytes that are read",
            path.shown()
        )));
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
        Error::input(format!(
            "cannot read {}: it is not UTF-8: the byte at offset {} is wrong",
            path.shown(),
            error.utf8_error().valid_up_to()
        ))
    })
}
