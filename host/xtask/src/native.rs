//! Policies compiled ahead of time, for the static binaries' target.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::policies::PUBLISHED;
use crate::run::{target, workspace};
use crate::setup::STATIC;

/// Compiles the policies that tests and measurements need ahead of time, each
/// beside its `.wasm`, and returns the folder.
///
/// # Errors
/// Where one cannot be compiled.
pub fn policies(folder: &Path) -> Result<PathBuf> {
    let of_today = ["default", "hostile", "keep-paths", "scripted"].map(str::to_owned);
    let published = PUBLISHED
        .into_iter()
        .flat_map(|name| [format!("0.1.0-{name}"), format!("0.1.1-{name}")]);
    for name in of_today.into_iter().chain(published) {
        // Names have dots, so what is behind the last one is not an ending.
        let path = |ending| folder.join(format!("{name}.{ending}"));
        compile(&path("wasm"), &path("cwasm"))?;
    }
    Ok(folder.to_owned())
}

/// Compiles the default policy ahead of time, for the binary to embed.
///
/// # Errors
/// Where it cannot be compiled.
pub fn default_policy() -> Result<PathBuf> {
    let path = target().join("default.cwasm");
    compile(&workspace().join("host/policy/src/default.wasm"), &path)?;
    Ok(path)
}

/// Compiles a component ahead of time, for the static binaries' target.
///
/// # Errors
/// Where it cannot be read, compiled or written.
pub fn compile(source: &Path, path: &Path) -> Result<()> {
    let wasm = fs::read(source).with_context(|| format!("reading {}", source.display()))?;
    let native = policy::engine::compile(&wasm, STATIC).map_err(anyhow::Error::msg)?;
    // Only where it changed: the host is built again when this file is newer.
    if fs::read(path).ok().as_ref() != Some(&native) {
        fs::write(path, native).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}
