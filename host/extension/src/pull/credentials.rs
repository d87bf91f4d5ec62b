//! Who asks: credentials by host, wherever they are kept.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use policy::escape;

use super::docker_config::{DockerConfig, default_path};
use super::transport::{aliases, lock};
use crate::error::Result;
use crate::registries::{Credentials, Registries};

/// All credentials there are. Docker's configuration is not looked at before
/// somebody asks for what the settings do not have.
pub(super) struct Keyring<'a> {
    registries: &'a Registries,
    path: Option<PathBuf>,
    config: OnceLock<Result<DockerConfig>>,
    /// What was found; a program that keeps them is run once for each host.
    found: Mutex<HashMap<String, Option<Credentials>>>,
}

impl<'a> Keyring<'a> {
    /// `path` is Docker's configuration; by default where Docker has it.
    pub(super) fn new(registries: &'a Registries, path: Option<PathBuf>) -> Self {
        Self {
            registries,
            path: path.or_else(default_path),
            config: OnceLock::new(),
            found: Mutex::default(),
        }
    }

    /// The credentials that the settings have for a host.
    pub(super) fn configured(&self, host: &str) -> Option<&'a Credentials> {
        aliases(host)
            .into_iter()
            .find_map(|name| self.registries.hosts.get(name)?.credentials.as_ref())
    }

    /// The credentials for a host; `None` where there are none.
    ///
    /// # Errors
    /// Docker's configuration is broken, or a program that it names fails.
    pub(super) fn find(&self, host: &str) -> Result<Option<Credentials>> {
        if let Some(credentials) = self.configured(host) {
            return Ok(Some(credentials.clone()));
        }
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let mut found = lock(&self.found);
        if let Some(credentials) = found.get(host) {
            return Ok(credentials.clone());
        }
        let config = self.config.get_or_init(|| DockerConfig::read(path));
        let credentials = config.as_ref().map_err(Clone::clone)?.credentials(host)?;
        found.insert(host.to_owned(), credentials.clone());
        Ok(credentials)
    }

    /// Where is looked, for who wants to put some there.
    pub(super) fn places(&self, host: &str) -> String {
        let host = escape::message(host, 200);
        let settings = format!("machine.registries.config.\"{host}\".auth");
        match &self.path {
            Some(path) => format!(
                "{settings} and {}",
                escape::path(path.as_os_str().as_bytes())
            ),
            None => settings,
        }
    }
}
