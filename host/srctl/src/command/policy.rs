//! `srctl policy`.

use clap::Subcommand;

use super::project::{Build, New};

/// `srctl policy`.
#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Begin a policy: a folder that builds, and whose cases pass, as it is made.
    New(New),
    /// Build the policy in a folder: one component that imports nothing but the contract.
    Build(Build),
}
