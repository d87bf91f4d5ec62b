//! The program that an image calls to switch: which it is, and whether it is ours.

use initramfs::boot_program::Binary;
use initramfs::called::{self, Called};
use initramfs::image::Image;
use initramfs::tree::Tree;
use policy::engine;

use super::of_machine::OfMachine;
use crate::doctor::finding::{Finding, Findings};

switch_root_core::outcomes! {
    /// What is wrong with the program that an image has switch.
    pub(crate) enum OtherProgram in "doctor" {
        /// Make the image again with `switch_root` in it, and have its /init call that.
        "SR-Z26" Called { who: String } = "is what {who} has switch, and is another program than switch_root",
        "SR-Z27" Busybox = "is called by its name alone, by busybox's shell, which may run its own command of this name (busybox-static does): call it by its path in /init",
        /// It was updated. Make the image again.
        "SR-Z28" Build { who: String, program: String } = "is called by {who}, and is another build of switch_root ({program}) than is installed",
    }
}

/// Looks for the boot program where it will be called.
pub fn program(
    image: &Image,
    label: &str,
    of: Option<&OfMachine<'_>>,
    rebuild: &str,
    findings: &mut Vec<Finding>,
) -> Option<Binary> {
    let tree = &image.tree;
    let called = match called::find(tree) {
        Ok(called) => called,
        Err(why) => {
            findings.problem("image-binary", image.name.clone(), why, rebuild);
            return None;
        }
    };
    let Called {
        path: place,
        who,
        binary,
    } = &called;
    let Some(binary) = binary else {
        findings.problem(
            "image-binary",
            format!("{place} of {label}"),
            OtherProgram::Called {
                who: who.to_string(),
            },
            rebuild,
        );
        return None;
    };
    let about = format!("{place} of {label}");
    if busybox_may_run_its_own(tree, place) {
        findings.note("image-binary", about.clone(), OtherProgram::Busybox);
    }
    let digest = tree.contents(place.as_bytes()).map(engine::digest).ok();
    let installed = of.and_then(|of| of.machine.binary.as_ref());
    match installed {
        Some(installed) if Some(installed) != digest.as_ref() => findings.warning(
            "image-binary",
            about,
            OtherProgram::Build {
                who: who.to_string(),
                program: binary.name(),
            },
            rebuild,
        ),
        Some(_) => findings.ok(
            "image-binary",
            about,
            format!("is called by {who}, and is the switch_root that is installed"),
        ),
        None => findings.ok(
            "image-binary",
            about,
            format!("is called by {who}, and is switch_root ({})", binary.name()),
        ),
    }
    Some(binary.clone())
}

/// Whether `/init` is a script that busybox runs, and that calls this program by its name
/// alone. Whether that busybox prefers its own commands to programs cannot be seen in it.
fn busybox_may_run_its_own(tree: &Tree, program: &str) -> bool {
    let Some(script) = tree
        .contents(b"/init")
        .ok()
        .and_then(|bytes| bytes.strip_prefix(b"#!"))
    else {
        return false;
    };
    let script = String::from_utf8_lossy(script);
    let mut lines = script.lines();
    let interpreter = lines.next().unwrap_or_default().split_whitespace().next();
    let shell = interpreter.and_then(|path| tree.resolve(path.as_bytes()));
    let name = program.rsplit('/').next().unwrap_or(program);
    let is_called = |line: &str| {
        let code = line.split('#').next().unwrap_or_default();
        let apart = |c: char| c.is_whitespace() || ";&|(){}".contains(c);
        code.split(apart).any(|word| word == name)
    };
    shell.is_some_and(|(_, real)| real.ends_with(b"/busybox")) && lines.any(is_called)
}
