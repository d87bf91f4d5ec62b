//! Reading a report. It is root's own file, and read with care all the same: people pass
//! reports on.

use std::path::Path;

use serde_json::Value;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use switch_root_core::file::{self, Links};
use switch_root_core::outcome::Message;
use switch_root_core::report::SCHEMA;
use switch_root_core::report::read::Report;

use crate::input::shown;

switch_root_core::outcomes! {
    /// Why there is no report to show.
    pub(crate) enum NoReport in "srctl" {
        /// See the sentence. Where the report could not be written, the kernel's log says why.
        "SR-H66" Missing { path: String } = "there is no report {path}: this boot was not switched by switch_root, /run is not that of the boot (in a container, say), or the report could not be written; see the kernel's log (dmesg | grep switch_root) and srctl doctor",
    }
}

switch_root_core::outcomes! {
    /// Why a file is not a report: what follows its name in a sentence.
    pub enum NotAReport in "srctl" {
        /// Another file was named, or something else writes there. `switch_root` puts its report there
        /// whole or not at all.
        "SR-H67" NotText { offset: usize } = "is not UTF-8: the byte at offset {offset} is wrong",
        "SR-H68" NotJson { error: String } = "is not JSON: {error}",
        "SR-H69" NoSchema = "is not a report: it has no number `schema`",
        "SR-H70" Plan = "is not a report: it is a plan, which says what a switch would do",
        "SR-H71" Field { name: &'static str } = "is not a report: its `{name}` is not what a report has there",
        "SR-H72" NoField { name: &'static str } = "is not a report: it has no `{name}`",
        "SR-H73" Unlike { error: String } = "is not a report: {error}",
    }
}

/// The largest report that is read, in bytes. A list of extensions has 1 MiB at most; what
/// survives has a few names more.
const LIMIT: u64 = 64 << 20;

/// A report as it was read.
pub struct Read {
    /// The text, with a newline at its end.
    pub text: String,
    /// The same, parsed.
    pub report: Report,
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
            let path = shown(path);
            let why = |it: &str| {
                format!("the report {path} {it}; name another with --report, or read it as root")
            };
            return Err(Error::input(Message::from(reason).reworded(why)));
        }
    };
    parse(bytes).map_err(|reason| {
        let path = shown(path);
        let why = |it: &str| {
            format!(
                "{path} {it}; it is not what switch_root wrote, which is there whole or not at all"
            )
        };
        Error::input(Message::from(reason).reworded(why))
    })
}

/// Whether a value can be that of a field.
type IsRight = fn(&Value) -> bool;

/// What is in every report of schema 1, since the first release. Two of them are null
/// where they are not known, and `copied` where nothing was copied.
const REQUIRED: [(&str, IsRight); 15] = [
    ("version", Value::is_string),
    ("boot_id", |value| value.is_string() || value.is_null()),
    ("kernel", |value| value.is_string() || value.is_null()),
    ("strategy", Value::is_string),
    ("new_root", Value::is_string),
    ("init", Value::is_string),
    ("policies", Value::is_array),
    ("review", Value::is_object),
    ("judge", Value::is_object),
    ("survivors", Value::is_array),
    ("extensions", Value::is_array),
    ("deletion", |value| value["state"].is_string()),
    ("copied", |value| value.is_object() || value.is_null()),
    ("warnings", Value::is_array),
    ("timings", Value::is_object),
];

/// Whether it is a report: something else would be one in which nothing is wrong. What a
/// newer schema has is not known.
fn check(value: &Value) -> std::result::Result<(), NotAReport> {
    let Some(schema) = value["schema"].as_u64() else {
        return Err(NotAReport::NoSchema);
    };
    if schema > SCHEMA.into() {
        return Ok(());
    }
    let wrong = REQUIRED.iter().find(|(name, is_right)| {
        let found = value.get(name);
        !found.is_some_and(is_right)
    });
    match wrong {
        None => Ok(()),
        Some(_) if value["tree"].is_object() && value["summary"].is_object() => {
            Err(NotAReport::Plan)
        }
        Some((name, _)) if value.get(name).is_some() => Err(NotAReport::Field { name }),
        Some((name, _)) => Err(NotAReport::NoField { name }),
    }
}

/// Takes bytes for a report.
///
/// # Errors
/// What follows the name of the file in a sentence.
pub fn parse(bytes: Vec<u8>) -> std::result::Result<Read, NotAReport> {
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        NotAReport::NotText { offset }
    })?;
    let shown = |error: serde_json::Error| escape::message(&error.to_string(), 256);
    let value: Value = serde_json::from_str(&text).map_err(|error| NotAReport::NotJson {
        error: shown(error),
    })?;
    check(&value)?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let report = serde_json::from_value(value).map_err(|error| NotAReport::Unlike {
        error: shown(error),
    })?;
    Ok(Read { text, report })
}

/// That there is no report at a path.
fn missing(path: &std::path::Path) -> Error {
    Error::new(Kind::NotFound, NoReport::Missing { path: shown(path) })
}
