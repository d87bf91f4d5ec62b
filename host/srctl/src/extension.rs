//! `srctl extension`.

mod findings;
pub mod install;
pub mod list;
pub mod pack;
pub mod pull;
pub mod record;
pub mod unpacked;
pub mod validate;

use clap::Subcommand;
use switch_root_core::error::Result;
use switch_root_core::progress::Progress;

use crate::command::row::{GROUP, Row};
use crate::outcome::Outcome;

pub use pack::compression;
pub use validate::verdict_tone;

/// `srctl extension`.
#[derive(Debug, Subcommand)]
pub enum Extension {
    /// Fetch images and unpack each into a folder.
    Pull(pull::Pull),
    /// List the extensions of a folder.
    List(list::List),
    /// Check the extensions of a folder, and ask the policies about them.
    Validate(validate::Validate),
    /// Make a compressed archive of layers and extensions.yaml, to be appended to an initramfs.
    Pack(pack::Pack),
    /// Put the extensions of a machine configuration into an initramfs: pull, check, ask the
    /// policies, pack, append. Extensions of an earlier install are replaced.
    Install(install::Install),
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "extension",
    unknown: Some("whether kernel modules are for the machine's kernel is not known"),
    unfit: Some("an extension is invalid or incompatible"),
    examples: &[
        "srctl extension pull ghcr.io/siderolabs/gvisor:20240101.0 -o extensions",
        "srctl extension validate extensions --os-release /etc/os-release",
    ],
    ..GROUP
};

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
