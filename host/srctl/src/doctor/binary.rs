//! The boot program that is installed.

use initramfs::boot_program::{Binary, LIMIT};
use policy::engine::{self, ENGINE};
use switch_root_core::locations::BOOT_PROGRAMS;

use super::finding::{Finding, Findings};
use super::machine::Machine;
use crate::rooted::Rooted;

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
                "is missing: images cannot get it",
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
        findings.problem(
            "package",
            path,
            "is another program than switch_root",
            install,
        );
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
            format!(
                "is {}, and this srctl compiles for {ENGINE}: {then}",
                binary.name()
            ),
            install,
        );
    }
    Some(engine::digest(&bytes))
}
