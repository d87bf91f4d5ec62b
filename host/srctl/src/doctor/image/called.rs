//! The program that an image calls to switch: which it is, and whether it is ours.

use initramfs::boot_program::Binary;
use initramfs::called::{self, Called};
use initramfs::image::Image;
use initramfs::tree::Tree;
use policy::engine;
use switch_root_core::{command_line, escape};

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
        "SR-Z53" OtherBuild { program: String } = "is another build of switch_root ({program}) than is installed",
        /// The kernel starts nothing of such an image. Make the image again with an /init; of an image
        /// in several files, examine them joined, as the boot loader has them.
        "SR-Z54" NoFirst { first: String } = "has no {first}, which the kernel would start: nothing of the image runs, and switch_root is not called",
        /// What /init starts, or a file that it reads, may call it: srctl does not examine those, and a
        /// rehearsal does not execute /init. Boot the image in a virtual machine to see it.
        "SR-Z55" NotNamed { first: String } = "is where an init would call it, and {first} is not a script that names it: whether it is called is not known",
    }
}

/// The boot program of an image.
#[derive(Default)]
pub struct Found {
    /// What it is, where it is ours.
    pub binary: Option<Binary>,
    /// Whether it is known to be called.
    pub called: bool,
}

/// Looks for the boot program where it will be called.
pub fn program(
    image: &Image,
    label: &str,
    of: Option<&OfMachine<'_>>,
    rebuild: &str,
    findings: &mut Vec<Finding>,
) -> Found {
    let tree = &image.tree;
    let first = of.and_then(|of| rdinit(&of.machine.command_line));
    let first = first.as_deref().unwrap_or(called::INIT);
    let shown = escape::path(first.as_bytes());
    let starts = called::has_first(tree, first);
    if !starts {
        findings.problem(
            "image-binary",
            image.name.clone(),
            OtherProgram::NoFirst {
                first: shown.clone(),
            },
            format!("{rebuild}, with what the kernel starts; where a boot loader joins several files, examine them as one"),
        );
    }
    let called = match called::find_from(tree, first) {
        Ok(called) => called,
        Err(why) => {
            // Nobody would call it.
            if starts {
                findings.problem("image-binary", image.name.clone(), why, rebuild);
            }
            return Found::default();
        }
    };
    let Called {
        path: place,
        who,
        binary,
        known,
    } = &called;
    let about = format!("{place} of {label}");
    let Some(binary) = binary else {
        if starts {
            findings.problem(
                "image-binary",
                about,
                OtherProgram::Called {
                    who: who.to_string(),
                },
                rebuild,
            );
        }
        return Found::default();
    };
    let is_called = starts && *known;
    let digest = tree.contents(place.as_bytes()).map(engine::digest).ok();
    let installed = of.and_then(|of| of.machine.binary.as_ref());
    let other = installed.is_some_and(|installed| Some(installed) != digest.as_ref());
    if starts && !known {
        findings.unknown(
            "image-binary",
            about.clone(),
            OtherProgram::NotNamed {
                first: shown.clone(),
            },
            format!("call it by its path in {shown}; where another program that it starts does, boot the image in a virtual machine to see it"),
        );
    }
    if is_called && busybox_may_run_its_own(tree, place) {
        findings.note("image-binary", about.clone(), OtherProgram::Busybox);
    }
    let program = binary.name();
    match (is_called, installed) {
        (true, _) if other => findings.warning(
            "image-binary",
            about,
            OtherProgram::Build {
                who: who.to_string(),
                program,
            },
            rebuild,
        ),
        (false, _) if other => findings.warning(
            "image-binary",
            about,
            OtherProgram::OtherBuild { program },
            rebuild,
        ),
        (false, _) => {}
        (true, Some(_)) => findings.ok(
            "image-binary",
            about,
            format!("is called by {who}, and is the switch_root that is installed"),
        ),
        (true, None) => findings.ok(
            "image-binary",
            about,
            format!("is called by {who}, and is switch_root ({program})"),
        ),
    }
    Found {
        binary: Some(binary.clone()),
        called: is_called,
    }
}

/// What the kernel command line has the kernel start in place of `/init`: the last counts.
fn rdinit(command_line: &str) -> Option<String> {
    let words = command_line::words(command_line);
    let named = words.filter_map(|word| word.strip_prefix("rdinit=").map(str::to_owned));
    named.last().filter(|path| !path.is_empty())
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
