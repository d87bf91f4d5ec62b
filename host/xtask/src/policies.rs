//! The policies as components: those that ship, and those that tests need.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::components::{self, refused};
use crate::run::{step, target, workspace};
use crate::setup::{self, WASM};

/// Policies that ship: their crate, and the name of their file.
const SHIPPED: [(&str, &str); 3] = [
    ("switch-root-policy-default", "default"),
    ("switch-root-policy-keep-paths", "keep-paths"),
    (
        "switch-root-policy-extension-allowlist",
        "extension-allowlist",
    ),
];

/// Where the default policy is checked in, since the host embeds it.
fn checked_in() -> PathBuf {
    workspace().join("host/policy/src/default.wasm")
}

/// Builds the policies that ship into a folder.
///
/// # Errors
/// Where one cannot be built.
pub fn build(folder: &Path) -> Result<()> {
    setup::targets(&[WASM])?;
    step("policies");
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    for (package, name) in SHIPPED {
        write(folder, name, &components::build(workspace(), package)?)?;
    }
    Ok(())
}

/// Builds all that tests need into a folder of its own, and returns it.
///
/// # Errors
/// Where one cannot be built.
pub fn build_for_tests() -> Result<PathBuf> {
    let folder = target().join("policies");
    build(&folder)?;
    let contract = workspace().join("wit/policy.wit");
    let contract =
        fs::read_to_string(&contract).with_context(|| format!("reading {}", contract.display()))?;
    let hostile = components::build(workspace(), "switch-root-policy-hostile")?;
    write(&folder, "truncated", &refused::truncated(&hostile))?;
    write(&folder, "hostile", &hostile)?;
    write(
        &folder,
        "wasi-imports",
        &refused::importing_wasi(&contract)?,
    )?;
    write(
        &folder,
        "other-version",
        &refused::of_another_version(&contract)?,
    )?;
    write(&folder, "core-module", &refused::core_module(&contract)?)?;
    Ok(folder)
}

fn write(folder: &Path, name: &str, component: &[u8]) -> Result<()> {
    let path = folder.join(format!("{name}.wasm"));
    fs::write(&path, component).with_context(|| format!("writing {}", path.display()))
}

/// What comparing the default policy that is checked in with its source says.
pub enum Comparison {
    /// The same bytes.
    Same,
    /// This machine's compiler is another one, so nothing can be said.
    OtherCompiler(String),
}

/// Compares the checked-in default policy with one built from its source.
///
/// # Errors
/// Where they differ.
pub fn compare_default(built: &Path) -> Result<Comparison> {
    let there = fs::read(checked_in()).context("reading the default policy that is checked in")?;
    let here = fs::read(built).with_context(|| format!("reading {}", built.display()))?;
    if there == here {
        return Ok(Comparison::Same);
    }
    let (there, here) = (components::compiler(&there)?, components::compiler(&here)?);
    if there == here {
        bail!(
            "host/policy/src/default.wasm is not what policies/default makes; if the source is right, run `cargo xtask policies` and commit the file"
        );
    }
    let name = |compiler: Option<String>| compiler.unwrap_or_else(|| "an unknown compiler".into());
    Ok(Comparison::OtherCompiler(format!(
        "it was built by {}, and this is {}",
        name(there),
        name(here)
    )))
}

/// Rebuilds the default policy that is checked in.
///
/// # Errors
/// Where it cannot be built or written.
pub fn rebuild_default() -> Result<()> {
    setup::targets(&[WASM])?;
    let component = components::build(workspace(), SHIPPED[0].0)?;
    fs::write(checked_in(), &component).context("writing host/policy/src/default.wasm")?;
    println!("host/policy/src/default.wasm: {} bytes", component.len());
    Ok(())
}
