//! `srctl extension list`.

use std::path::PathBuf;

use clap::Args;
use extension::contents::Entry;
use extension::validate::Checked;
use serde_json::{Value, json};
use switch_root_core::error::Result;
use switch_root_core::file_kind::FileKind;
use switch_root_core::progress::Progress;
use switch_root_core::text::bytes;

use crate::command::format::Printing;
use crate::command::row::{MAKER, Row};
use crate::outcome::Outcome;
use crate::print;
use crate::table::table;

/// `srctl extension list`.
#[derive(Debug, Args)]
pub struct List {
    /// The folder of extensions.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "extension list",
    fine: "they were listed",
    examples: &[
        "srctl extension list extensions",
        "srctl extension list extensions --format json",
    ],
    ..MAKER
};

/// Runs the command. An extension whose manifest cannot be read is listed with what
/// is known of it; `validate` tells what is wrong.
pub fn run(command: &List, progress: &dyn Progress) -> Result<Outcome> {
    let (checked, _findings) = super::unpacked::checked(&command.folder, progress)?;
    if command.printing.json() {
        let list: Value = checked
            .iter()
            .map(|one| {
                json!({
                    "folder": one.name,
                    "size": files(one).map(|file| file.size).sum::<u64>(),
                    "files": files(one).count(),
                    "metadata": one.metadata,
                })
            })
            .collect();
        print::json(&list)?;
        return Ok(Outcome::Fine);
    }
    let rows: Vec<_> = checked
        .iter()
        .map(|one| {
            let field = |of: fn(&extension::manifest::Manifest) -> String| {
                one.manifest.as_ref().map_or_else(|| "?".to_owned(), of)
            };
            [
                one.name.clone(),
                field(|manifest| manifest.name.clone()),
                field(|manifest| manifest.version.clone()),
                field(|manifest| manifest.author.clone()),
                bytes(files(one).map(|file| file.size).sum()),
                field(|manifest| {
                    let constraints = manifest.compatibility.iter();
                    let constraints =
                        constraints.map(|(system, version)| format!("{system} {version}"));
                    constraints.collect::<Vec<_>>().join(", ")
                }),
            ]
        })
        .collect();
    print::print(&table(
        ["FOLDER", "NAME", "VERSION", "AUTHOR", "SIZE", "FOR"],
        &rows,
    ))?;
    Ok(Outcome::Fine)
}

/// The regular files of an extension.
fn files(one: &Checked) -> impl Iterator<Item = &Entry> {
    let entries = one.contents.iter().flat_map(|contents| &contents.entries);
    entries.filter(|entry| entry.kind == FileKind::Regular)
}
