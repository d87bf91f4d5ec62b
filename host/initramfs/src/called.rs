//! The program that an image calls to switch: where it is, and who calls it.

use switch_root_core::file_kind::FileKind;
use switch_root_core::locations::BOOT_PROGRAMS;

use crate::boot_program::Binary;
use crate::tree::Tree;

switch_root_core::outcomes! {
    /// Why no boot program is called in an image: what follows its name in a sentence.
    pub enum NotCalled in "image-findings" {
        /// The image was made without the package's hook, or before it was installed. Make the image
        /// again.
        "SR-G97" NoProgram { program: &'static str } = "is run by systemd, and has no {program}: nothing survives, and no policy is asked",
        "SR-G98" NoUnit = "is run by systemd, and has no switch-root-preserve.service: nothing survives, and no policy is asked",
        "SR-G99" Nothing { programs: String, who: &'static str } = "has no {programs}, which {who} would call to switch",
    }
}

/// What the kernel executes where `rdinit=` names nothing else.
pub const INIT: &str = "/init";

/// Where the package's boot program is in an image that systemd runs, and the unit that
/// starts it.
const OF_SYSTEMD: &str = BOOT_PROGRAMS[0];
const UNITS: [&str; 2] = [
    "/usr/lib/systemd/system/switch-root-preserve.service",
    "/etc/systemd/system/switch-root-preserve.service",
];

/// What is said of an image in which systemd calls it.
pub const SYSTEMD_SWITCHES: &str = "systemd switches in this image, and deletes all of it by itself: switch_root --preserve asks the policies before, and copies what they keep to /run/switch-root/preserved";
/// Who calls it there.
const SYSTEMD: &str = "systemd";

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

/// A program, and who calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// Its path in the image.
    pub path: String,
    /// What is said in findings.
    pub who: &'static str,
    /// What it is, where it is a boot program of ours.
    pub binary: Option<Binary>,
    /// Whether it is known to be called: by the kernel, by the init of a known generator, or
    /// by a script that names it. Any other init may as well start a shell.
    pub known: bool,
}

impl Called {
    /// Whether systemd switches and deletes, and the program only asks the policies before.
    pub fn by_systemd(&self) -> bool {
        self.who == SYSTEMD
    }
}

fn examine(tree: &Tree, path: &str) -> Option<Binary> {
    Binary::of(tree.contents(path.as_bytes()).ok()?)
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

/// Whether the kernel finds the program that it starts an image with. A link that dangles is
/// as good as none.
pub fn has_first(tree: &Tree, first: &str) -> bool {
    is_file(tree, first)
}

/// Whether a file's name is somewhere in a text of a script, and is no part of another name.
pub fn has_name(text: &str, name: &str) -> bool {
    let apart = |c: char| !(c.is_alphanumeric() || "_-.".contains(c));
    text.split(apart).any(|word| word == name)
}

/// Whether a script has a program's name in a line of code. What it sources is not read.
fn names(script: &str, program: &str) -> bool {
    let mut code = script
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    code.any(|line| {
        // A `#` within a word begins no comment, as that of `${a#b}`.
        let line = line.split_once(" #").map_or(line, |(code, _)| code);
        has_name(line, program)
    })
}

/// The program that will be called, and by whom, where the kernel starts `/init`.
///
/// # Errors
/// What is missing: what follows the image's name in a sentence.
pub fn find(tree: &Tree) -> Result<Called, NotCalled> {
    find_from(tree, INIT)
}

/// The program that will be called, and by whom, where the kernel starts `first`.
///
/// # Errors
/// See [`find`].
pub fn find_from(tree: &Tree, first: &str) -> Result<Called, NotCalled> {
    if let Some(binary) = examine(tree, first) {
        return Ok(Called {
            path: first.into(),
            who: "the kernel",
            binary: Some(binary),
            known: true,
        });
    }
    let called = |path: String, who, known| {
        let binary = examine(tree, &path);
        Ok(Called {
            path,
            who,
            binary,
            known,
        })
    };
    let init = tree.resolve(first.as_bytes()).map(|(_, real)| real);
    if init.is_some_and(|real| real.ends_with(b"/systemd/systemd")) {
        if !is_file(tree, OF_SYSTEMD) {
            return Err(NotCalled::NoProgram {
                program: OF_SYSTEMD,
            });
        }
        if !is_there(tree, &UNITS) {
            return Err(NotCalled::NoUnit);
        }
        return called(OF_SYSTEMD.into(), SYSTEMD, true);
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
    let script = tree.contents(first.as_bytes()).ok();
    let script = script.and_then(|bytes| bytes.strip_prefix(b"#!"));
    let script = script.map(String::from_utf8_lossy).unwrap_or_default();
    let named = |program: &str| names(&script, program);
    // The one that is named is called, though another is there as well.
    let mut programs = way.programs.to_vec();
    programs.sort_by_key(|program| !named(program));
    let mut places = programs.iter().flat_map(|program| {
        let places = way.folders.iter();
        places.map(move |folder| (format!("{folder}/{program}"), *program))
    });
    match places.find(|(place, _)| is_file(tree, place)) {
        Some((place, program)) => {
            let known = way.what != OTHER.what || named(program);
            called(place, way.what, known)
        }
        None => Err(NotCalled::Nothing {
            programs: way.programs.join(" or "),
            who: way.what,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_is_named_by_code_and_not_by_comments() {
        for line in [
            "exec switch_root /root /sbin/init",
            "exec /sbin/switch_root /root",
            "\t\"/sbin/switch_root\" $root",
            "S=$(command -v switch_root)",
            "x=${y#z}; switch_root",
        ] {
            assert!(
                names(&format!("/bin/sh\n{line}\n"), "switch_root"),
                "{line}"
            );
        }
        for line in [
            "exec /bin/busybox sh",
            "# exec switch_root",
            "exec sh # no switch_root",
            "exec my-switch_root",
            "exec run-init",
        ] {
            assert!(
                !names(&format!("/bin/sh\n{line}\n"), "switch_root"),
                "{line}"
            );
        }
    }
}
