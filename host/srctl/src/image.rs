//! `srctl image`.

pub mod add_policy;
pub mod stage;

use clap::Subcommand;
use switch_root_core::error::Result;
use switch_root_core::progress::Progress;

use crate::command::row::{GROUP, Row};
use crate::outcome::Outcome;

/// `srctl image`.
#[derive(Debug, Subcommand)]
pub enum Image {
    /// Put policies into an initramfs: verified, loaded once, and compiled. A policy of the same
    /// name is replaced.
    AddPolicy(add_policy::AddPolicy),
    /// Put this machine's policies into the root of an initramfs under construction: loaded
    /// once, compiled, and with the signers that it accepts. For what makes initramfs images.
    ///
    /// Taken are /usr/lib/switch-root/policies.d, /etc/switch-root/policies.d and, for the signers
    /// that are accepted, /etc/switch-root/trust/*.signers. A policy that a boot would not run is
    /// left out, with a warning. A compiled form that lies beside a policy already and is accepted
    /// is taken as it is.
    Stage(stage::Stage),
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "image",
    unfit: Some("a policy would be left out"),
    unknown: None,
    examples: &[
        "srctl image add-policy initrd.img keep-logs.wasm -o new.img",
        "srctl image stage /tmp/initramfs --strict",
    ],
    ..GROUP
};

/// Runs one of the commands; `quiet` is for those that tell what they did.
pub fn run(command: &Image, quiet: bool, progress: &dyn Progress) -> Result<Outcome> {
    match command {
        Image::AddPolicy(options) => add_policy::run(options, progress),
        Image::Stage(options) => stage::run(options, quiet, progress),
    }
}
