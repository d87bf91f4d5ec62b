//! `srctl extension pull`.

use std::path::Path;

use extension::Result;
use extension::configuration;
use extension::progress::Progress;
use extension::pull::{self, Platform};
use extension::registries::Registries;
use serde_json::{Value, json};

use crate::command::{Pull, RegistryOptions};
use crate::input;
use crate::outcome::Outcome;
use crate::print::{self, print};
use crate::table::table;

/// Runs the command.
pub fn run(command: &Pull, progress: &dyn Progress) -> Result<Outcome> {
    let registries = match &command.config {
        Some(path) => {
            let text = input::read(path)?;
            configuration::parse(&text, &path.display().to_string())?.registries
        }
        None => Registries::default(),
    };
    let registries = with_plain_http(registries, &command.registries);
    let platform = command.registries.platform.clone().unwrap_or_default();
    let options = options(&command.registries, platform, &registries, progress);
    let pulled = pull::pull(&command.images, &command.output, &options)?;
    if command.printing.json() {
        let pulled: Value = pulled
            .iter()
            .map(|pulled| {
                json!({
                    "folder": name(&pulled.folder),
                    "image": pulled.image.to_string(),
                    "digest": pulled.digest,
                })
            })
            .collect();
        print::json(&pulled)?;
        return Ok(Outcome::Fine);
    }
    let rows: Vec<_> = pulled
        .iter()
        .map(|pulled| {
            [
                name(&pulled.folder),
                pulled.image.to_string(),
                pulled.digest.clone(),
            ]
        })
        .collect();
    print(&table(["FOLDER", "IMAGE", "DIGEST"], &rows))?;
    Ok(Outcome::Fine)
}

/// Adds the hosts of the command line that may be spoken to without TLS.
pub fn with_plain_http(mut registries: Registries, options: &RegistryOptions) -> Registries {
    registries
        .plain_http
        .extend(options.plain_http.iter().cloned());
    registries
}

/// How the command line wants images to be pulled.
pub fn options<'a>(
    command: &RegistryOptions,
    platform: Platform,
    registries: &'a Registries,
    progress: &'a dyn Progress,
) -> pull::Options<'a> {
    pull::Options {
        platform,
        registries,
        docker_config: command.docker_config.clone(),
        parallel: command.parallel.into(),
        progress,
    }
}

fn name(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
