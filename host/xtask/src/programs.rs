//! The programs that are built with the engine, in one profile and for one target: compiling
//! the engine is half of what building everything takes, and once is enough.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::dist::c_compiler;
use crate::native;
use crate::run::{cargo, packages, run, step, target};
use crate::setup::{self, STATIC};

/// cargo's profile.
pub const PROFILE: &str = "operator";

/// What programs embed: host/policy/build.rs.
pub const EMBEDDED: &str = "SWITCH_ROOT_DEFAULT_CWASM";

/// The crates that the programs are in, and the one that compiles policies. They are always
/// named together: cargo compiles the libraries with what all named crates need of them, so
/// that the engine would be compiled once more for others.
const TOGETHER: [&str; 4] = [
    "switch-root",
    "switch-root-components",
    "switch-root-policy-host",
    "switch-root-srctl",
];

/// Settings of the profile for each crate of the workspace when it is tested: with what finds
/// faults. The libraries keep theirs, and are not compiled again.
const TESTED: &str = "debug-assertions = true\nopt-level = 0\noverflow-checks = true\n";

/// A cargo that builds in the profile.
///
/// # Errors
/// Where what is to be embedded cannot be named.
fn building(verb: &str) -> Result<Command> {
    setup::targets(&[STATIC])?;
    c_compiler("the engine", STATIC)?;
    let mut cargo = cargo();
    cargo
        .args([verb, "--locked", "--profile", PROFILE, "--target", STATIC])
        .env(EMBEDDED, native::embedded(STATIC)?);
    Ok(cargo)
}

/// A cargo that tests or checks the crates of the workspace, with the libraries that the
/// programs have.
///
/// # Errors
/// See [`building`].
pub fn testing(verb: &str) -> Result<Command> {
    let mut cargo = building(verb)?;
    cargo.arg("--config").arg(tested()?);
    Ok(cargo)
}

/// The file for cargo with [`TESTED`] for each crate of the workspace.
fn tested() -> Result<PathBuf> {
    let path = target().join("tested.toml");
    let settings: String = packages()?
        .iter()
        .filter_map(|package| package["name"].as_str())
        .map(|name| format!("[profile.{PROFILE}.package.{name}]\n{TESTED}\n"))
        .collect();
    if fs::read(&path).ok().as_deref() != Some(settings.as_bytes()) {
        fs::write(&path, settings).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(path)
}

/// The folder that cargo builds into.
pub fn folder() -> PathBuf {
    target().join(STATIC).join(PROFILE)
}

/// Builds the program that compiles policies ahead of time, once in each run, and returns its
/// path.
///
/// # Errors
/// Where it cannot be built.
pub fn precompile() -> Result<PathBuf> {
    static BUILT: Mutex<bool> = Mutex::new(false);
    once(&BUILT, "the engine", &["--example", "precompile"])?;
    Ok(folder().join("examples/precompile"))
}

/// Builds the boot binary with a compiler, `srctl`, and what makes components, once in each
/// run; and returns the folder that they are in: `switch_root`, `srctl` and `components`.
///
/// # Errors
/// Where they cannot be built or copied.
pub fn build() -> Result<PathBuf> {
    static BUILT: Mutex<bool> = Mutex::new(false);
    let copied = target().join("programs");
    native::default_policy(STATIC)?;
    if once(&BUILT, "switch_root and srctl", &["--bins"])? {
        // Cargo puts what is tested into its own folder, under the same names.
        for name in ["switch_root", "srctl", "components"] {
            install(&folder().join(name), &copied.join(name))?;
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

/// Whether it was built now.
fn once(built: &Mutex<bool>, what: &str, arguments: &[&str]) -> Result<bool> {
    let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
    if *built {
        return Ok(false);
    }
    step(&format!("{what} ({STATIC}, {PROFILE})"));
    let mut cargo = building("build")?;
    for package in TOGETHER {
        cargo.args(["--package", package]);
    }
    run(cargo.args(arguments))?;
    *built = true;
    Ok(true)
}
