//! `srctl policy run`.

use std::path::PathBuf;

use clap::Args;

use crate::command::format::Printing;
use crate::command::options::{LimitOptions, MachineOptions};

/// `srctl policy run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The policy, or the folder of its project.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub file: PathBuf,
    /// The initramfs whose paths it is asked about, or a folder that one would be made of.
    #[arg(
        long,
        value_name = "IMAGE|DIR",
        required_unless_present_any = ["extensions", "extension"]
    )]
    pub tree: Option<PathBuf>,
    /// The extensions that it is asked about: an extensions.yaml; that of the tree where neither
    /// this nor --extension is given.
    #[arg(long, value_name = "FILE")]
    pub extensions: Option<PathBuf>,
    /// One more extension that it is asked about, by its metadata.
    #[arg(long, value_name = "NAME[=VERSION]")]
    pub extension: Vec<String>,
    /// Its sidecar, with settings and limits [default: NAME.json beside it].
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// The kernel command line of the machine that the extensions are for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub kernel_command_line: String,
    #[command(flatten)]
    pub limits: LimitOptions,
    #[command(flatten)]
    pub printing: Printing,
}
