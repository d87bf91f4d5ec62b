//! `cargo xtask dist`: what is installed, in `target/dist/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::documents;
use crate::native;
use crate::policies;
use crate::run::{cargo, run, step, target};
use crate::setup::{self, MUSL_COMPILER, STATIC};

/// The two builds of the boot binary: name, and whether it has a compiler.
const BUILDS: [(&str, bool); 2] = [("switch_root", true), ("switch_root-aot", false)];

/// Builds everything, and returns the folder.
///
/// # Errors
/// What cannot be built, and why.
pub fn dist() -> Result<PathBuf> {
    let folder = target().join("dist");
    policies::build(&folder.join("policies"))?;
    for (name, compiler) in BUILDS {
        build(&folder, name, compiler)?;
    }
    documents::write(&operator_binary()?, &folder)?;
    println!("\n{:>12}  file", "bytes");
    for file in files(&folder)? {
        let shown = file.strip_prefix(&folder).unwrap_or(&file);
        println!(
            "{:>12}  target/dist/{}",
            fs::metadata(&file)?.len(),
            shown.display()
        );
    }
    Ok(folder)
}

/// Builds one static boot binary into `target/dist/` and returns its path.
///
/// # Errors
/// Where it cannot be built.
pub fn boot_binary(compiler: bool) -> Result<PathBuf> {
    let (name, compiler) = if compiler { BUILDS[0] } else { BUILDS[1] };
    build(&target().join("dist"), name, compiler)
}

/// Builds `srctl`, static, into `target/dist/` and returns its path.
///
/// # Errors
/// Where it cannot be built.
pub fn operator_binary() -> Result<PathBuf> {
    let missing = setup::tools(&[&MUSL_COMPILER]);
    ensure!(
        missing.is_empty(),
        "parts of srctl are written in C, and there is no compiler for musl: install {}",
        missing.join(" ")
    );
    let package = "switch-root-srctl";
    compile(&target().join("dist"), "srctl", package, "srctl", &[])
}

fn build(folder: &Path, name: &str, compiler: bool) -> Result<PathBuf> {
    let features: &[&str] = if compiler {
        &[]
    } else {
        &["--no-default-features"]
    };
    compile(folder, name, "switch-root", "switch_root", features)
}

/// Builds a static, optimized program of a package, and copies it to `folder/name`.
fn compile(
    folder: &Path,
    name: &str,
    package: &str,
    program: &str,
    arguments: &[&str],
) -> Result<PathBuf> {
    setup::targets(&[STATIC])?;
    step(&format!("{name} (static, optimized)"));
    let native = native::default_policy()?;
    run(cargo()
        .args(["build", "--locked", "--release", "--target", STATIC])
        .args(["--package", package])
        .args(arguments)
        .env("SWITCH_ROOT_DEFAULT_CWASM", &native))?;
    let built = target().join(STATIC).join("release").join(program);
    let installed = folder.join(name);
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::copy(&built, &installed)
        .with_context(|| format!("copying {} to {}", built.display(), installed.display()))?;
    Ok(installed)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
