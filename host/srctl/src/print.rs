//! What goes to standard output.

use std::io::{ErrorKind, Write};

use extension::{Error, Result};

use crate::progress::beside_bars;

/// Prints a text. A reader that has had enough, such as `head`, is no error.
pub fn print(text: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::system("cannot write to standard output", &error))
        }
        _ => Ok(()),
    }
}

/// Says something on standard error. Where nobody can hear it, the work goes on.
pub fn say(text: &str) {
    let _ = beside_bars(text.as_bytes());
}

/// Prints a value as JSON.
pub fn json(value: &serde_json::Value) -> Result<()> {
    print(&format!("{value:#}\n"))
}
