//! A minimal Debian that packages are tried in: `target/distributions/minimal-SUITE.tar`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::{output, run, step, target};
use crate::setup::{self, PACKAGE_TESTS};

/// What is in it: the oldest Debian that the packages are for.
const SUITE: &str = "bookworm";
/// What it has beside the packages that Debian cannot be without, and apt: a generator whose
/// trigger is pulled, the units' helper, and for the pages of the book another generator
/// and what that puts into an image.
const INCLUDED: [&str; 4] = [
    "initramfs-tools",
    "init-system-helpers",
    "dracut-core",
    "mount",
];

/// The archive of it, made where it was not before; or why there is none.
///
/// # Errors
/// What mmdebstrap says.
pub fn root() -> Result<Result<PathBuf, String>> {
    let missing = setup::tools(&PACKAGE_TESTS.each_ref());
    if !missing.is_empty() {
        return Ok(Err(format!(
            "the packages, which are tried with Debian's {}",
            missing.join(" ")
        )));
    }
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        return Ok(Err("the packages, which only root can install".into()));
    }
    let folder = target().join("distributions");
    // What is in it is in the name: another list makes another root.
    let archive = folder.join(format!("minimal-{SUITE}-{}.tar", INCLUDED.join("-")));
    if archive.exists() {
        return Ok(Ok(archive));
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    step(&format!("a minimal Debian {SUITE}"));
    let partial = archive.with_extension("partial.tar");
    let made = make(&partial);
    if made.is_err() {
        let _ = fs::remove_file(&partial);
    }
    match made {
        Ok(()) => {
            fs::rename(&partial, &archive)
                .with_context(|| format!("naming {}", archive.display()))?;
            Ok(Ok(archive))
        }
        Err(error) => Ok(Err(format!(
            "the packages, for which no Debian can be had: {error:#}"
        ))),
    }
}

/// Has mmdebstrap make it, out of the mirrors of this machine where those are Debian's.
fn make(archive: &std::path::Path) -> Result<()> {
    let mirror = crate::kernels::mirror()?;
    ensure!(!mirror.is_empty(), "apt knows no mirror of Debian");
    let mut debootstrap = Command::new("mmdebstrap");
    debootstrap
        .args(["--variant=apt", "--mode=root", "--quiet"])
        .arg(format!("--include={}", INCLUDED.join(",")))
        // What dpkg leaves out is neither looked at nor unpacked again for each test.
        .args(["--dpkgopt=path-exclude=/usr/share/locale/*"])
        .args(["--dpkgopt=path-exclude=/usr/share/zoneinfo/*"])
        .arg(SUITE)
        .arg(archive)
        .arg(format!("deb {mirror} {SUITE} main"));
    run(&mut debootstrap)
}
