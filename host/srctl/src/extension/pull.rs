//! `srctl extension pull`.

use std::path::Path;

use oci::pull::{self, Platform, Pulled};
use oci::registries::Registries;
use oci::unpack::Dropped;
use serde_json::{Value, json};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::progress::Progress;

use crate::access;
use crate::command::Pull;
use crate::command::options::RegistryOptions;
use crate::input::shown;
use crate::outcome::Outcome;
use crate::print::{self, print};
use crate::table::table;

/// Runs the command.
pub fn run(command: &Pull, progress: &dyn Progress) -> Result<Outcome> {
    for image in &command.images {
        not_a_file(&image.to_string())?;
    }
    let registries = access::registries(command.config.as_deref(), &command.registries.access)?;
    let platform = command.registries.platform.clone().unwrap_or_default();
    let options = options(&command.registries, platform, &registries, progress);
    let pulled = pull::pull(&command.images, &command.output, &options)?;
    warn_of_dropped(&pulled);
    if command.printing.json() {
        let pulled: Value = pulled
            .iter()
            .map(|pulled| {
                json!({
                    "folder": name(&pulled.folder),
                    "image": pulled.image.to_string(),
                    "digest": pulled.digest,
                    "dropped": dropped(&pulled.dropped),
                    "dropped_more": pulled.dropped_more,
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

/// Refuses the name of a file that is here: a registry far away would be asked for it.
fn not_a_file(image: &str) -> Result<()> {
    if !Path::new(image).is_file() {
        return Ok(());
    }
    let file = shown(Path::new(image));
    Err(Error::input(format!(
        "{file} is a file, and names no image of a registry; write docker-archive:{file} or oci-archive:{file} for the image in it"
    )))
}

fn dropped(files: &[Dropped]) -> Value {
    files
        .iter()
        .map(|file| json!({"path": file.path, "attributes": file.attributes}))
        .collect()
}

/// Reports each file that has lost something by being unpacked.
pub fn warn_of_dropped(pulled: &[Pulled]) {
    for image in pulled {
        let name = escape::message(&image.image.text, 300);
        for file in &image.dropped {
            tracing::warn!(
                "dropped {} of {} in {name}, since layers hold no extended attributes; what a program needs of capabilities has to come from what starts it",
                file.attributes,
                file.path
            );
        }
        if image.dropped_more > 0 {
            tracing::warn!(
                "dropped the extended attributes of {} more files in {name}",
                image.dropped_more
            );
        }
    }
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
        docker_config: command.access.docker_config.clone(),
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
