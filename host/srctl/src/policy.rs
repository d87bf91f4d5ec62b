//! `srctl policy`.

mod bench;
mod compile;
mod inspect;
mod pull;
mod push;
mod test;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use extension::artifact::Access;
use extension::progress::Progress;
use extension::registries::Registries;
use extension::{Error, Result};

use crate::access;
use crate::command::policy::{Policy, Registry};
use crate::outcome::Outcome;

/// Runs one of the commands.
pub fn run(command: &Policy, progress: &dyn Progress) -> Result<Outcome> {
    match command {
        Policy::Test(options) => test::run(options),
        Policy::Inspect(options) => inspect::run(options),
        Policy::Compile(options) => compile::run(options),
        Policy::Bench(options) => bench::run(options, progress),
        Policy::Push(options) => push::run(options, progress),
        Policy::Pull(options) => pull::run(options, progress),
    }
}

/// A report as JSON.
fn value(report: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(report).map_err(|error| Error::system("cannot write JSON", &error.into()))
}

/// Microseconds for people.
fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
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
