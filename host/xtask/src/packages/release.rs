//! What packages are made of.

use crate::setup::{self, STATIC};
use std::path::PathBuf;

use anyhow::{Context, Result};
use switch_root_tests::architecture::Architecture;

/// The version of everything: that of the workspace.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What one run makes packages of.
pub struct Release {
    /// What the programs are for.
    pub architecture: Architecture,
    /// Where what is installed lies: as [`dist::dist`] lays it out.
    pub dist: PathBuf,
    /// The time that every file is of: that of the commit, in seconds since 1970.
    pub epoch: u64,
}

impl Release {
    /// Debian's name of the architecture.
    pub fn debian(&self) -> &'static str {
        match self.architecture {
            Architecture::X86_64 => "amd64",
            Architecture::Aarch64 => "arm64",
        }
    }
}

/// The architecture that static binaries are built for where nothing else is said.
pub fn here() -> Result<Architecture> {
    Architecture::ALL
        .into_iter()
        .find(|architecture| setup::static_target(*architecture) == STATIC)
        .with_context(|| format!("there are no packages for machines like this one ({STATIC})"))
}

/// The version of the packages. There is no revision, so that a package that a distribution
/// makes of the same release (`VERSION-1`) is newer than ours.
pub fn version() -> String {
    version_of(VERSION)
}

/// A version as Debian writes it: a pre-release is below its release there, too.
pub fn version_of(version: &str) -> String {
    version.replacen('-', "~", 1)
}
