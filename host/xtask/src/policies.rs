//! The policies as components. What makes them has the engine in it, and is a program of its
//! own: tests/components.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use switch_root_tests::policies::SHIPPED;

use crate::native;
use crate::programs;
use crate::run::{output, run, step, target, workspace};
use crate::setup::{self, STATIC, WASM};

/// The program that makes components, with its arguments.
fn components(arguments: &[&str]) -> Result<Command> {
    setup::targets(&[WASM])?;
    let mut command = Command::new(programs::components()?);
    command.args(arguments);
    Ok(command)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str()
        .with_context(|| format!("{} is not UTF-8", path.display()))
}

/// Builds the policies that ship into a folder.
///
/// # Errors
/// Where one cannot be built.
pub fn build(folder: &Path) -> Result<()> {
    let mut build = components(&["shipped", text(folder)?])?;
    step("policies");
    run(&mut build)
}

/// Builds all that tests need into a folder of its own, and returns it.
///
/// # Errors
/// Where one cannot be built.
pub fn build_for_tests() -> Result<PathBuf> {
    let folder = target().join("policies");
    let mut build = components(&["for-tests", text(&folder)?])?;
    step("policies");
    run(&mut build)?;
    Ok(folder)
}

/// Runs the cases of each policy that ships; one without cases fails.
///
/// # Errors
/// Where a case fails.
pub fn run_cases(srctl: &Path, components: &Path) -> Result<()> {
    step("the cases of the policies that ship");
    for (_, name) in SHIPPED {
        run(Command::new(srctl)
            .args(["policy", "test"])
            .arg(components.join(name).with_extension("wasm"))
            .arg("--cases")
            .arg(workspace().join("policies").join(name).join("cases")))?;
    }
    Ok(())
}

/// Compares the default policy that is checked in with one built from its source. Returns why
/// nothing can be said, where this machine's compiler is another one.
///
/// # Errors
/// Where they differ.
pub fn compare_default(built: &Path) -> Result<Option<String>> {
    let reason = output(&mut components(&["compare-default", text(built)?])?)?;
    Ok(Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty()))
}

/// Builds the policy whose crate is in a folder of this workspace: the component
/// and its ahead-of-time form, in `target/policies/`, named like the folder.
///
/// # Errors
/// Where it cannot be built.
pub fn build_one(folder: &Path) -> Result<()> {
    let built = target().join("policies");
    let mut build = components(&["one", text(folder)?, text(&built)?])?;
    let name = output(&mut build)?.trim().to_owned();
    let wasm = built.join(format!("{name}.wasm"));
    native::compile(STATIC, &[(wasm.clone(), wasm.with_extension("cwasm"))])?;
    println!("target/policies/{name}.wasm and target/policies/{name}.cwasm");
    Ok(())
}

/// Rebuilds the default policy that is checked in.
///
/// # Errors
/// Where it cannot be built or written.
pub fn rebuild_default() -> Result<()> {
    run(&mut components(&["default"])?)
}
