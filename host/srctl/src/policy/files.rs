//! The files of policies that the command line names.

use std::path::{Path, PathBuf};

use switch_root_core::error::{Error, Result};
use switch_root_core::limits::fixed;
use toolkit::project::component;

use crate::input;

switch_root_core::outcomes! {
    /// Why a file is not taken for a policy.
    pub(crate) enum NoPolicy in "srctl" {
        /// In a folder of policies an empty file hides the vendor's of the same name.
        "SR-H26" Empty { path: String } = "{path} is empty: it is no policy, but masks one",
    }
}

/// The files of policies, of which some are named by the folders of their projects.
pub fn components(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    paths.iter().map(|path| component(path)).collect()
}

/// Reads the file of a policy.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    let bytes = input::read_up_to(file, fixed::POLICY_FILE)?;
    if bytes.is_empty() {
        let path = input::shown(file);
        return Err(Error::input(NoPolicy::Empty { path }));
    }
    Ok(bytes)
}
