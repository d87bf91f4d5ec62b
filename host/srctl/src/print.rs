//! What goes to standard output.

use std::fs::Permissions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape;
use switch_root_core::output::{AtomicFile, cannot_write};

use crate::progress::beside_bars;
use crate::streams;

/// Prints a text for people. A reader that has had enough, such as `head`, is no error.
pub fn print(text: &str) -> Result<()> {
    exactly(&escape::visible(&streams::renamed(text)))
}

/// Prints what programs read, as it is.
pub fn exactly(text: &str) -> Result<()> {
    if streams::is_product() {
        // Nothing else goes to standard output.
        say(text);
        return Ok(());
    }
    let mut output = std::io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::system(Attempt::Output, &error))
        }
        _ => Ok(()),
    }
}

/// A text without what controls the terminal, but for its ends of lines: whatever a message
/// quotes, be it of the command line, cannot do that.
pub fn harmless(text: &str) -> String {
    let lines = text
        .split('\n')
        .map(|line| escape::message(line, usize::MAX));
    lines.collect::<Vec<_>>().join("\n")
}

/// Says something on standard error. Where nobody can hear it, the work goes on.
pub fn say(text: &str) {
    let _ = beside_bars(text.as_bytes());
}

/// The file that a command prints to, where it is not standard output.
pub fn to_file(output: Option<&Path>) -> Option<&Path> {
    output.filter(|path| *path != Path::new("-"))
}

/// Prints a value as JSON.
pub fn json(value: &serde_json::Value) -> Result<()> {
    let mut value = value.clone();
    streams::rename(&mut value);
    exactly(&format!("{value:#}\n"))
}

/// Prints a text as it is, or writes it to a file that is there whole or not at all, and that
/// everybody may read.
///
/// # Errors
/// The file cannot be written.
pub fn to(output: Option<&Path>, text: &str) -> Result<()> {
    let text = &streams::renamed(text);
    let Some(path) = to_file(output) else {
        return exactly(text);
    };
    let mut output = AtomicFile::create(path)?;
    output
        .write_all(text.as_bytes())
        .map_err(|error| cannot_write(path, &error))?;
    // Whatever the umask, and what was there: somebody else is to read it.
    output
        .as_file()
        .set_permissions(Permissions::from_mode(0o644))
        .map_err(|error| cannot_write(path, &error))?;
    output.commit()
}

/// A report as JSON.
pub fn value(report: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(report).map_err(|error| Error::system(Attempt::Json, &error.into()))
}
