//! How cargo builds what has the engine in it: in one profile and for one target. Compiling
//! the engine is half of what building everything takes, and once is enough.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

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

/// A cargo that builds in the profile, optimized as programs are installed.
///
/// # Errors
/// Where what is to be embedded cannot be named.
pub fn building(verb: &str) -> Result<Command> {
    setup::targets(&[STATIC])?;
    setup::c_compiler("the engine", STATIC)?;
    let mut cargo = cargo();
    cargo
        .args([verb, "--locked", "--profile", PROFILE, "--target", STATIC])
        .env(EMBEDDED, embedded(STATIC)?);
    Ok(cargo)
}

/// A cargo that tests or checks the crates of the workspace, or builds what is run once, with the
/// libraries that the programs have. The crates themselves are not optimized, which takes a minute.
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
    let settings: String = packages(false)?
        .iter()
        .map(|package| &package.name)
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

/// The file that programs for a target embed the default policy from, compiled ahead of time.
/// As long as nothing can compile it it is empty, and the programs compile the policy when
/// they start.
///
/// # Errors
/// Where it cannot be made.
pub fn embedded(triple: &str) -> Result<PathBuf> {
    let path = target().join(format!("default-{triple}.cwasm"));
    if !path.exists() {
        let folder = target();
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        fs::write(&path, []).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(path)
}

/// Builds by a cargo what the arguments choose of the crates that are built together, once in each
/// run. Returns whether it was built now.
///
/// # Errors
/// Where it cannot be built.
pub fn once(
    built: &Mutex<bool>,
    what: &str,
    mut cargo: Command,
    arguments: &[&str],
) -> Result<bool> {
    let mut built = built.lock().unwrap_or_else(PoisonError::into_inner);
    if *built {
        return Ok(false);
    }
    step(&format!("{what} ({STATIC}, {PROFILE})"));
    for package in TOGETHER {
        cargo.args(["--package", package]);
    }
    run(cargo.args(arguments))?;
    *built = true;
    Ok(true)
}
