//! The archive for everybody who has no use for Debian's packages.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use walkdir::WalkDir;

use super::files::{copy, plain};
use super::release::{Release, VERSION};
use crate::run::workspace;

/// What lies beside the tree.
const BESIDE: [(&str, &str); 3] = [
    ("host/distribution/TARBALL.md", "README.md"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("LICENSE-MIT", "LICENSE-MIT"),
];

/// Archives the tree, with what explains it, into a folder, and returns the archive.
///
/// # Errors
/// What cannot be read or written, and what tar says.
pub fn write(release: &Release, root: &Path, folder: &Path) -> Result<PathBuf> {
    let name = format!("switch-root-{VERSION}-{}", release.architecture.name());
    let top = folder.join("tarball").join(&name);
    for (source, beside) in BESIDE {
        copy(&workspace().join(source), &top.join(beside), false)?;
    }
    let archive = folder.join(format!("{name}.tar.gz"));
    let unpacked = folder.join("archive.tar");
    let mut tar = plain("tar", release);
    tar.args(["--create", "--format=gnu", "--sort=name", "--numeric-owner"])
        .args(["--owner=0", "--group=0", "--no-recursion"])
        .arg(format!("--mtime=@{}", release.epoch))
        // The paths of both trees get the folder of the release in front.
        .arg(format!("--transform=s,^,{name}/,"))
        .arg("--file")
        .arg(&unpacked);
    for tree in [&top, &root.to_owned()] {
        tar.arg("--directory").arg(std::path::absolute(tree)?);
        tar.args(entries(tree)?);
    }
    crate::run::run(&mut tar)?;
    let packed =
        File::create(&archive).with_context(|| format!("writing {}", archive.display()))?;
    let mut gzip = plain("gzip", release);
    gzip.args(["--no-name", "--best", "--stdout"])
        .arg(&unpacked);
    let status = gzip.stdout(packed).status().context("running gzip")?;
    ensure!(status.success(), "gzip ended with {status}");
    fs::remove_file(&unpacked)?;
    Ok(archive)
}

/// The files of a tree, and the folders that have none, in order. Other folders are left
/// out: unpacked over a machine's, they would change the modes and times of `/usr` and `/etc`.
fn entries(tree: &Path) -> Result<Vec<PathBuf>> {
    let mut entries = Vec::new();
    for entry in WalkDir::new(tree).min_depth(1).sort_by_file_name() {
        let entry = entry?;
        let path = entry.path();
        if !entry.file_type().is_dir() || fs::read_dir(path)?.next().is_none() {
            entries.push(path.strip_prefix(tree)?.to_owned());
        }
    }
    Ok(entries)
}
