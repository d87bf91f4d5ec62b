//! The boot program that is installed.

use initramfs::boot_program::{Binary, LIMIT};
use policy::engine::{self, ENGINE};
use switch_root_core::locations::BOOT_PROGRAMS;

use super::finding::{Finding, Findings};
use super::machine::Machine;
use crate::rooted::Rooted;

switch_root_core::outcomes! {
    /// What is wrong with the boot program that images get.
    pub(crate) enum NotOurs in "doctor" {
        /// The package `switch-root` brings it. It has to be of the release that `srctl` is of, which
        /// compiles policies for it.
        "SR-Z05" Missing = "is missing: images cannot get it",
        "SR-Z06" Other = "is another program than switch_root",
        "SR-Z07" Release { program: String, then: &'static str } = "is {program}, and this srctl compiles for {ENGINE}: {then}",
    }
}

/// Looks at the program that images get, and gives back its digest.
pub fn installed(root: &Rooted, machine: &Machine, findings: &mut Vec<Finding>) -> Option<String> {
    let path = BOOT_PROGRAMS[usize::from(machine.settings.small)];
    let install = "install the package switch-root of the same release as srctl";
    let bytes = match root.bytes(path, LIMIT) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            findings.problem(
                "package",
                path,
                NotOurs::Missing,
                "install the package switch-root",
            );
            return None;
        }
        Err(reason) => {
            findings.problem("package", path, reason, install);
            return None;
        }
    };
    let Some(binary) = Binary::of(&bytes) else {
        findings.problem("package", path, NotOurs::Other, install);
        return None;
    };
    if binary.takes_ours() {
        findings.ok("package", path, format!("is installed ({})", binary.name()));
    } else {
        let then = match binary.small {
            true => "images get the full build in its place, which compiles policies at each boot",
            false => "the boot compiles policies once more",
        };
        findings.warning(
            "package",
            path,
            NotOurs::Release {
                program: binary.name(),
                then,
            },
            install,
        );
    }
    Some(engine::digest(&bytes))
}
