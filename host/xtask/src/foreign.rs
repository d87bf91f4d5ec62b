//! What tests boot on kernels of another architecture than this machine's.

use std::path::{Path, PathBuf};

use anyhow::Result;
use switch_root_tests::architecture::Architecture;

use crate::dist::{self, Way};
use crate::engine::{self, EMBEDDED};
use crate::native;
use crate::run::{cargo, run, step, target};
use crate::setup;

/// cargo's profile: what is installed, without the minutes that optimizing it as a whole
/// takes.
const PROFILE: &str = "cross";

/// Builds the boot binaries and the probe, and compiles the policies among `components`
/// that tests need ahead of time. Returns the folder, in which all lie side by side; or,
/// where nothing can be built, the packages that are missing.
///
/// # Errors
/// What cannot be built, and why.
pub fn programs(architecture: Architecture, components: &Path) -> Result<Result<PathBuf, String>> {
    let missing = setup::missing_for(setup::static_target(architecture));
    if !missing.is_empty() {
        return Ok(Err(missing.join(" ")));
    }
    let folder = target().join("foreign").join(architecture.name());
    let way = Way {
        target: setup::static_target(architecture),
        profile: PROFILE,
    };
    dist::boot_binaries(&folder, way)?;
    let probe = ["--package", "switch-root-tests", "--bin", "probe"];
    dist::compile(&folder, "probe", "probe", &probe, way)?;
    native::policies(components, &folder, way.target)?;
    Ok(Ok(folder))
}

/// Checks that the boot binary can be compiled for another architecture: what it does there is
/// a part of `prove`. Returns the packages that are missing where it cannot be tried.
///
/// # Errors
/// What the compiler says.
pub fn check(architecture: Architecture) -> Result<Result<(), String>> {
    let target = setup::static_target(architecture);
    let missing = setup::missing_for(target);
    if !missing.is_empty() {
        return Ok(Err(missing.join(" ")));
    }
    setup::targets(&[target])?;
    step(&format!("switch_root-aot can be compiled ({target})"));
    run(cargo()
        .args(["check", "--locked", "--quiet", "--profile", engine::PROFILE])
        .args(["--target", target, "--package", "switch-root"])
        .arg("--no-default-features")
        .env(EMBEDDED, engine::embedded(target)?))?;
    Ok(Ok(()))
}
