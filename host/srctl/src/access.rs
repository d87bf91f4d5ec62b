//! How registries are reached, as a machine configuration and the command line say.

use std::path::Path;

use extension::configuration;
use oci::access::Access;
use oci::registries::Registries;
use switch_root_core::error::Result;
use switch_root_core::escape::Shown;
use switch_root_core::progress::Progress;

use crate::command::options::{AccessOptions, Registry};
use crate::input;

/// The settings of a machine configuration, if one is named, and of the command line.
///
/// # Errors
/// The file cannot be read, or is none.
pub fn registries(config: Option<&Path>, options: &AccessOptions) -> Result<Registries> {
    let registries = match config {
        Some(path) => {
            let text = input::read(path)?;
            let read = configuration::parse(&text, &path.shown())?;
            for warning in read.warnings {
                tracing::warn!("{warning}");
            }
            read.registries
        }
        None => Registries::default(),
    };
    Ok(with_plain_http(registries, options))
}

/// Adds the hosts of the command line that may be spoken to without TLS.
pub fn with_plain_http(mut registries: Registries, options: &AccessOptions) -> Registries {
    registries
        .plain_http
        .extend(options.plain_http.iter().cloned());
    registries
}

/// Does something with a registry, reached as the command line wants it.
pub fn with_artifacts<T>(
    options: &Registry,
    progress: &dyn Progress,
    work: impl FnOnce(&Access<'_>) -> Result<T>,
) -> Result<T> {
    let registries: Registries = registries(options.config.as_deref(), &options.access)?;
    work(&Access {
        registries: &registries,
        docker_config: options.access.docker_config.clone(),
        progress,
    })
}
