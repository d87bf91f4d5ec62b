//! Policies compiled ahead of time, for a target of the static binaries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};
use switch_root_tests::policies::PUBLISHED;

use crate::engine;
use crate::run::{run, workspace};

/// Compiles the policies that tests need ahead of time for a target: of each `.wasm` in
/// `folder`, its `.cwasm` into `output`.
///
/// # Errors
/// Where one cannot be compiled.
pub fn policies(folder: &Path, output: &Path, target: &str) -> Result<()> {
    let of_today = ["default", "hostile", "keep-paths", "scripted"].map(str::to_owned);
    let published = PUBLISHED
        .into_iter()
        .flat_map(|name| [format!("0.1.0-{name}"), format!("0.1.1-{name}")]);
    fs::create_dir_all(output).with_context(|| format!("making {}", output.display()))?;
    let files = of_today.into_iter().chain(published).map(|name| {
        // Names have dots, so what is behind the last one is not an ending.
        let source = folder.join(format!("{name}.wasm"));
        (source, output.join(format!("{name}.cwasm")))
    });
    compile(target, &files.collect::<Vec<_>>())
}

/// Compiles the default policy ahead of time for a target, for programs to embed.
///
/// # Errors
/// Where it cannot be compiled.
pub fn default_policy(target: &str) -> Result<PathBuf> {
    // Two programs that are built at the same time embed it: the second one finds it there.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = engine::embedded(target)?;
    let source = workspace().join("host/policy/src/default.wasm");
    compile(target, &[(source, path.clone())])?;
    Ok(path)
}

/// Compiles components ahead of time for a target. What is as it was is not written.
///
/// # Errors
/// Where one cannot be read, compiled or written.
pub fn compile(target: &str, files: &[(PathBuf, PathBuf)]) -> Result<()> {
    let mut precompile = Command::new(precompile()?);
    precompile.arg(target);
    for (source, path) in files {
        precompile.arg(source).arg(path);
    }
    run(&mut precompile)
}

/// Builds the program that compiles policies ahead of time, once in each run, and returns its
/// path.
///
/// # Errors
/// Where it cannot be built.
fn precompile() -> Result<PathBuf> {
    static BUILT: Mutex<bool> = Mutex::new(false);
    let cargo = engine::testing("build")?;
    engine::once(&BUILT, "the engine", cargo, &["--example", "precompile"])?;
    Ok(engine::folder().join("examples/precompile"))
}
