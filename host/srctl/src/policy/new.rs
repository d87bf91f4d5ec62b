//! `srctl policy new`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::text::count;
use toolkit::language;
use toolkit::project::{self, Name, Project, Questions};

use crate::command::format::{Format, Printing};
use crate::command::row::{MAKER, Row};
use crate::outcome::Outcome;
use crate::print;

switch_root_core::outcomes! {
    /// What `policy new` does not take.
    pub(crate) enum NotBegun in "srctl" {
        /// Other languages have no SDK: they are built with the contract alone.
        "SR-H21" Sdk = "--sdk names the SDK for Rust; use it with --lang rust",
    }
}

/// `srctl policy new`.
#[derive(Debug, Args)]
pub struct New {
    /// The name of the policy: lower-case letters, digits and dashes.
    #[arg(value_name = "NAME")]
    pub name: Name,
    /// The language that it is written in.
    #[arg(long, value_enum)]
    pub lang: Language,
    /// The folder to make [default: NAME].
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// The question that it answers.
    #[arg(long, value_enum, default_value_t)]
    pub question: Question,
    /// The crate of the SDK (policies/sdk of switch-root's sources), for --lang rust [default: a
    /// copy in the project].
    #[arg(long, value_name = "DIR")]
    pub sdk: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}

/// The languages that policies can be begun in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Rust: the smallest components but C's, and a library for patterns and versions.
    Rust,
    /// C.
    C,
    /// JavaScript: components of 1 MB.
    Js,
    /// Python: components of 18 MB.
    Python,
}

/// The questions that a policy can answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Question {
    /// Which paths of the initramfs survive.
    #[default]
    Preservation,
    /// Which system extensions are compatible.
    Compatibility,
    /// Both.
    Both,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy new",
    fine: "the folder was made",
    examples: &[
        "srctl policy new keep-logs --lang rust",
        "srctl policy new gpu-stack --lang python --question compatibility -o policies/gpu-stack",
    ],
    ..MAKER
};

/// Runs the command.
pub fn run(command: &New) -> Result<Outcome> {
    if command.sdk.is_some() && command.lang != Language::Rust {
        return Err(Error::input(NotBegun::Sdk));
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
