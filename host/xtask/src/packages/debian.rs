//! Debian's packages, by debhelper: host/distribution/debian says what is in which.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::changelog;
use super::files::{copy, plain};
use super::release::Release;
use crate::run::{files_below, output, run, workspace};
use crate::setup::{self, PACKAGING};

/// The packages that are missing to build packages with.
pub fn missing() -> Vec<String> {
    setup::tools(&PACKAGING.each_ref())
}

/// Builds the packages in a source tree whose `root/` has what is installed, and returns
/// them. Nothing is compiled.
///
/// # Errors
/// What dpkg-buildpackage says.
pub fn build(release: &Release, source: &Path) -> Result<Vec<PathBuf>> {
    let debian = workspace().join("host/distribution/debian");
    for file in files_below(&debian)? {
        let name = file.strip_prefix(&debian)?;
        let executable = name == Path::new("rules");
        copy(&file, &source.join("debian").join(name), executable)?;
    }
    let text = changelog::debian(release)?;
    let path = source.join("debian/changelog");
    super::files::write(&path, text.as_bytes(), false)?;

    let mut build = plain("dpkg-buildpackage", release);
    // Nothing is cleaned, since nothing was built here; nothing is signed, since the
    // checksums are what is signed; and there is no compiler to look for.
    build
        .args(["--build=binary", "--no-pre-clean", "--unsigned-source"])
        .args([
            "--unsigned-changes",
            "--unsigned-buildinfo",
            "--no-check-builddeps",
        ])
        .arg(format!("--host-arch={}", release.debian()))
        .env("DEB_BUILD_OPTIONS", "nocheck noautodbgsym")
        .current_dir(source);
    // It tells each file that it installs; that is of interest where it fails.
    output(&mut build)?;
    let folder = source.parent().context("the source tree has no parent")?;
    let mut packages = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "deb") {
            packages.push(path);
        }
    }
    packages.sort();
    ensure!(
        packages.len() == 3,
        "dpkg-buildpackage made {} packages in {}, and not three",
        packages.len(),
        folder.display()
    );
    for package in &packages {
        run(plain("dpkg-deb", release)
            .arg("--field")
            .arg(package)
            .args(["Package", "Version"]))?;
    }
    Ok(packages)
}
