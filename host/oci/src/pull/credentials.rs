//! Who asks: credentials by host, wherever they are kept.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use switch_root_core::error::Result;
use switch_root_core::escape;

use super::docker_config::{DockerConfig, default_paths};
use super::transport::{aliases, lock};
use crate::registries::{Credentials, Registries};

/// All credentials there are. The files of Podman and Docker are not looked at before
/// somebody asks for what the settings do not have.
pub(super) struct Keyring<'a> {
    registries: &'a Registries,
    paths: Vec<PathBuf>,
    configs: OnceLock<Result<Vec<DockerConfig>>>,
    /// What was found, by host and repository; a program that keeps them is run once for
    /// each.
    found: Mutex<HashMap<(String, String), Option<Credentials>>>,
}

impl<'a> Keyring<'a> {
    /// `path` is a file of Docker's or Podman's; by default those are where they have them.
    pub(super) fn new(registries: &'a Registries, path: Option<PathBuf>) -> Self {
        Self {
            registries,
            paths: path.map_or_else(default_paths, |path| vec![path]),
            configs: OnceLock::new(),
            found: Mutex::default(),
        }
    }

    /// The credentials that the settings have for a host.
    pub(super) fn configured(&self, host: &str) -> Option<&'a Credentials> {
        aliases(host)
            .into_iter()
            .find_map(|name| self.registries.hosts.get(name)?.credentials.as_ref())
    }

    /// The credentials for a repository of a host; `None` where there are none.
    ///
    /// # Errors
    /// One of the files is broken, or a program that it names fails.
    pub(super) fn find(&self, host: &str, repository: &str) -> Result<Option<Credentials>> {
        if let Some(credentials) = self.configured(host) {
            return Ok(Some(credentials.clone()));
        }
        let mut found = lock(&self.found);
        let key = (host.to_owned(), repository.to_owned());
        if let Some(credentials) = found.get(&key) {
            return Ok(credentials.clone());
        }
        let read = || {
            self.paths
                .iter()
                .map(|path| DockerConfig::read(path))
                .collect()
        };
        let configs = self.configs.get_or_init(read);
        let mut credentials = None;
        for config in configs.as_ref().map_err(Clone::clone)? {
            credentials = config.credentials(host, repository)?;
            if credentials.is_some() {
                break;
            }
        }
        found.insert(key, credentials.clone());
        Ok(credentials)
    }

    /// Where is looked, for who wants to put some there.
    pub(super) fn places(&self, host: &str) -> String {
        let host = escape::message(host, 200);
        let settings = format!("machine.registries.config.\"{host}\".auth");
        let files = self.paths.iter();
        let files = files.map(|path| escape::path(path.as_os_str().as_bytes()));
        std::iter::once(settings)
            .chain(files)
            .collect::<Vec<_>>()
            .join(", ")
    }
}
