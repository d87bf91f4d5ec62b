//! `srctl extension pack`.

use std::path::PathBuf;

use clap::Args;
use extension::pack::{self, Extension, Layer};
use extension::validate::{self, Checked, Finding};
use initramfs::compression::Compression;
use initramfs::squashfs::Codec;
use serde_json::{Value, json};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::progress::Progress;
use switch_root_core::text::bytes;

use super::findings;
use super::unpacked::NoExtensions;
use crate::command::format::Printing;
use crate::command::options::{Archive, Layers, PackOptions};
use crate::command::row::{GROUP, Row};
use crate::outcome::Outcome;
use crate::print::{self, print, say};
use crate::style::Stream;
use crate::table::{short, table};

/// `srctl extension pack`.
#[derive(Debug, Args)]
pub struct Pack {
    /// The folder of extensions.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The archive to write.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    #[command(flatten)]
    pub packing: PackOptions,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "extension pack",
    fine: "the archive was written",
    unfit: Some("an extension is invalid, and nothing was written"),
    unknown: None,
    examples: &[
        "srctl extension pack extensions -o extensions.img",
        "srctl extension pack extensions -o - --compression xz | cat initrd.img - > new.img",
    ],
    ..GROUP
};

/// Of xz and gzip. Layers are compressed themselves, so a higher one gains nothing.
const ARCHIVE_LEVEL: u32 = 1;

/// The highest level of xz and gzip.
const HIGHEST: u32 = 9;

/// Runs the command. What is invalid is not packed.
pub fn run(command: &Pack, progress: &dyn Progress) -> Result<Outcome> {
    let folders = super::unpacked::folders(&command.folder)?;
    if folders.is_empty() {
        let folder = command.folder.shown();
        return Err(Error::input(NoExtensions::Empty { folder }));
    }
    let (checked, found) = validate::validate(&folders)?;
    if report_invalid(&found) {
        if command.printing.json() {
            print::json(&json!({"written": false, "findings": findings::json(&found)}))?;
        }
        return Ok(Outcome::Unfit);
    }
    let layers = pack::pack(
        &to_pack(&checked),
        &command.output,
        &options(&command.packing, progress),
    )?;
    if command.printing.json() {
        let layers: Value = layers.iter().map(json_row).collect();
        let findings = findings::json(&found);
        print::json(&json!({"written": true, "findings": findings, "layers": layers}))?;
        return Ok(Outcome::Fine);
    }
    let rows: Vec<_> = layers.iter().map(row).collect();
    print(&table(["LAYER", "SIZE", "DIGEST"], &rows))?;
    Ok(Outcome::Fine)
}

fn row(layer: &Layer) -> [String; 3] {
    [short(&layer.image), bytes(layer.size), layer.digest.clone()]
}

fn json_row(layer: &Layer) -> Value {
    json!({"layer": layer.image, "size": layer.size, "digest": layer.digest})
}

/// Tells what is wrong; whether nothing can be packed for it.
pub fn report_invalid(found: &[Finding]) -> bool {
    say(&findings::text(found, Stream::Errors));
    findings::any_error(found)
}

/// The extensions that passed the checks.
pub fn to_pack(checked: &[Checked]) -> Vec<Extension> {
    checked
        .iter()
        .map(|one| Extension {
            folder_name: one.name.clone(),
            path: one.path.clone(),
            metadata: one.metadata.clone(),
        })
        .collect()
}

/// How the command line wants an archive to be compressed.
pub fn compression(archive: Archive) -> Compression {
    match archive {
        Archive::Zstd => Compression::default(),
        Archive::Xz => Compression::Xz(ARCHIVE_LEVEL),
        Archive::Gzip => Compression::Gzip(ARCHIVE_LEVEL),
        Archive::None => Compression::None,
    }
}

/// How the command line wants layers to be compressed: a kernel that cannot read an archive
/// will hardly read a layer of the same format.
fn codec(command: &PackOptions) -> Codec {
    let level = command.layer_level;
    let layers = command
        .layer_compression
        .unwrap_or(match command.compression {
            Archive::Zstd | Archive::None => Layers::Zstd,
            Archive::Xz => Layers::Xz,
            Archive::Gzip => Layers::Gzip,
        });
    match layers {
        Layers::Zstd => Codec::Zstd(level as i32),
        Layers::Xz => Codec::Xz(level.min(HIGHEST)),
        Layers::Gzip => Codec::Gzip(level.min(HIGHEST)),
    }
}

/// How the command line wants layers and archive to be.
pub fn options<'a>(command: &PackOptions, progress: &'a dyn Progress) -> pack::Options<'a> {
    pack::Options {
        compression: compression(command.compression),
        codec: codec(command),
        parallel: std::thread::available_parallelism().map_or(1, usize::from),
        progress,
    }
}
