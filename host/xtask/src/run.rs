//! Running other programs, and the places of this workspace.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use walkdir::WalkDir;

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

/// A crate, as cargo describes it. The library cargo_metadata has types of all that cargo says;
/// it adds features to crates below the engine, which would be compiled once more for that.
#[derive(Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Where its manifest is.
    pub manifest_path: PathBuf,
    /// The registries that it may be published in; none where there is no such limit.
    pub publish: Option<Vec<String>>,
    /// What else its manifest says.
    #[cfg(test)]
    #[serde(flatten)]
    pub manifest: serde_json::Value,
}

impl Package {
    /// The folder that its sources are in.
    pub fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }
}

/// The crates of the workspace, and with `all` the libraries as well.
///
/// # Errors
/// What cargo says.
pub fn packages(all: bool) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
    }
    let mut metadata = cargo();
    metadata.args(["metadata", "--locked", "--format-version=1"]);
    if !all {
        metadata.arg("--no-deps");
    }
    let metadata: Metadata =
        serde_json::from_str(&output(&mut metadata)?).context("reading cargo metadata")?;
    Ok(metadata.packages)
}

/// Where a program is, if it is in PATH or where Debian puts it otherwise. An absolute path is
/// where it says, whatever is there.
pub fn which(program: &str) -> Option<PathBuf> {
    if program.starts_with('/') {
        return Some(PathBuf::from(program)).filter(|path| path.exists());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = ["/usr/sbin", "/sbin", "/usr/lib/klibc/bin"].map(PathBuf::from);
    let folders = std::env::join_paths(std::env::split_paths(&path).chain(others)).ok()?;
    which::which_in(program, Some(folders), workspace()).ok()
}

/// All files below a folder, through links, in order; none where there is no such folder.
///
/// # Errors
/// What cannot be read.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if !folder.exists() {
        return Ok(files);
    }
    for entry in WalkDir::new(folder).follow_links(true).sort_by_file_name() {
        let entry = entry?;
        if !entry.file_type().is_dir() {
            files.push(entry.into_path());
        }
    }
    Ok(files)
}
