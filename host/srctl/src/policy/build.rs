//! `srctl policy build`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use switch_root_core::error::Result;
use switch_root_core::escape;
use switch_root_core::progress::Progress;
use switch_root_core::text::bytes;

use crate::command::format::{Format, Printing};
use crate::command::row::{MAKER, Row};
use crate::outcome::Outcome;
use crate::print;

/// `srctl policy build`.
#[derive(Debug, Args)]
pub struct Build {
    /// The folder of the policy.
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
    /// The component to write: there whole, or not at all [default: DIR/NAME.wasm].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy build",
    fine: "the component was written",
    examples: &[
        "srctl policy build keep-logs",
        "srctl policy build keep-logs -o 50-keep-logs.wasm",
    ],
    ..MAKER
};

/// Runs the command.
pub fn run(command: &Build, progress: &dyn Progress) -> Result<Outcome> {
    let built = toolkit::build::build(&command.folder, command.output.as_deref(), progress)?;
    let path = escape::path(built.path.as_os_str().as_encoded_bytes());
    match command.printing.format {
        Format::Json => print::json(&json!({
            "path": path,
            "language": built.language.name(),
            "size": built.size,
            "digest": built.digest,
            "answers": built.answers,
        }))?,
        Format::Text => print::print(&format!(
            "{path}\n  size     {}\n  digest   {}\n  answers  {}\n",
            bytes(built.size),
            built.digest,
            built.answers.join(", ")
        ))?,
    }
    Ok(Outcome::Fine)
}
