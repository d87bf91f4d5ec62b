//! `srctl policy`.

mod sign;
pub mod trust;
mod verify;

use std::path::Path;

use extension::{Error, Result};
use policy::limits::fixed;

use crate::command::policy::Policy;
use crate::input;
use crate::outcome::Outcome;

/// Runs one of the commands.
pub fn run(command: &Policy) -> Result<Outcome> {
    match command {
        Policy::Sign(options) => sign::run(options),
        Policy::Verify(options) => verify::run(options),
    }
}

/// Reads the file of a policy.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    let bytes = input::read_up_to(file, fixed::POLICY_FILE)?;
    if bytes.is_empty() {
        return Err(Error::input(format!(
            "{} is empty: it is no policy, but masks one",
            input::shown(file)
        )));
    }
    Ok(bytes)
}
