//! `cargo xtask dist`: what is installed, in `target/dist/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use switch_root_tests::architecture::Architecture;

use crate::documents;
use crate::native;
use crate::policies;
use crate::run::{cargo, files_below, run, step, target};
use crate::setup::{self, AARCH64_COMPILER, MUSL_COMPILER, STATIC};

/// The two builds of the boot binary: name, and whether it has a compiler.
const BUILDS: [(&str, bool); 2] = [("switch_root", true), ("switch_root-aot", false)];

/// Where a program is built for, and how.
#[derive(Clone, Copy)]
pub struct Way {
    /// The target triple.
    pub target: &'static str,
    /// cargo's profile.
    pub profile: &'static str,
}

impl Way {
    /// How the boot binaries are built that are installed.
    const fn boot(target: &'static str) -> Self {
        Self {
            target,
            profile: "release",
        }
    }
}

/// Builds everything, and returns the folder.
///
/// # Errors
/// What cannot be built, and why.
pub fn dist() -> Result<PathBuf> {
    let folder = target().join("dist");
    policies::build(&folder.join("policies"))?;
    boot_binaries(&folder, Way::boot(STATIC))?;
    documents::write(&operator_binary()?, &folder)?;
    list(&folder)?;
    Ok(folder)
}

/// Builds the programs for the machines of an architecture, into a folder of `target/dist/`
/// that is named like it.
///
/// # Errors
/// What cannot be built, and why.
pub fn dist_for(architecture: Architecture) -> Result<()> {
    let folder = target().join("dist").join(architecture.name());
    let target = setup::static_target(architecture);
    boot_binaries(&folder, Way::boot(target))?;
    operator(&folder, target)?;
    list(&folder)
}

/// Builds both boot binaries into a folder.
///
/// # Errors
/// Where one cannot be built.
pub fn boot_binaries(folder: &Path, way: Way) -> Result<()> {
    for (name, compiler) in BUILDS {
        build(folder, name, compiler, way)?;
    }
    Ok(())
}

/// Builds one static boot binary into `target/dist/` and returns its path.
///
/// # Errors
/// Where it cannot be built.
pub fn boot_binary(compiler: bool) -> Result<PathBuf> {
    let (name, compiler) = if compiler { BUILDS[0] } else { BUILDS[1] };
    build(&target().join("dist"), name, compiler, Way::boot(STATIC))
}

/// Builds `srctl`, static, into `target/dist/` and returns its path.
///
/// # Errors
/// Where it cannot be built.
pub fn operator_binary() -> Result<PathBuf> {
    operator(&target().join("dist"), STATIC)
}

/// Builds `srctl` into a folder.
fn operator(folder: &Path, target: &'static str) -> Result<PathBuf> {
    let way = Way {
        target,
        profile: "operator",
    };
    compile(
        folder,
        "srctl",
        "srctl",
        &["--package", "switch-root-srctl"],
        way,
    )
}

fn build(folder: &Path, name: &str, compiler: bool, way: Way) -> Result<PathBuf> {
    let mut arguments = vec!["--package", "switch-root"];
    if !compiler {
        arguments.push("--no-default-features");
    }
    compile(folder, name, "switch_root", &arguments, way)
}

/// Builds a static program that cargo's arguments choose, and copies it to `folder/name`.
///
/// # Errors
/// Where it cannot be built or copied.
pub fn compile(
    folder: &Path,
    name: &str,
    program: &str,
    arguments: &[&str],
    way: Way,
) -> Result<PathBuf> {
    setup::targets(&[way.target])?;
    c_compiler(name, missing_for(way.target))?;
    step(&format!("{name} ({}, {})", way.target, way.profile));
    let native = native::default_policy(way.target)?;
    run(cargo()
        .args(["build", "--locked", "--profile", way.profile])
        .args(["--target", way.target])
        .args(arguments)
        .env("SWITCH_ROOT_DEFAULT_CWASM", &native))?;
    let built = target().join(way.target).join(way.profile).join(program);
    let installed = folder.join(name);
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::copy(&built, &installed)
        .with_context(|| format!("copying {} to {}", built.display(), installed.display()))?;
    Ok(installed)
}

/// The packages that building a boot binary for a target takes and that are neither there
/// nor can be installed.
pub fn missing_for(target: &str) -> Vec<String> {
    // One function of the engine is written in C.
    match target {
        STATIC => setup::tools(&[&MUSL_COMPILER]),
        _ if target == setup::static_target(Architecture::Aarch64) => {
            setup::tools(&AARCH64_COMPILER.each_ref())
        }
        _ => Vec::new(),
    }
}

/// Fails where packages are missing that compile what is written in C.
fn c_compiler(name: &str, missing: Vec<String>) -> Result<()> {
    ensure!(
        missing.is_empty(),
        "parts of {name} are written in C, and there is no compiler for its target: install {}",
        missing.join(" ")
    );
    Ok(())
}

/// Shows the files of a folder in `target/dist/`, and how large they are.
fn list(folder: &Path) -> Result<()> {
    let top = target().join("dist");
    println!("\n{:>12}  file", "bytes");
    for file in files_below(folder)? {
        let shown = file.strip_prefix(&top).unwrap_or(&file);
        println!(
            "{:>12}  target/dist/{}",
            fs::metadata(&file)?.len(),
            shown.display()
        );
    }
    Ok(())
}
