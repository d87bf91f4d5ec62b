//! `srctl plan` and `srctl diff`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use preview::plan::Supposed;

use super::format::Format;
use super::options::{AskOptions, Paging};

/// `srctl plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// The initramfs, or a folder that one would be made of [default: the image of this
    /// machine's running kernel, as srctl doctor finds it].
    #[arg(value_name = "IMAGE|DIR")]
    pub image: Option<PathBuf>,
    #[command(flatten)]
    pub asking: AskOptions,
    /// Show which policy said what about this path of the image.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["full", "depth", "list"])]
    pub explain: Option<OsString>,
    /// The path is not in the image: explain it as if a program of the boot made it, as this
    /// kind of file: `file`, `directory`, `symlink`, ... with its size in bytes and its mode.
    #[arg(
        long = "as",
        value_name = "KIND[,size=N][,mode=OCTAL]",
        requires = "explain"
    )]
    pub supposed: Option<Supposed>,
    /// Directories within each other that are shown; all preserved paths where it is not
    /// given.
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Show, or with JSON give, the whole tree: leave out nothing, and shorten no line.
    #[arg(long)]
    pub full: bool,
    /// List every path after its disposition (`keep`, `carry`, `part`, `delete`) and a
    /// tabulator, one a line: for grep and diff.
    #[arg(long, conflicts_with_all = ["full", "depth"])]
    pub list: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: PlanFormat,
    /// Write there rather than to standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub paging: Paging,
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people: a tree that fits the terminal.
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs.
    Json,
    /// For people: one page with a map, to be opened in a browser.
    Html,
}

/// `srctl diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// An initramfs, a folder that one would be made of, or a folder of policies.
    #[arg(value_name = "A")]
    pub before: PathBuf,
    /// What it is compared with: something of the same kind.
    #[arg(value_name = "B")]
    pub after: PathBuf,
    /// Where A and B are folders of policies: an initramfs whose plans with the one and
    /// with the other are compared, too.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<PathBuf>,
    #[command(flatten)]
    pub asking: AskOptions,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Write there rather than to standard output: whole or not at all.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub paging: Paging,
}
