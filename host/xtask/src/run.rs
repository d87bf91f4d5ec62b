//! Running other programs, and the places of this workspace.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::beside::{go_on, is_behind};

/// The top of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Where cargo builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// The cargo that runs this.
pub fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace());
    // What cargo told this program of itself would tell the next cargo that it
    // is building xtask.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST") {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// Says what is being done, and when: in minutes and seconds since the first step.
pub fn step(what: &str) {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    let passed = FIRST.elapsed().as_secs();
    let text = format!("==> {:02}:{:02} {what}", passed / 60, passed % 60);
    if std::io::stderr().is_terminal() {
        eprintln!("\x1b[1m{text}\x1b[0m");
    } else {
        eprintln!("{text}");
    }
}

/// Runs a program to its end.
///
/// # Errors
/// Where it cannot be started, or fails; or where what is done beside it has failed.
pub fn run(command: &mut Command) -> Result<()> {
    go_on()?;
    let shown = format!("{command:?}");
    let status = if is_behind() {
        command.output().inspect(show).map(|output| output.status)
    } else {
        command.status()
    };
    let status = status.with_context(|| format!("running {shown}"))?;
    ensure!(status.success(), "{shown} ended with {status}");
    Ok(())
}

/// Shows what a program printed, in one piece for each stream.
fn show(output: &Output) {
    // Who cannot be shown it still learns how the program ended.
    let _ = std::io::stdout().lock().write_all(&output.stdout);
    let _ = std::io::stderr().lock().write_all(&output.stderr);
}

/// Runs a program to its end and returns what it printed.
///
/// # Errors
/// Where it cannot be started, or fails; with what it wrote to standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = format!("{command:?}");
    let output = command
        .output()
        .with_context(|| format!("running {shown}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{shown} ended with {}: {}",
        output.status,
        errors.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The crates of the workspace, as cargo describes them.
///
/// # Errors
/// What cargo says.
pub fn packages() -> Result<Vec<Value>> {
    let metadata =
        output(cargo().args(["metadata", "--locked", "--no-deps", "--format-version=1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("reading cargo metadata")?;
    Ok(metadata["packages"].as_array().cloned().unwrap_or_default())
}

/// Where a program is, if it is in PATH or where Debian puts it otherwise. An absolute path is
/// where it says, whatever is there.
pub fn which(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(|path| path.exists());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/lib/klibc/bin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// All files below a folder, in order; none where there is no such folder.
///
/// # Errors
/// What cannot be read.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !folder.exists() {
        return Ok(files);
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
