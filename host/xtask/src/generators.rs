//! Generators of initramfs images, and what checks metrics, from Debian's packages: unpacked
//! and never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::run::{output, run, step, target};
use crate::setup::apt_for_one;

/// What each takes beside the C library, a shell and coreutils.
const GENERATORS: [(&str, &[&str]); 3] = [
    (
        "initramfs-tools",
        &[
            "initramfs-tools",
            "initramfs-tools-core",
            "busybox",
            "cpio",
            "klibc-utils",
            "kmod",
            "libklibc",
            "libkmod2",
            "linux-base",
        ],
    ),
    (
        "dracut",
        &["cpio", "dracut-core", "kmod", "libkmod2", "systemd", "udev"],
    ),
    // For promtool: installed, the package would start a server.
    ("prometheus", &["prometheus"]),
];

/// Directories that Debian has merged into `/usr`, and packages of older releases name.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// A folder with a tree for each that could be had, to be laid over this
/// machine's, and why the others could not.
pub fn fetch() -> (PathBuf, Vec<String>) {
    let folder = target().join("generators");
    let missing = GENERATORS
        .into_iter()
        .filter_map(|(name, packages)| {
            fetch_one(&folder.join(name), packages)
                .err()
                .map(|error| format!("the tests with {name}: {error:#}"))
        })
        .collect();
    (folder, missing)
}

fn fetch_one(folder: &Path, packages: &[&str]) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    step(&format!("Debian's {}", packages.join(", ")));
    let work = folder.with_extension("partial");
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(work.join("tree")).with_context(|| format!("making {}", work.display()))?;
    let mut apt = Command::new("apt-get");
    apt.current_dir(&work)
        .args(["-qq", "-o", "APT::Sandbox::User=root", "download"])
        .args(packages);
    let _alone = apt_for_one();
    // An index that is too old names packages that the mirror no longer has.
    if run(&mut apt).is_err() {
        run(Command::new("apt-get").args(["-qq", "update"]))?;
        run(&mut apt)?;
    }
    let archives = output(Command::new("find").arg(&work).args(["-name", "*.deb"]))?;
    ensure!(
        archives.lines().count() == packages.len(),
        "apt-get download left other files than asked for: {archives}"
    );
    let tree = work.join("tree");
    for archive in archives.lines() {
        run(Command::new("dpkg-deb")
            .arg("--extract")
            .arg(archive)
            .arg(&tree))?;
    }
    // Otherwise they would hide the links of the tree that this is laid over.
    for name in MERGED {
        let apart = tree.join(name);
        if apart.is_dir() {
            let merged = tree.join("usr").join(name);
            fs::create_dir_all(&merged)?;
            run(Command::new("cp")
                .arg("-a")
                .arg(apart.join("."))
                .arg(&merged))?;
            fs::remove_dir_all(&apart)?;
        }
    }
    fs::rename(&tree, folder).with_context(|| format!("making {}", folder.display()))?;
    fs::remove_dir_all(&work).with_context(|| format!("removing {}", work.display()))
}
