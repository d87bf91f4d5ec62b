//! `srctl image`.

mod add_policy;

use extension::Result;

use crate::command::image::Image;
use crate::outcome::Outcome;

/// Runs one of the commands.
pub fn run(command: &Image) -> Result<Outcome> {
    match command {
        Image::AddPolicy(options) => add_policy::run(options),
    }
}
