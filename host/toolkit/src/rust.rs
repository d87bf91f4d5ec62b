//! Builds policies that are written in Rust: the same bytes of the same source on every
//! machine.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use switch_root_core::error::{Attempt, Error, Kind, Result};
use switch_root_core::escape::Shown;

use crate::component;
use crate::tool;

switch_root_core::outcomes! {
    /// Why a policy in Rust is not built.
    pub(crate) enum NotBuilt in "policies" {
        /// The reason follows, and what cargo says of it is above.
        "SR-T71" Policy { package: String, workspace: String } = "cannot build the policy {package} in {workspace}",
        "SR-T72" Component { path: String } = "cannot turn {path} into a component",
        "SR-T73" Module { path: String } = "cannot read the module {path} that cargo built",
        /// Check the path.
        "SR-T75" NoWorkspace { path: String } = "cannot find the workspace {path}",
        /// Mend its Cargo.toml, or that of the workspace around it.
        "SR-T76" Stranger { manifest: String } = "{manifest} is no package of its workspace; make it a member",
        "SR-T77" NoModule { package: String } = "{package} makes no .wasm; its Cargo.toml needs crate-type = [\"cdylib\"]",
        /// cargo and rustc are of one release that this tool knows: those of rustup or of a distribution.
        "SR-T78" Metadata { workspace: String, error: String } = "what cargo metadata wrote about {workspace} cannot be read: {error}",
        "SR-T79" Compiler { error: String } = "what rustc wrote cannot be read: {error}",
        "SR-T80" NoCommit = "rustc -vV names no commit-hash",
    }
}

/// What policies in Rust are compiled for: a core module without any system interface.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What to do where there is no cargo.
const INSTALL: &str = "install Rust, from rustup.rs or with the packages of your distribution";

/// Builds the policy crate `package` of the workspace at `workspace` and returns its component.
///
/// The bytes depend on the sources, `Cargo.lock` and the compiler, and not on where the
/// workspace, cargo's home and the compiler are, or on flags in the environment.
/// [`component::compiler`] says which compiler it was.
///
/// # Errors
///
/// If cargo can't be run or fails (it has written why to stderr by then), if the package makes
/// no component, or one that is not valid.
pub fn build(workspace: &Path, package: &str) -> Result<Vec<u8>> {
    let path = build_module(workspace, package).map_err(|error| {
        error.within(NotBuilt::Policy {
            package: package.to_owned(),
            workspace: workspace.shown(),
        })
    })?;
    let module = std::fs::read(&path).map_err(|error| {
        let path = path.shown();
        Error::system(NotBuilt::Module { path }, &error)
    })?;
    component::encode(&module)
        .map_err(|error| error.within(NotBuilt::Component { path: path.shown() }))
}

/// Builds the policy whose crate is in `folder`, and returns its name and its component. It may
/// be a member of a workspace.
///
/// # Errors
///
/// As for [`build`]; if there is no crate in the folder, or its workspace does not have it as a
/// member.
pub fn build_folder(folder: &Path) -> Result<(String, Vec<u8>)> {
    let manifest = folder.join("Cargo.toml");
    let manifest = manifest.canonicalize().map_err(|error| {
        let path = manifest.shown();
        Error::system(Attempt::Find { path }, &error)
    })?;
    // This also writes what is new into Cargo.lock, which the build wants whole.
    let metadata = metadata(manifest.parent().unwrap_or(folder), &[])?;
    let package = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| {
            let path = package["manifest_path"].as_str();
            path.is_some_and(|path| Path::new(path) == manifest)
        })
        .and_then(|package| package["name"].as_str());
    let (Some(package), Some(workspace)) = (package, metadata["workspace_root"].as_str()) else {
        let manifest = manifest.shown();
        return Err(Error::input(NotBuilt::Stranger { manifest }));
    };
    Ok((package.to_owned(), build(Path::new(workspace), package)?))
}

/// Runs cargo and returns the path of the core module that it made.
fn build_module(workspace: &Path, package: &str) -> Result<PathBuf> {
    let mut cargo = cargo(workspace);
    cargo
        .args(["build", "--locked", "--release", "--target", TARGET])
        .args(["--package", package, "--lib"])
        .arg("--message-format=json-render-diagnostics")
        .env("CARGO_ENCODED_RUSTFLAGS", encoded_rustflags(workspace)?)
        // Sections are chosen in `encode`: the linker would drop the producers too.
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        // Compiled once, so incremental state would only be in the way.
        .env("CARGO_INCREMENTAL", "0");
    let messages = tool::output(&mut cargo, INSTALL)?;
    let mut artifacts = messages
        .split(|&byte| byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
        .filter(|message| message["reason"] == "compiler-artifact");
    // The package that was asked for is the last one that cargo finishes.
    let files = artifacts
        .next_back()
        .map(|message| message["filenames"].clone());
    let mut files = files.iter().flat_map(|files| files.as_array()).flatten();
    let is_module = |file: &&Value| {
        file.as_str()
            .is_some_and(|file| Path::new(file).extension() == Some(OsStr::new("wasm")))
    };
    let module = files.find(is_module).and_then(|file| file.as_str());
    module.map(PathBuf::from).ok_or_else(|| {
        let package = package.to_owned();
        Error::input(NotBuilt::NoModule { package })
    })
}

/// A cargo whose result does not depend on the environment of this process.
fn cargo(workspace: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace);
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        let changes_code = name_text.starts_with("CARGO_PROFILE_")
            || name_text.starts_with("CARGO_TARGET_WASM32")
            || name_text == "RUSTC_WORKSPACE_WRAPPER";
        if changes_code {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// The flags that take the paths of this machine out of what is compiled, in the encoding of
/// `CARGO_ENCODED_RUSTFLAGS`, in which a path may have spaces. Messages about places in the
/// source carry paths, and these would be in the data of the component.
fn encoded_rustflags(workspace: &Path) -> Result<OsString> {
    let workspace = workspace.canonicalize().map_err(|error| {
        let path = workspace.shown();
        Error::system(NotBuilt::NoWorkspace { path }, &error)
    })?;
    let mut flags = OsString::new();
    let mut remap = |from: &Path, to: &str| {
        if !flags.is_empty() {
            flags.push("\u{1f}");
        }
        flags.push("--remap-path-prefix=");
        flags.push(from);
        flags.push("=");
        flags.push(to);
    };
    for folder in folders_of_dependencies(&workspace)? {
        remap(&folder, "/dependencies");
    }
    remap(&workspace, "/switch-root");
    // Only there where the sources of the standard library are installed; elsewhere the
    // compiler writes this path itself.
    let (sysroot, commit) = compiler_in_use(&workspace)?;
    let library = sysroot.join("lib/rustlib/src/rust");
    remap(&library, &format!("/rustc/{commit}"));
    Ok(flags)
}

/// The folders that the sources of dependencies lie in, each in a folder of its own: cargo's
/// registry by default, and whatever a vendoring or mirroring configuration makes of it.
fn folders_of_dependencies(workspace: &Path) -> Result<BTreeSet<PathBuf>> {
    let metadata = metadata(workspace, &["--locked", "--filter-platform", TARGET])?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let folders = packages
        // Those without a source are the workspace's own.
        .filter(|package| !package["source"].is_null())
        .filter_map(|package| package["manifest_path"].as_str())
        .filter_map(|manifest| Path::new(manifest).parent()?.parent())
        .map(Path::to_path_buf);
    Ok(folders.collect())
}

/// What cargo knows of a workspace.
fn metadata(workspace: &Path, arguments: &[&str]) -> Result<Value> {
    let mut cargo = cargo(workspace);
    cargo
        .args(["metadata", "--format-version=1"])
        .args(arguments);
    serde_json::from_slice(&tool::output(&mut cargo, INSTALL)?).map_err(|error| {
        Error::input(NotBuilt::Metadata {
            workspace: workspace.shown(),
            error: error.to_string(),
        })
    })
}

/// Where the compiler's own files are, and the commit that it was built from.
fn compiler_in_use(workspace: &Path) -> Result<(PathBuf, String)> {
    let rustc = |arguments: &[&str]| {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        let written = tool::output(rustc.current_dir(workspace).args(arguments), INSTALL)?;
        String::from_utf8(written).map_err(|error| {
            let error = error.to_string();
            Error::input(NotBuilt::Compiler { error })
        })
    };
    let sysroot = rustc(&["--print", "sysroot"])?;
    let version = rustc(&["-vV"])?;
    let commit = version
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: "))
        .ok_or_else(|| Error::new(Kind::NotFound, NotBuilt::NoCommit))?;
    Ok((PathBuf::from(sysroot.trim_end()), commit.to_owned()))
}
