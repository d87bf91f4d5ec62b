//! The programs of the demo.

use std::path::PathBuf;

/// What both parts run.
pub struct Programs {
    /// `switch_root`, which is also called `init`.
    pub boot: PathBuf,
    /// The new roots' init.
    pub probe: PathBuf,
    /// Plays scenes in namespaces.
    pub supervisor: PathBuf,
    /// The newest kernel that can be booted here; without one there are namespaces.
    pub kernel: Option<PathBuf>,
}
