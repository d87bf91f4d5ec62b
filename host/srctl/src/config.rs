//! `srctl config`: edits a machine configuration, and leaves the rest of it as it
//! is, comments included.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use extension::{configuration, edit};
use oci::reference::ImageRef;
use serde_json::json;
use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::output::AtomicFile;
use switch_root_core::reading::cannot_read;

use crate::command::format::Printing;
use crate::command::row::{MAKER, Row};
use crate::input;
use crate::outcome::Outcome;
use crate::print::{self, print};
use crate::streams;

/// `srctl config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Add an image to `machine.install.extensions`.
    AddExtension(Edit),
    /// Remove an image from `machine.install.extensions`.
    RemoveExtension(Edit),
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "config",
    examples: &[
        "srctl config add-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0",
        "srctl config remove-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0 -o new.yaml",
    ],
    ..MAKER
};

/// Those of `add-extension`.
pub const ADD_EXTENSION: Row = Row {
    command: "config add-extension",
    fine: "the image is in the configuration now",
    examples: &[
        "srctl config add-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0",
        "srctl config add-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0 -o -",
    ],
    ..MAKER
};

/// Those of `remove-extension`.
pub const REMOVE_EXTENSION: Row = Row {
    command: "config remove-extension",
    fine: "the image is out of the configuration now",
    examples: &[
        "srctl config remove-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0",
        "srctl config remove-extension machine.yaml ghcr.io/siderolabs/gvisor:20240101.0 -o -",
    ],
    ..MAKER
};

/// `srctl config add-extension` and `remove-extension`.
#[derive(Debug, Args)]
pub struct Edit {
    /// The machine configuration.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The image.
    #[arg(value_name = "IMAGE")]
    pub image: ImageRef,
    /// Write there rather than to FILE; `-` is standard output.
    #[arg(long, short, value_name = "OUT")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}

/// Runs one of the commands.
pub fn run(command: &Config) -> Result<Outcome> {
    let options = match command {
        Config::AddExtension(options) | Config::RemoveExtension(options) => options,
    };
    let text = input::read_text(&options.file)?;
    let file = options.file.shown();
    let edited = match command {
        Config::AddExtension(_) => edit::add_extension(&text, &file, &options.image)?,
        Config::RemoveExtension(_) => edit::remove_extension(&text, &file, &options.image.text)?,
    };
    if matches!(command, Config::AddExtension(_)) {
        warn_of_versions(options, &text, &file)?;
    }
    write(options, &edited)?;
    if !to_standard_output(options) {
        let added = matches!(command, Config::AddExtension(_));
        report(options, if added { "added" } else { "removed" })?;
    }
    Ok(Outcome::Fine)
}

/// Warns where the configuration lists another version of the extension.
fn warn_of_versions(options: &Edit, text: &str, file: &str) -> Result<()> {
    let Some(repository) = options.image.repository() else {
        return Ok(());
    };
    for other in configuration::parse(text.as_bytes(), file)?.extensions {
        if other.image.repository().as_ref() == Some(&repository) {
            tracing::warn!(
                "{} lists {} already, and two versions of one extension are refused when they are installed; remove one with srctl config remove-extension",
                escape::message(file, SHOWN),
                escape::message(&other.image.text, SHOWN)
            );
        }
    }
    Ok(())
}

/// Says what was changed, and where it was written to.
fn report(options: &Edit, change: &str) -> Result<()> {
    let image = &options.image.text;
    let written = target(options);
    if options.printing.json() {
        let written = written.to_string_lossy();
        return print::json(&json!({"change": change, "image": image, "written": written}));
    }
    print(&format!(
        "{change} {}, wrote {}\n",
        escape::message(image, SHOWN),
        written.shown()
    ))
}

/// The most of a name that is shown, in bytes.
const SHOWN: usize = 4096;

fn target(options: &Edit) -> &Path {
    options.output.as_ref().unwrap_or(&options.file)
}

fn to_standard_output(options: &Edit) -> bool {
    target(options) == Path::new("-") || streams::is_input(target(options))
}

fn write(options: &Edit, text: &str) -> Result<()> {
    let target = target(options);
    if to_standard_output(options) {
        return print(text);
    }
    let output = AtomicFile::create(target)?;
    // It holds secrets: who could not read the file cannot read the new one.
    let before =
        std::fs::metadata(&options.file).map_err(|error| cannot_read(&options.file, &error))?;
    output.look_like(&before)?;
    output
        .as_file()
        .write_all(text.as_bytes())
        .map_err(|error| {
            let path = target.shown();
            Error::system(Attempt::Write { path }, &error)
        })?;
    output.commit()
}
