//! `srctl policy new`.

use std::path::PathBuf;

use serde_json::json;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::text::count;
use toolkit::language;
use toolkit::project::{self, Project, Questions};

use crate::command::format::Format;
use crate::command::project::{Language, New, Question};
use crate::outcome::Outcome;
use crate::print;

/// Runs the command.
pub fn run(command: &New) -> Result<Outcome> {
    if command.sdk.is_some() && command.lang != Language::Rust {
        return Err(Error::input(
            "--sdk names the SDK for Rust; use it with --lang rust",
        ));
    }
    let project = Project {
        name: command.name.clone(),
        language: match command.lang {
            Language::Rust => language::Language::Rust,
            Language::C => language::Language::C,
            Language::Js => language::Language::JavaScript,
            Language::Python => language::Language::Python,
        },
        questions: match command.question {
            Question::Preservation => Questions::Preservation,
            Question::Compatibility => Questions::Compatibility,
            Question::Both => Questions::Both,
        },
        sdk: command.sdk.clone(),
    };
    let folder = command
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(command.name.to_string()));
    let files = project::create(&project, &folder)?;
    let shown = escape::path(folder.as_os_str().as_encoded_bytes());
    match command.printing.format {
        Format::Json => {
            let files = files
                .iter()
                .map(|path| path.to_string())
                .collect::<Vec<_>>();
            print::json(&json!({"folder": shown, "files": files}))?;
        }
        Format::Text => print::print(&format!(
            "{shown}: {}; README.md says what they are\nnext: srctl policy build {shown}\n",
            count(files.len() as u64, "file", "files")
        ))?,
    }
    Ok(Outcome::Fine)
}
