//! `srctl policy test`.

use std::path::PathBuf;

use clap::Args;

use crate::command::format::Printing;

/// `srctl policy test`.
#[derive(Debug, Args)]
pub struct Test {
    /// Components (.wasm), or folders of policies as `srctl policy new` makes them.
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
    /// A case, or a folder of cases [default: the folder `cases` beside each component].
    #[arg(long, value_name = "PATH")]
    pub cases: Vec<PathBuf>,
    /// Run only the cases whose path has this text in it.
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Write what the policy answers into the cases, as what is expected.
    #[arg(long)]
    pub bless: bool,
    /// Write the results there, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}
