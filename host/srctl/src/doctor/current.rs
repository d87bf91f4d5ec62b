//! The images that the next boot may use, as far as their names tell: one for each kernel.

use std::path::{Path, PathBuf};

use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape::Shown;
use switch_root_core::outcome::Message;

use super::finding::{Finding, Findings};
use super::machine::Machine;
use crate::rooted::Rooted;

switch_root_core::outcomes! {
    /// What is not known of the images of a machine.
    pub(crate) enum NotFound in "doctor" {
        /// It has a name that is not known here, is in a unified kernel image, or was not made yet.
        "SR-Z01" OfKernel { kernel: String } = "of {kernel} is not found under any name that is known here",
        "SR-Z02" Any = "is not found under any name that is known here",
        "SR-Z03" OfNone = "is not found for any of its kernels",
        /// Remove kernels that are not used any more.
        "SR-Z04" TooMany { count: usize } = "of {count} kernels are not looked at, but of {MOST} only",
    }
}

switch_root_core::outcomes! {
    /// Why the image of this machine is not taken.
    pub(crate) enum NoImage in "srctl" {
        /// The system's own words follow.
        "SR-H05" Root = "cannot look into /",
    }
}

/// The largest machine-id that is read, in bytes.
const SMALL: u64 = 4096;

/// The most kernels whose images are looked at: each is read, and its policies are loaded.
const MOST: usize = 16;

/// An image of a kernel that is installed.
pub struct Current {
    /// Its path on this machine.
    pub path: PathBuf,
    /// `uname -r` of its kernel, where that is known.
    pub kernel: Option<String>,
}

/// The image of this machine's running kernel, and what is known of the machine.
///
/// # Errors
/// It is not found.
pub fn running() -> Result<(PathBuf, Machine)> {
    let path = Path::new("/");
    let root = Rooted::open(path).map_err(|error| Error::system(NoImage::Root, &error))?;
    let machine = Machine::read(&root);
    match locate(&root, path, machine.kernel.as_deref(), true) {
        Some(image) => Ok((image, machine)),
        None => Err(Error::new(
            Kind::NotFound,
            Message::from(not_found(machine.kernel.as_deref()))
                .reworded(|it| format!("the initramfs image {it}; name the image")),
        )),
    }
}

/// Looks for the images of the machine's kernels, that of the running one first.
pub fn find(
    root: &Rooted,
    path: &Path,
    machine: &Machine,
    findings: &mut Vec<Finding>,
) -> Vec<Current> {
    let mut images: Vec<Current> = Vec::new();
    let mut kernels: Vec<Option<&str>> = machine.kernels.iter().map(|one| Some(&**one)).collect();
    if kernels.is_empty() {
        kernels.push(None);
    }
    let what = "the initramfs image";
    let name_it = format!("name it: srctl doctor IMAGE --root {}", path.shown());
    for kernel in kernels.iter().copied().take(MOST) {
        let boots = kernel.is_none() || machine.kernel.as_deref() == kernel;
        match locate(root, path, kernel, boots) {
            Some(path) if images.iter().any(|image| image.path == path) => {}
            Some(path) => images.push(Current {
                path,
                kernel: kernel.map(str::to_owned),
            }),
            None if boots => findings.unknown(
                "image",
                what,
                not_found(kernel),
                format!("{name_it}; one in a unified kernel image is not read"),
            ),
            None if kernel.is_some_and(|kernel| root.exists(Path::new(&format!("/boot/vmlinuz-{kernel}")))) => findings.problem(
                "image",
                what,
                not_found(kernel),
                "make it: update-initramfs -c -k all, dracut --regenerate-all or mkinitcpio -P; where /boot is full, remove kernels that are not needed",
            ),
            // Modules may stay where a kernel was removed.
            None => findings.note("image", what, not_found(kernel)),
        }
    }
    if kernels.len() > MOST {
        findings.unknown(
            "image",
            "the images",
            NotFound::TooMany {
                count: kernels.len(),
            },
            "remove kernels that are not used any more, or name the images one by one",
        );
    }
    if images.is_empty() && machine.kernel.is_none() && !machine.kernels.is_empty() {
        findings.unknown("image", what, NotFound::OfNone, name_it);
    }
    images
}

fn not_found(kernel: Option<&str>) -> NotFound {
    match kernel {
        Some(kernel) => NotFound::OfKernel {
            kernel: switch_root_core::escape::message(kernel, 256),
        },
        None => NotFound::Any,
    }
}

/// The image of a kernel, as a path on this machine. A name without a release is that of the
/// kernel that `boots`.
fn locate(root: &Rooted, path: &Path, kernel: Option<&str>, boots: bool) -> Option<PathBuf> {
    let of_kernel = kernel.map(|kernel| of_kernel(root, kernel));
    let any = ANY.iter().filter(|_| boots).map(|name| (*name).to_owned());
    let mut names = of_kernel.into_iter().flatten().chain(any);
    let found = names.find(|name| root.is_file(name))?;
    // Where the name is a link, what it leads to below the root is meant.
    match root.real(&found) {
        Some(real) => Some(path.join(real.strip_prefix("/").unwrap_or(&real))),
        None => Some(path.join(found.trim_start_matches('/'))),
    }
}

/// Names of images that tell no kernel.
const ANY: [&str; 6] = [
    "/boot/initrd.img",
    "/boot/initramfs-linux.img",
    "/boot/booster-linux.img",
    "/boot/initramfs-lts",
    "/boot/initrd",
    "/initrd.img",
];

/// What the images of a kernel are called, the most particular name first.
fn of_kernel(root: &Rooted, kernel: &str) -> Vec<String> {
    let mut names = Vec::new();
    // A name with a slash would lead elsewhere.
    if !kernel.contains('/') {
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
        // Arch names an image after the package of its kernel.
        let package = root.text(format!("/usr/lib/modules/{kernel}/pkgbase"), SMALL);
        let package = package.ok().flatten();
        let package = package.as_deref().map(str::trim);
        if let Some(package) = package.filter(|it| !it.is_empty() && !it.contains('/')) {
            names.push(format!("/boot/initramfs-{package}.img"));
            names.push(format!("/boot/booster-{package}.img"));
        }
    }
    names
}
