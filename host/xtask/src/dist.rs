//! `cargo xtask dist`: what is installed, in `target/dist/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::policies;
use crate::run::{cargo, run, step, target, workspace};
use crate::setup::{self, STATIC};

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

fn build(folder: &Path, name: &str, compiler: bool) -> Result<PathBuf> {
    setup::targets(&[STATIC])?;
    step(&format!("{name} (static, optimized)"));
    let native = default_policy()?;
    let mut cargo = cargo();
    cargo
        .args([
            "build",
            "--locked",
            "--release",
            "--target",
            STATIC,
            "--package",
            "switch-root",
        ])
        .env("SWITCH_ROOT_DEFAULT_CWASM", &native);
    if !compiler {
        cargo.arg("--no-default-features");
    }
    run(&mut cargo)?;
    let built = target().join(STATIC).join("release/switch_root");
    let installed = folder.join(name);
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::copy(&built, &installed)
        .with_context(|| format!("copying {} to {}", built.display(), installed.display()))?;
    Ok(installed)
}

/// Compiles the policies that tests and measurements need ahead of time, each
/// beside its `.wasm`, and returns the folder.
///
/// # Errors
/// Where one cannot be compiled.
pub fn native_policies(folder: &Path) -> Result<PathBuf> {
    for name in ["default", "hostile", "keep-paths"] {
        compile(
            &folder.join(name).with_extension("wasm"),
            &folder.join(name).with_extension("cwasm"),
        )?;
    }
    Ok(folder.to_owned())
}

/// Compiles the default policy ahead of time, for the binary to embed.
fn default_policy() -> Result<PathBuf> {
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
