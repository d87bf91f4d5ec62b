//! `srctl policy`.

mod build;
mod new;
mod pull;
mod push;
mod test;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use extension::Result;
use extension::artifact::Access;
use extension::progress::Progress;
use extension::registries::Registries;

use crate::access;
use crate::command::policy::{Policy, Registry};
use crate::outcome::Outcome;

/// Runs one of the commands.
pub fn run(command: &Policy, progress: &dyn Progress) -> Result<Outcome> {
    match command {
        Policy::New(options) => new::run(options),
        Policy::Build(options) => build::run(options),
        Policy::Test(options) => test::run(options),
        Policy::Push(options) => push::run(options, progress),
        Policy::Pull(options) => pull::run(options, progress),
    }
}

/// Does something with a registry, reached as the command line wants it.
fn with_access<T>(
    options: &Registry,
    progress: &dyn Progress,
    work: impl FnOnce(&Access<'_>) -> Result<T>,
) -> Result<T> {
    let registries: Registries = access::registries(options.config.as_deref(), &options.access)?;
    work(&Access {
        registries: &registries,
        docker_config: options.access.docker_config.clone(),
        progress,
    })
}

/// The file of a policy's signature, which lies beside it.
fn signature_file(policy: &Path) -> PathBuf {
    let mut name = OsString::from(policy);
    name.push(".sig");
    name.into()
}
