//! The programs that the demo and the tests run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Context, Result};

use crate::engine;
use crate::native;
use crate::run::target;
use crate::setup::STATIC;

/// Builds the boot binary with a compiler, `srctl`, and what makes components, once in each
/// run; and returns the folder that they are in: `switch_root`, `srctl` and `components`.
///
/// # Errors
/// Where they cannot be built or copied.
pub fn build() -> Result<PathBuf> {
    static BUILT: Mutex<bool> = Mutex::new(false);
    let copied = target().join("programs");
    native::default_policy(STATIC)?;
    if engine::once(&BUILT, "switch_root and srctl", &["--bins"])? {
        // Cargo puts what is tested into its own folder, under the same names.
        for name in ["switch_root", "srctl", "components"] {
            install(&engine::folder().join(name), &copied.join(name))?;
        }
    }
    Ok(copied)
}

/// The program that makes components.
///
/// # Errors
/// Where it cannot be built.
pub fn components() -> Result<PathBuf> {
    Ok(build()?.join("components"))
}

/// Copies a program to where it is installed or run.
///
/// # Errors
/// Where it cannot be copied.
pub fn install(built: &Path, installed: &Path) -> Result<()> {
    if let Some(folder) = installed.parent() {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    fs::copy(built, installed)
        .with_context(|| format!("copying {} to {}", built.display(), installed.display()))?;
    Ok(())
}
