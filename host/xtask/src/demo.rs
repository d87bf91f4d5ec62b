//! `cargo xtask demo`: the main job, for people to look at. First a real kernel boots
//! an initramfs with a few hundred files of this machine and two more policies;
//! `switch_root` hands over to a new root, and what it did is shown. Then `srctl` puts
//! extensions from a registry into an initramfs, which is booted as it is.

mod extensions;
mod program_paths;
mod show;
mod switch;

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow};
use switch_root_tests::architecture::Architecture;
use switch_root_tests::machine;

use crate::run::target;
use program_paths::Programs;

use crate::setup::{self, QEMU};
use crate::{engine, kernels, policies, programs};

/// Builds, boots and shows.
///
/// # Errors
/// What cannot be built or booted.
pub fn demo() -> Result<()> {
    let programs = programs::soon()?;
    let boot = programs.join("switch_root");
    let srctl = programs.join("srctl");
    let components = target().join("policies");
    policies::build(&components)?;
    let (probe, supervisor) = helpers()?;
    let kernel = machines();
    if let Err(reason) = &kernel {
        eprintln!("no virtual machine ({reason}): in namespaces of this machine instead");
    }
    let programs = Programs {
        boot,
        probe,
        supervisor,
        kernel: kernel.ok(),
    };
    let scratch = scratch()?;
    let switched = switch::run(&programs, &components, &scratch)?;
    // All work first, so that what is shown is in one piece.
    let installed = extensions::run(&programs, &srctl, &scratch);
    switch::print(&switched, &scratch)?;
    extensions::print(&installed?, &scratch)
}

/// Builds the programs that look at the switch from within.
fn helpers() -> Result<(PathBuf, PathBuf)> {
    static BUILT: Mutex<bool> = Mutex::new(false);
    let cargo = engine::testing("build")?;
    let package = "--package=switch-root-tests";
    let what = [package, "--bin=probe", "--bin=supervisor"];
    engine::once(&BUILT, "the demo's init", cargo, &what)?;
    let folder = engine::folder();
    Ok((folder.join("probe"), folder.join("supervisor")))
}

/// The newest kernel that can be booted here.
fn machines() -> Result<PathBuf> {
    if let Some(package) = setup::tools(&[&QEMU]).first() {
        return Err(anyhow!("Debian's package {package} is not installed"));
    }
    let (folder, missing) = kernels::fetch(Architecture::X86_64);
    let kernels = machine::kernels(&folder).unwrap_or_default();
    kernels
        .into_iter()
        .next_back()
        .ok_or_else(|| anyhow!("there is no kernel: {}", missing.join("; ")))
}

/// An empty folder.
fn scratch() -> Result<PathBuf> {
    let folder = target().join("demo");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}
