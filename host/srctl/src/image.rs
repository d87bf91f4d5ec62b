//! `srctl image`.

mod add_policy;
mod stage;

use switch_root_core::error::Result;
use switch_root_core::progress::Progress;

use crate::command::image::Image;
use crate::outcome::Outcome;

/// Runs one of the commands; `quiet` is for those that tell what they did.
pub fn run(command: &Image, quiet: bool, progress: &dyn Progress) -> Result<Outcome> {
    match command {
        Image::AddPolicy(options) => add_policy::run(options, progress),
        Image::Stage(options) => stage::run(options, quiet, progress),
    }
}
