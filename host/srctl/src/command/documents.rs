//! What is made of this definition itself: completions and manual pages.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `srctl completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell.
    #[arg(value_enum)]
    pub shell: Shell,
}

/// `srctl man`.
#[derive(Debug, Args)]
pub struct Man {
    /// A folder that gets a page for each command. Without it the page of srctl is printed.
    #[arg(long, short, value_name = "DIR")]
    pub output: Option<PathBuf>,
}
