//! Reading a report. It is root's own file, and read with care all the same: people pass
//! reports on.

use std::path::Path;

use extension::{Error, Result};
use policy::escape;
use policy::file::{self, Links};
use serde_json::Value;

use super::missing;
use crate::input::shown;

/// The largest report that is read, in bytes. A list of extensions has 1 MiB at most; what
/// survives has a few names more.
const LIMIT: u64 = 64 << 20;

/// A report as it was read.
pub struct Read {
    /// The text, with a newline at its end.
    pub text: String,
    /// The same, parsed: a JSON object.
    pub value: Value,
}

/// Reads a report.
///
/// # Errors
/// There is none, it cannot be read, it is too large, or it is no report.
pub fn read(path: &Path) -> Result<Read> {
    let bytes = match file::read(path, LIMIT, Links::Follow) {
        Ok(Some((bytes, _))) => bytes,
        Ok(None) => return Err(missing(path)),
        Err(reason) => {
            return Err(Error::input(format!(
                "the report {} {reason}; name another with --report, or read it as root",
                shown(path)
            )));
        }
    };
    parse(bytes).map_err(|reason| {
        Error::input(format!(
            "{} {reason}; it is not what switch_root wrote, which is there whole or not at all",
            shown(path)
        ))
    })
}

/// Takes bytes for a report.
///
/// # Errors
/// What follows the name of the file in a sentence.
pub fn parse(bytes: Vec<u8>) -> std::result::Result<Read, String> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        format!("is not UTF-8: the byte at offset {at} is wrong")
    })?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| format!("is not JSON: {}", escape::message(&error.to_string(), 256)))?;
    if !value["schema"].is_u64() {
        return Err("is not a report: it has no number `schema`".into());
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(Read { text, value })
}
