//! `srctl policy`.

mod about;
pub mod bench;
pub mod build;
pub mod compile;
pub mod files;
pub mod inspect;
pub mod new;
pub mod pull;
pub mod push;
pub mod run;
pub mod sign;
pub mod test;
pub mod trust;
pub mod verify;

use clap::Subcommand;
use switch_root_core::error::Result;
use switch_root_core::progress::Progress;

use crate::command::row::{GROUP, Row};
use crate::outcome::Outcome;

/// `srctl policy`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Begin a policy: a folder that builds, and whose cases pass, as it is made.
    New(new::New),
    /// Build the policy in a folder: one component that imports nothing but the contract.
    Build(build::Build),
    /// Run the cases of a policy: each says what it is asked, and what it has to answer.
    Test(test::Test),
    /// Ask a policy once, about an initramfs or extensions, and print its answer. It is asked as
    /// at boot, within its limits, but compiled before. What is not in the answer is deleted.
    Run(run::Run),
    /// Tell what a policy is: who made it, which questions it answers, what it imports, and
    /// the limits that it needs. It is loaded in a sandbox, and asked nothing.
    Inspect(inspect::Inspect),
    /// Measure what a policy takes: time, fuel and memory of each question, on a given tree.
    Bench(bench::Bench),
    /// Compile policies ahead of time: each to a `.cwasm` for the machines of one target.
    Compile(compile::Compile),
    /// Sign a policy, as `ssh-keygen -Y sign -n switch-root-policy` does.
    Sign(sign::Sign),
    /// Tell who signed a policy, and fail where nobody did whose key is accepted.
    Verify(verify::Verify),
    /// Push a policy to a registry, as an OCI artifact that other tools for WebAssembly read, too.
    /// Its signature, FILE.sig, goes with it; its settings do not.
    Push(push::Push),
    /// Pull a policy from a registry, by tag or digest, with its signature if it has one.
    Pull(pull::Pull),
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy",
    unfit: Some("a policy or its signature is not accepted, or it failed"),
    unknown: None,
    examples: &[
        "srctl policy new keep-logs --lang rust",
        "srctl policy test keep-logs",
    ],
    ..GROUP
};

/// Runs one of the commands.
pub fn run(command: &Policy, progress: &dyn Progress) -> Result<Outcome> {
    match command {
        Policy::Sign(options) => sign::run(options),
        Policy::Verify(options) => verify::run(options),
        Policy::New(options) => new::run(options),
        Policy::Build(options) => build::run(options, progress),
        Policy::Test(options) => test::run(options, progress),
        Policy::Run(options) => run::run(options, progress),
        Policy::Inspect(options) => inspect::run(options),
        Policy::Compile(options) => compile::run(options, progress),
        Policy::Bench(options) => bench::run(options, progress),
        Policy::Push(options) => push::run(options, progress),
        Policy::Pull(options) => pull::run(options, progress),
    }
}
