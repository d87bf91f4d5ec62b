//! `srctl extension`.

mod findings;
mod install;
mod list;
mod pack;
mod pull;
mod record;
mod unpacked;
mod validate;

use switch_root_core::error::Result;
use switch_root_core::progress::Progress;

use crate::command::Extension;
use crate::outcome::Outcome;

pub use pack::compression;
pub use validate::verdict_tone;

/// Runs one of the commands.
pub fn run(command: &Extension, progress: &dyn Progress) -> Result<Outcome> {
    match command {
        Extension::Pull(options) => pull::run(options, progress),
        Extension::List(options) => list::run(options, progress),
        Extension::Validate(options) => validate::run(options, progress),
        Extension::Pack(options) => pack::run(options, progress),
        Extension::Install(options) => install::run(options, progress),
    }
}
