//! The programs that the demo and the tests run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use anyhow::{Context, Result};

use crate::engine;
use crate::native;
use crate::run::target;
use crate::setup::STATIC;

/// Builds the boot binary with a compiler and `srctl` as they are installed, once in each run;
/// and returns the folder that they are in: `switch_root` and `srctl`.
///
/// # Errors
/// Where they cannot be built or copied.
pub fn build() -> Result<PathBuf> {
    static BUILT: Mutex<bool> = Mutex::new(false);
    copied(&BUILT, engine::building("build")?, "programs")
}

/// The same, not optimized, which is a minute sooner: for the demo.
///
/// # Errors
/// Where they cannot be built or copied.
pub fn soon() -> Result<PathBuf> {
    static BUILT: Mutex<bool> = Mutex::new(false);
    copied(&BUILT, engine::testing("build")?, "programs/soon")
}

fn copied(built: &Mutex<bool>, cargo: Command, folder: &str) -> Result<PathBuf> {
    native::default_policy(STATIC)?;
    let copied = target().join(folder);
    let bins = ["--bin", "switch_root", "--bin", "srctl"];
    if engine::once(built, "switch_root and srctl", cargo, &bins)? {
        // Cargo puts what is tested into its own folder, under the same names.
        for name in ["switch_root", "srctl"] {
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
    static BUILT: Mutex<bool> = Mutex::new(false);
    let cargo = engine::testing("build")?;
    let bin = ["--bin", "components"];
    engine::once(&BUILT, "what makes components", cargo, &bin)?;
    Ok(engine::folder().join("components"))
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
