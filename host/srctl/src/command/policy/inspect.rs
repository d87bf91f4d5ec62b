//! `srctl policy inspect`.

use std::path::PathBuf;

use clap::Args;

use crate::command::format::Printing;

/// `srctl policy inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// The policy: a `.wasm`, or the folder of its project; or a `.cwasm`, which is never run.
    #[arg(value_name = "FILE|DIR")]
    pub file: PathBuf,
    /// Its sidecar: it is given these settings, within these limits [default: NAME.json beside
    /// it]. Without one it is made into an instance, and nothing of it is called.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}
