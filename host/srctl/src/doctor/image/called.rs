//! The program that an image calls to switch: which it is, and whether it is ours.

use ::image::image::Image;
use ::image::tree::{Tree, Want, Wanted};
use policy::FileKind;

use super::OfMachine;
use crate::boot_program::Binary;
use crate::boot_program::{INSTALLED, LIMIT};
use crate::doctor::finding::{Finding, Findings};

/// Where the package's boot program is in an image that systemd runs, and the unit that
/// starts it.
const OF_SYSTEMD: &str = INSTALLED[0];
const UNITS: [&str; 2] = [
    "/usr/lib/systemd/system/switch-root-preserve.service",
    "/etc/systemd/system/switch-root-preserve.service",
];

/// What the kernel's first program of an image is, and whom it has switch.
struct Way {
    what: &'static str,
    programs: &'static [&'static str],
    /// Where it looks for them, in this order.
    folders: &'static [&'static str],
}

const INITRAMFS_TOOLS: Way = Way {
    what: "initramfs-tools",
    programs: &["run-init"],
    folders: &["/sbin", "/usr/sbin", "/bin", "/usr/bin"],
};
const DRACUT: Way = Way {
    what: "dracut",
    programs: &["switch_root"],
    folders: &["/usr/sbin", "/usr/bin", "/sbin", "/bin"],
};
const MKINITCPIO: Way = Way {
    what: "mkinitcpio",
    programs: &["switch_root"],
    folders: &["/usr/bin", "/usr/sbin", "/bin", "/sbin"],
};
const OTHER: Way = Way {
    what: "its init",
    programs: &["switch_root", "run-init"],
    folders: &["/sbin", "/usr/sbin", "/bin", "/usr/bin"],
};

/// What has to be read of an image, beside what a plan needs.
pub fn wanted() -> Wanted {
    let whole = Want::Whole(LIMIT);
    let mut wanted = Wanted::of_plan()
        .file("/init", whole)
        .folder("/usr/lib/switch-root", whole);
    for way in [&INITRAMFS_TOOLS, &OTHER] {
        for folder in way.folders {
            for program in OTHER.programs {
                wanted = wanted.file(&format!("{folder}/{program}"), whole);
            }
        }
    }
    wanted
}

fn contents<'a>(tree: &'a Tree, path: &str) -> Option<&'a [u8]> {
    tree.contents(path.as_bytes()).ok()
}

fn is_file(tree: &Tree, path: &str) -> bool {
    let found = tree.resolve(path.as_bytes());
    found.is_some_and(|(id, _)| tree.node(id).kind == FileKind::Regular)
}

fn is_there(tree: &Tree, paths: &[&str]) -> bool {
    paths
        .iter()
        .any(|path| tree.resolve(path.as_bytes()).is_some())
}

/// Looks for the boot program where it will be called.
pub fn program(
    image: &Image,
    of: Option<&OfMachine<'_>>,
    rebuild: &str,
    findings: &mut Vec<Finding>,
) -> Option<Binary> {
    let tree = &image.tree;
    let (place, who) = match place(tree) {
        Ok(found) => found,
        Err(why) => {
            findings.problem("image-binary", image.name.clone(), why, rebuild);
            return None;
        }
    };
    let Some(binary) = contents(tree, &place).and_then(Binary::of) else {
        findings.problem(
            "image-binary",
            format!("{place} of the image"),
            format!("is what {who} has switch, and is another program than switch_root"),
            rebuild,
        );
        return None;
    };
    let about = format!("{place} of the image");
    if busybox_may_run_its_own(tree, &place) {
        findings.note(
            "image-binary",
            about.clone(),
            "is called by its name alone, by busybox's shell, which may run its own command of this name (busybox-static does): call it by its path in /init",
        );
    }
    let installed = of.and_then(|of| of.machine.binary.as_ref());
    match installed {
        Some(installed) if *installed != binary.digest => findings.warning(
            "image-binary",
            about,
            format!(
                "is called by {who}, and is another build of switch_root ({}) than is installed",
                binary.name()
            ),
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
    Some(binary)
}

/// Whether `/init` is a script that busybox runs, and that calls this program by its name
/// alone. Whether that busybox prefers its own commands to programs cannot be seen in it.
fn busybox_may_run_its_own(tree: &Tree, program: &str) -> bool {
    let Some(script) = contents(tree, "/init").and_then(|bytes| bytes.strip_prefix(b"#!")) else {
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

/// The path of the program that will be called, and by whom.
///
/// # Errors
/// What is missing: what follows the image's name in a sentence.
fn place(tree: &Tree) -> Result<(String, &'static str), String> {
    if contents(tree, "/init").and_then(Binary::of).is_some() {
        return Ok(("/init".into(), "the kernel"));
    }
    let init = tree.resolve(b"/init").map(|(_, real)| real);
    if init.is_some_and(|real| real.ends_with(b"/systemd/systemd")) {
        if !is_file(tree, OF_SYSTEMD) {
            return Err(format!(
                "is run by systemd, and has no {OF_SYSTEMD}: nothing survives, and no policy is asked"
            ));
        }
        if !is_there(tree, &UNITS) {
            return Err(
                "is run by systemd, and has no switch-root-preserve.service: nothing survives, and no policy is asked".into(),
            );
        }
        return Ok((OF_SYSTEMD.into(), "systemd"));
    }
    let way = if is_there(tree, &["/scripts/functions"]) {
        INITRAMFS_TOOLS
    } else if is_there(tree, &["/usr/lib/dracut-lib.sh", "/lib/dracut-lib.sh"]) {
        DRACUT
    } else if is_there(tree, &["/init_functions"]) {
        MKINITCPIO
    } else {
        OTHER
    };
    let names = way.programs.iter().flat_map(|program| {
        way.folders
            .iter()
            .map(move |folder| format!("{folder}/{program}"))
    });
    let mut found = names.filter(|name| is_file(tree, name));
    match found.next() {
        Some(name) => Ok((name, way.what)),
        None => Err(format!(
            "has no {}, which {} would call to switch",
            way.programs.join(" or "),
            way.what
        )),
    }
}
