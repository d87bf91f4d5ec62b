//! Running programs of this machine that make what tests need.

use std::io;
use std::process::Command;

/// Runs a program, and gives what it prints. It reads nothing, unless the command says
/// what.
///
/// # Errors
/// It cannot be started, or it fails: with what it says.
pub fn output(command: &mut Command) -> io::Result<Vec<u8>> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(io::Error::other(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))),
    }
}
