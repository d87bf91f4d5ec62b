//! A distribution to boot: the root disk of a Debian, made of its own packages, once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::kernels::mirror;
use crate::run::{output, run, step, target};
use crate::setup::{self, DISTRIBUTIONS};

/// The oldest Debian that the packages are for, and the next one.
pub const SUITES: [&str; 2] = ["bookworm", "trixie"];
/// The one where the next release is made: what its dracut and systemd do today.
pub const NEWEST: &str = "sid";
/// The name of a disk, in a folder of its own.
pub const DISK: &str = "debian.ext4";
/// What is installed beside the least that Debian runs with. Both generators: of dracut what
/// makes images, without the package that would have the kernel's updates call it, since that
/// one conflicts with initramfs-tools.
const PACKAGES: [&str; 10] = [
    "systemd",
    "systemd-sysv",
    "udev",
    "kmod",
    "linux-image-cloud-amd64",
    "initramfs-tools",
    "klibc-utils",
    "busybox",
    "dracut-core",
    "zstd",
];
/// What is installed there instead, for dracut's squash module. It takes switch_root from
/// util-linux-extra, or busybox where that is installed, and the latter images do not start
/// there (dracut 112). The archive that a boot ends with is made with cpio.
const FOR_SQUASH: [&str; 9] = [
    "systemd",
    "systemd-sysv",
    "udev",
    "linux-image-cloud-amd64",
    "dracut",
    "squashfs-tools",
    "util-linux-extra",
    "zstd",
    "cpio",
];
/// What nobody reads there.
const LEFT_OUT: [&str; 5] = ["doc", "i18n", "info", "locale", "man"];
/// The size of the disk, which is sparse: room for images and packages.
const SIZE: &str = "1G";

/// The folder with the disk of a suite, which is made where there is none that was made in
/// the same way.
///
/// # Errors
/// Why it cannot be made.
pub fn make(suite: &str) -> Result<PathBuf> {
    let folder = target().join("distributions").join(suite);
    let disk = folder.join(DISK);
    let recipe = folder.join("recipe");
    let packages: &[&str] = match suite {
        NEWEST => &FOR_SQUASH,
        _ => &PACKAGES,
    };
    let wanted = format!("{}\n{SIZE}\n", arguments(suite, packages).join("\n"));
    let made = fs::read_to_string(&recipe).is_ok_and(|was| was == wanted);
    if made && disk.is_file() {
        return Ok(folder);
    }
    possible()?;
    step(&format!("a disk with Debian {suite}"));
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    // Without its recipe the old disk is not used again.
    let _ = fs::remove_file(&recipe);
    let root = folder.join("new");
    clear(&root)?;
    let installed = install(suite, packages, &root).and_then(|()| write_disk(&root, &disk));
    clear(&root)?;
    installed?;
    fs::write(&recipe, wanted).with_context(|| format!("writing {}", recipe.display()))?;
    Ok(folder)
}

/// Installs a Debian with these packages into a folder.
///
/// # Errors
/// What mmdebstrap says.
pub fn install(suite: &str, packages: &[&str], root: &Path) -> Result<()> {
    run(Command::new("mmdebstrap")
        .args(arguments(suite, packages))
        .args([suite.as_ref(), root.as_os_str(), mirror()?.as_ref()]))
}

/// Whether one can be made here.
///
/// # Errors
/// Why not.
pub fn possible() -> Result<()> {
    ensure!(
        env!("SWITCH_ROOT_ARCH") == "x86_64",
        "its programs are for x86_64, and this machine is not"
    );
    ensure!(
        output(Command::new("id").arg("-u"))?.trim() == "0",
        "only root can install packages into a folder; run it as root"
    );
    let missing = setup::tools(&DISTRIBUTIONS.each_ref());
    ensure!(missing.is_empty(), "install {}", missing.join(" "));
    Ok(())
}

/// What mmdebstrap is told, but for places.
fn arguments(suite: &str, packages: &[&str]) -> Vec<String> {
    let mut arguments = vec![
        "--quiet".to_owned(),
        "--mode=root".to_owned(),
        "--variant=minbase".to_owned(),
        "--format=directory".to_owned(),
        "--architectures=amd64".to_owned(),
        format!("--include={}", packages.join(",")),
        "--aptopt=APT::Install-Recommends \"false\"".to_owned(),
        // If the machine fails meanwhile it is made again.
        "--dpkgopt=force-unsafe-io".to_owned(),
    ];
    if suite == NEWEST {
        // What a mirror has of it expires after a week, and one that is behind serves as well.
        arguments.push("--aptopt=Acquire::Check-Valid-Until \"false\"".to_owned());
    }
    let left_out = LEFT_OUT.iter();
    arguments.extend(left_out.map(|name| format!("--dpkgopt=path-exclude=/usr/share/{name}/*")));
    arguments
}

/// Writes a folder to a disk of its own, whole or not at all.
fn write_disk(root: &Path, disk: &Path) -> Result<()> {
    let new = disk.with_extension("ext4.new");
    let _ = fs::remove_file(&new);
    run(Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-m", "0", "-d"])
        .args([root, new.as_path()])
        .arg(SIZE))?;
    fs::rename(&new, disk).with_context(|| format!("naming {}", disk.display()))
}

/// Removes a folder, where there is one.
///
/// # Errors
/// It cannot be removed.
pub fn clear(root: &Path) -> Result<()> {
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", root.display()))
        }
        _ => Ok(()),
    }
}
