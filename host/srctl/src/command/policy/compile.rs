//! `srctl policy compile`.

use std::path::PathBuf;

use clap::Args;

use crate::command::format::Printing;

/// `srctl policy compile`.
#[derive(Clone, Debug, Args)]
pub struct Compile {
    /// The policies, or the folders of their projects.
    #[arg(value_name = "FILE.wasm|DIR", required = true)]
    pub files: Vec<PathBuf>,
    /// The sidecar of the one policy: it is tried with these settings, within these limits
    /// [default: NAME.json beside each]. There is no deadline.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// The target, such as x86_64-unknown-linux-musl.
    #[arg(long, value_name = "TRIPLE", conflicts_with = "arch")]
    pub target: Option<String>,
    /// The architecture of the target, as triples begin, or as images of containers have it;
    /// that of this machine where neither is given.
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Where to write: a folder, or for one policy a file. Each beside its `.wasm` where it
    /// is not given.
    #[arg(long, short, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}
