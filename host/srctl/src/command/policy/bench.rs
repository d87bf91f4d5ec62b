//! `srctl policy bench`.

use std::path::PathBuf;

use clap::Args;

use crate::command::format::Printing;
use crate::command::options::{LimitOptions, MachineOptions};

/// `srctl policy bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// The policy, or the folder of its project.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub file: PathBuf,
    /// The initramfs that it is asked about, or a folder that one would be made of.
    #[arg(long, value_name = "IMAGE|DIR")]
    pub tree: Option<PathBuf>,
    /// The extensions that it is asked about: an extensions.yaml; that of the tree where it
    /// is not given.
    #[arg(long, value_name = "FILE")]
    pub extensions: Option<PathBuf>,
    /// Its sidecar, with settings and limits [default: NAME.json beside it].
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// How often everything is done.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: u32,
    #[command(flatten)]
    pub machine: MachineOptions,
    #[command(flatten)]
    pub limits: LimitOptions,
    #[command(flatten)]
    pub printing: Printing,
}
