//! Access to registries.

use std::path::PathBuf;

use switch_root_core::progress::Progress;

use crate::registries::Registries;

/// How registries are reached.
pub struct Access<'a> {
    /// Mirrors, which are read from alone, certificates and credentials.
    pub registries: &'a Registries,
    /// Docker's configuration file, for credentials. `None` is `config.json` in
    /// `$DOCKER_CONFIG` or `~/.docker`. It need not exist.
    pub docker_config: Option<PathBuf>,
    /// Where it is told how far it is.
    pub progress: &'a dyn Progress,
}
