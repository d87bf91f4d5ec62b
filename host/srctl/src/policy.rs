//! `srctl policy`.

mod about;
mod bench;
mod build;
mod compile;
mod inspect;
mod new;
mod pull;
mod push;
mod run;
mod sign;
mod test;
pub mod trust;
mod verify;

use std::path::{Path, PathBuf};

use oci::artifact::Access;
use oci::registries::Registries;
use switch_root_core::error::{Error, Result};
use switch_root_core::limits::fixed;
use switch_root_core::progress::Progress;
use toolkit::project::component;

use crate::access;
use crate::command::policy::{Policy, Registry};
use crate::input;
use crate::outcome::Outcome;

/// Runs one of the commands.
pub fn run(command: &Policy, progress: &dyn Progress) -> Result<Outcome> {
    match command {
        Policy::Sign(options) => sign::run(options),
        Policy::Verify(options) => verify::run(options),
        Policy::New(options) => new::run(options),
        Policy::Build(options) => build::run(options),
        Policy::Test(options) => test::run(options, progress),
        Policy::Run(options) => run::run(options, progress),
        Policy::Inspect(options) => inspect::run(options),
        Policy::Compile(options) => compile::run(options, progress),
        Policy::Bench(options) => bench::run(options, progress),
        Policy::Push(options) => push::run(options, progress),
        Policy::Pull(options) => pull::run(options, progress),
    }
}

/// A report as JSON.
pub fn value(report: &impl serde::Serialize) -> Result<serde_json::Value> {
    serde_json::to_value(report).map_err(|error| Error::system("cannot write JSON", &error.into()))
}

/// Microseconds for people.
pub fn time(us: u64) -> String {
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

/// The files of policies, of which some are named by the folders of their projects.
pub fn components(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    paths.iter().map(|path| component(path)).collect()
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
