//! `srctl policy`, as its help shows it.

mod bench;
mod compile;
mod inspect;
mod run;
mod test;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use oci::reference::ImageRef;

use super::options::Registry;
use super::project::{Build, New};
use super::signature::{Sign, Verify};

pub use bench::Bench;
pub use compile::Compile;
pub use inspect::Inspect;
pub use run::Run;
pub use test::Test;

/// `srctl policy`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Begin a policy: a folder that builds, and whose cases pass, as it is made.
    New(New),
    /// Build the policy in a folder: one component that imports nothing but the contract.
    Build(Build),
    /// Run the cases of a policy: each says what it is asked, and what it has to answer.
    Test(Test),
    /// Ask a policy once, about an initramfs or extensions, and print its answer. It is asked as
    /// at boot, within its limits, but compiled before. What is not in the answer is deleted.
    Run(Run),
    /// Tell what a policy is: who made it, which questions it answers, what it imports, and
    /// the limits that it needs. It is loaded in a sandbox, and asked nothing.
    Inspect(Inspect),
    /// Measure what a policy takes: time, fuel and memory of each question, on a given tree.
    Bench(Bench),
    /// Compile policies ahead of time: each to a `.cwasm` for the machines of one target.
    Compile(Compile),
    /// Sign a policy, as `ssh-keygen -Y sign -n switch-root-policy` does.
    Sign(Sign),
    /// Tell who signed a policy, and fail where nobody did whose key is accepted.
    Verify(Verify),
    /// Push a policy to a registry, as an OCI artifact that other tools for WebAssembly read, too.
    /// Its signature, FILE.sig, goes with it; its settings do not.
    Push(Push),
    /// Pull a policy from a registry, by tag or digest, with its signature if it has one.
    Pull(Pull),
}

/// `srctl policy push`.
#[derive(Debug, Args)]
pub struct Push {
    /// The policy: a component, or the folder of its project. It is checked, and never run.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub file: PathBuf,
    /// Where it goes: REGISTRY/NAME:TAG, oci:FOLDER[:NAME].
    #[arg(value_name = "REFERENCE")]
    pub reference: ImageRef,
    #[command(flatten)]
    pub registry: Registry,
}

/// `srctl policy pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// Where it is: REGISTRY/NAME:TAG, REGISTRY/NAME@DIGEST, oci:FOLDER[:NAME],
    /// oci:FOLDER:@DIGEST, oci-archive:FILE[:NAME]. With both, REGISTRY/NAME:TAG@DIGEST, the tag
    /// has to lead to the digest.
    #[arg(value_name = "REFERENCE")]
    pub reference: ImageRef,
    /// The file to write, or a folder for it, which is made where its name ends with a slash.
    /// What is there is replaced, unless it is the same, or signed and this is not [default: a
    /// file in this folder, named as it was when it was pushed].
    #[arg(long, short, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,
    /// Write nothing unless the reference leads to this digest.
    #[arg(long, value_name = "DIGEST")]
    pub expect: Option<String>,
    /// Write nothing unless one of these has signed it: a list in the format of OpenSSH's
    /// allowed_signers, or a folder with such lists (*.signers).
    #[arg(long, value_name = "FILE|DIR")]
    pub signers: Option<PathBuf>,
    #[command(flatten)]
    pub registry: Registry,
}
