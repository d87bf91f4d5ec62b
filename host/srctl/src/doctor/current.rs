//! The image that the next boot uses, as far as its name tells.

use std::path::{Path, PathBuf};

use extension::{Error, Kind, Result};

use super::finding::{Finding, Findings};
use super::machine::Machine;
use crate::rooted::Rooted;

/// The largest machine-id that is read, in bytes.
const SMALL: u64 = 4096;

/// The image of this machine's running kernel, and what is known of the machine.
///
/// # Errors
/// It is not found.
pub fn running() -> Result<(PathBuf, Machine)> {
    let path = Path::new("/");
    let root = Rooted::open(path).map_err(|error| Error::system("cannot look into /", &error))?;
    let machine = Machine::read(&root);
    match locate(&root, path, machine.kernel.as_deref()) {
        Some(image) => Ok((image, machine)),
        None => Err(Error::new(
            Kind::NotFound,
            format!(
                "the initramfs image {}; name the image",
                not_found(machine.kernel.as_deref())
            ),
        )),
    }
}

/// Looks for the image of the machine's kernel, and gives back its path on this machine.
pub fn find(
    root: &Rooted,
    path: &Path,
    machine: &Machine,
    findings: &mut Vec<Finding>,
) -> Option<PathBuf> {
    let found = locate(root, path, machine.kernel.as_deref());
    if found.is_none() {
        findings.unknown(
            "image",
            "the initramfs image",
            not_found(machine.kernel.as_deref()),
            "name it: srctl doctor IMAGE --root /; one in a unified kernel image is not looked at",
        );
    }
    found
}

fn not_found(kernel: Option<&str>) -> String {
    match kernel {
        Some(kernel) => format!(
            "of {} is not found under any name that is known here",
            policy::escape::message(kernel, 256)
        ),
        None => "is not found under any name that is known here".into(),
    }
}

fn locate(root: &Rooted, path: &Path, kernel: Option<&str>) -> Option<PathBuf> {
    let names = names(root, kernel);
    let found = names.iter().find(|name| root.is_file(name))?;
    // Where the name is a link, what it leads to below the root is meant.
    match root.real(found) {
        Some(real) => Some(path.join(real.strip_prefix("/").unwrap_or(&real))),
        None => Some(path.join(found.trim_start_matches('/'))),
    }
}

/// What images are called, the most particular name first.
fn names(root: &Rooted, kernel: Option<&str>) -> Vec<String> {
    let mut names = Vec::new();
    // A name with a slash would lead elsewhere.
    let kernel = kernel.filter(|kernel| !kernel.contains('/'));
    if let Some(kernel) = kernel {
        names.push(format!("/boot/initrd.img-{kernel}"));
        names.push(format!("/boot/initramfs-{kernel}.img"));
        names.push(format!("/boot/initrd-{kernel}"));
        names.push(format!("/boot/initramfs-{kernel}"));
        let id = root.text("/etc/machine-id", SMALL).ok().flatten();
        let id = id.as_deref().map(str::trim).filter(|id| !id.is_empty());
        if let Some(id) = id.filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            for folder in ["/boot", "/efi", "/boot/efi"] {
                names.push(format!("{folder}/{id}/{kernel}/initrd"));
                names.push(format!("{folder}/{id}/{kernel}/initrd.img"));
            }
        }
    }
    for name in [
        "/boot/initrd.img",
        "/boot/initramfs-linux.img",
        "/boot/booster-linux.img",
        "/boot/initramfs-lts",
        "/boot/initrd",
        "/initrd.img",
    ] {
        names.push(name.into());
    }
    names
}
