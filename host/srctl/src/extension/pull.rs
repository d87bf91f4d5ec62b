//! `srctl extension pull`.

use std::path::{Path, PathBuf};

use clap::Args;
use oci::pull::{self, Platform, Pulled};
use oci::reference::ImageRef;
use oci::registries::Registries;
use oci::unpack::Dropped;
use serde_json::{Value, json};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::progress::Progress;

use crate::access;
use crate::command::format::Printing;
use crate::command::options::RegistryOptions;
use crate::command::row::{MAKER, Row};
use crate::input::shown;
use crate::outcome::Outcome;
use crate::print::{self, print};
use crate::table::table;

switch_root_core::outcomes! {
    /// What is not fetched.
    pub(crate) enum NotPulled in "srctl" {
        /// A name without a scheme is that of a registry's image.
        "SR-H51" File { file: String } = "{file} is a file, and names no image of a registry; write docker-archive:{file} or oci-archive:{file} for the image in it",
    }
}

/// `srctl extension pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// Images: REGISTRY/NAME:TAG, REGISTRY/NAME@DIGEST, oci:FOLDER[:NAME], oci-archive:FILE[:NAME],
    /// docker-archive:FILE[:NAME].
    #[arg(required = true, value_name = "IMAGE")]
    pub images: Vec<ImageRef>,
    /// The folder that gets a folder for each image.
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// A machine configuration, of which `machine.registries` is used.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub registries: RegistryOptions,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "extension pull",
    fine: "all images were pulled",
    examples: &[
        "srctl extension pull ghcr.io/siderolabs/gvisor:20240101.0 -o extensions",
        "srctl extension pull oci:layout:v1 -o extensions --platform linux/arm64",
    ],
    ..MAKER
};

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
    Err(Error::input(NotPulled::File { file }))
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
