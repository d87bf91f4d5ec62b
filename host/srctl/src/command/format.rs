//! `--format`, for every command that a script may want to read.

use clap::{Args, ValueEnum};

/// The option, to be flattened into a command's own.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Printing {
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
}

impl Printing {
    /// Whether a program reads it.
    pub fn json(self) -> bool {
        self.format == Format::Json
    }
}

/// How things are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs.
    Json,
}
