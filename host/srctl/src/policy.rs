//! `srctl policy`.

mod build;
mod new;

use extension::Result;

use crate::command::policy::Policy;
use crate::outcome::Outcome;

/// Runs one of its commands.
pub fn run(what: &Policy) -> Result<Outcome> {
    match what {
        Policy::New(command) => new::run(command),
        Policy::Build(command) => build::run(command),
    }
}
