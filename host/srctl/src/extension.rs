//! `srctl extension`.

mod findings;
mod install;
mod list;
mod pack;
mod pull;
mod validate;

use std::path::Path;

use extension::folder::{self, Unpacked};
use extension::validate::{self as checks, Checked, Finding};
use serde_json::Value;
use switch_root_core::contract::Extension as Record;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape::Shown;
use switch_root_core::extensions;
use switch_root_core::progress::Progress;

use crate::command::Extension;
use crate::input::shown;
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

/// Reads the extensions of a folder, and checks them.
fn checked(folder: &Path, progress: &dyn Progress) -> Result<(Vec<Checked>, Vec<Finding>)> {
    let task = progress.begin(&folder.shown(), None);
    task.say("reading");
    checks::validate(&folders(folder)?)
}

/// The extensions of a folder, which must be there: that a misspelt one has none would be
/// taken for an answer.
fn folders(folder: &Path) -> Result<Vec<Unpacked>> {
    if !folder.exists() {
        return Err(Error::new(
            Kind::NotFound,
            format!(
                "there is no folder {}; name one as `srctl extension pull` makes it, with a folder for each extension",
                shown(folder)
            ),
        ));
    }
    folder::list(folder)
}

/// What policies are told of an extension: its layer, and the metadata that is
/// recorded with it.
fn record(image: &str, digest: Option<&str>, metadata: &Value) -> Result<Record> {
    // By way of the file that is read at boot, so that both are the same.
    let written = extensions::to_write(image, digest, metadata);
    let file = extensions::render(&[written]);
    let mut read = extensions::parse(file.as_bytes()).map_err(|reason| {
        Error::input(format!(
            "the metadata of {image} cannot be recorded: {reason}"
        ))
    })?;
    read.pop()
        .ok_or_else(|| Error::input(format!("the metadata of {image} is lost when recorded")))
}
