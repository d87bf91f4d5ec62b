//! `srctl policy new` and `srctl policy build`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use toolkit::project::Name;

use super::format::Printing;

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
