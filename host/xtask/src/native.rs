//! Policies compiled ahead of time, for a target of the static binaries.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::policies::PUBLISHED;
use crate::run::{self, workspace};
use crate::setup::STATIC;

/// Compiles the policies that tests and measurements need ahead of time for the static
/// binaries of this machine, each beside its `.wasm`, and returns the folder.
///
/// # Errors
/// Where one cannot be compiled.
pub fn policies(folder: &Path) -> Result<PathBuf> {
    policies_into(folder, folder, STATIC)?;
    Ok(folder.to_owned())
}

/// Compiles the policies that tests need ahead of time for a target: of each `.wasm` in
/// `folder`, its `.cwasm` into `output`.
///
/// # Errors
/// Where one cannot be compiled.
pub fn policies_into(folder: &Path, output: &Path, target: &str) -> Result<()> {
    let of_today = ["default", "hostile", "keep-paths", "scripted"].map(str::to_owned);
    let published = PUBLISHED
        .into_iter()
        .flat_map(|name| [format!("0.1.0-{name}"), format!("0.1.1-{name}")]);
    fs::create_dir_all(output).with_context(|| format!("making {}", output.display()))?;
    for name in of_today.into_iter().chain(published) {
        // Names have dots, so what is behind the last one is not an ending.
        let source = folder.join(format!("{name}.wasm"));
        compile(&source, &output.join(format!("{name}.cwasm")), target)?;
    }
    Ok(())
}

/// Compiles the default policy ahead of time for a target, for the binary to embed.
///
/// # Errors
/// Where it cannot be compiled.
pub fn default_policy(target: &str) -> Result<PathBuf> {
    // Two programs that are built at the same time embed it: the second one finds it there.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = run::target().join(format!("default-{target}.cwasm"));
    let source = workspace().join("host/policy/src/default.wasm");
    compile(&source, &path, target)?;
    Ok(path)
}

/// Compiles a component ahead of time for a target.
///
/// # Errors
/// Where it cannot be read, compiled or written.
pub fn compile(source: &Path, path: &Path, target: &str) -> Result<()> {
    let wasm = fs::read(source).with_context(|| format!("reading {}", source.display()))?;
    let native = policy::engine::compile(&wasm, target).map_err(anyhow::Error::msg)?;
    // Only where it changed: the host is built again when this file is newer.
    if fs::read(path).ok().as_ref() != Some(&native) {
        fs::write(path, native).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
