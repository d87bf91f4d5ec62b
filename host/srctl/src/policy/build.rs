//! `srctl policy build`.

use serde_json::json;
use switch_root_core::error::Result;
use switch_root_core::escape;
use switch_root_core::progress::Progress;
use switch_root_core::text::bytes;

use crate::command::format::Format;
use crate::command::project::Build;
use crate::outcome::Outcome;
use crate::print;

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
