//! `srctl policy sign` and `srctl policy verify`.

use std::path::PathBuf;

use clap::Args;
use switch_root_core::locations::SIGNERS;

use super::format::Printing;

/// `srctl policy sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// The policy: a component that imports nothing but the contract, and answers a question.
    /// It is checked, and never run. Or the folder of its project.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub file: PathBuf,
    /// A private ed25519 key in OpenSSH's format.
    #[arg(long, value_name = "KEYFILE")]
    pub key: PathBuf,
    /// The signature to write [default: FILE.wasm.sig].
    #[arg(long, short, value_name = "OUT")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}

/// `srctl policy verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The policy, or the folder of its project. Its signature is FILE.wasm.sig, beside it.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub file: PathBuf,
    /// Whose signatures are accepted: a list in the format of OpenSSH's allowed_signers, or a
    /// folder with such lists (*.signers).
    #[arg(long, value_name = "FILE|DIR", default_value = SIGNERS)]
    pub signers: PathBuf,
    #[command(flatten)]
    pub printing: Printing,
}
