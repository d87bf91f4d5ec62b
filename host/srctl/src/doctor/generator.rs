//! Which generator makes the initramfs images of a machine, and whether our hook is in
//! it.

use switch_root_core::escape::{self, Shown};
use switch_root_core::locations::INTO_IMAGE;

use super::finding::{Finding, Findings};
use crate::rooted::Rooted;

switch_root_core::outcomes! {
    /// Why images are made without what a switch needs.
    pub(crate) enum NotMade in "doctor" {
        /// Its images are examined one by one, and get policies with `srctl image add-policy`.
        "SR-Z08" Unknown = "has no generator of images that srctl knows (initramfs-tools, dracut, mkinitcpio, booster)",
        /// Remove those that are not used.
        "SR-Z09" Several = "are all installed: the image is that of the one that ran last",
        /// Put `switch_root` and the policies into each image, or use another generator.
        "SR-Z10" NoHooks = "has no place for a hook: its images go without switch_root",
        /// The package `switch-root` brings hooks for the generators. Install it again, or mend what is
        /// named, and make the images again.
        "SR-Z11" NoHook { generator: &'static str } = "is missing: {generator} makes images without switch_root",
        "SR-Z12" NotExecutable { generator: &'static str } = "is not executable: {generator} passes over it",
        "SR-Z13" NoScript { hook: &'static str, generator: &'static str } = "is missing or not executable, and {hook} calls it: {generator} makes no images with switch_root",
        "SR-Z14" Omitted = "has omit_dracutmodules with switch-root: dracut leaves it out",
        "SR-Z15" Unnamed = "does not name switch-root in HOOKS: mkinitcpio leaves it out",
        /// Policies are compiled at boot then, and wrong ones get into images.
        "SR-Z16" NoSrctl { generator: &'static str } = "is missing: {generator} cannot check policies and compile them for the image",
    }
}

const HOOK: &str = "hook";
/// The largest configuration file that is read, in bytes.
const LIMIT: u64 = 1 << 20;
/// Set in the mode of a file that somebody may execute.
const EXECUTABLE: u32 = 0o111;

/// A program that makes initramfs images.
#[derive(Debug)]
pub struct Generator {
    /// Its name.
    pub name: &'static str,
    /// Programs of its package: one of them is there where it is installed.
    programs: &'static [&'static str],
    /// Where our part of it is; none where it has no place for one.
    hooks: &'static [&'static str],
    /// Our hook is a program that it starts.
    executes: bool,
    /// What makes the images of all installed kernels again.
    pub rebuild: &'static str,
}

static GENERATORS: [Generator; 4] = [
    Generator {
        name: "initramfs-tools",
        programs: &["/usr/sbin/mkinitramfs", "/usr/sbin/update-initramfs"],
        hooks: &[
            "/usr/share/initramfs-tools/hooks/switch-root",
            "/etc/initramfs-tools/hooks/switch-root",
        ],
        executes: true,
        rebuild: "update-initramfs -u -k all",
    },
    Generator {
        name: "dracut",
        programs: &["/usr/bin/dracut", "/usr/sbin/dracut"],
        hooks: &["/usr/lib/dracut/modules.d/99switch-root/module-setup.sh"],
        executes: false,
        rebuild: "dracut --force --regenerate-all",
    },
    Generator {
        name: "mkinitcpio",
        programs: &["/usr/bin/mkinitcpio"],
        hooks: &[
            "/usr/lib/initcpio/install/switch-root",
            "/etc/initcpio/install/switch-root",
        ],
        executes: false,
        rebuild: "mkinitcpio -P",
    },
    Generator {
        name: "booster",
        programs: &["/usr/bin/booster"],
        hooks: &[],
        executes: false,
        rebuild: "booster build",
    },
];

/// Looks for generators and for our hooks.
pub fn look(root: &Rooted, findings: &mut Vec<Finding>) -> Vec<&'static Generator> {
    let found: Vec<&Generator> = GENERATORS
        .iter()
        .filter(|one| one.programs.iter().any(|program| root.is_file(program)))
        .collect();
    let names: Vec<&str> = found.iter().map(|one| one.name).collect();
    match names.as_slice() {
        [] => findings.warning(
            "generator",
            "this machine",
            NotMade::Unknown,
            "where the image is made elsewhere, look at it with srctl doctor IMAGE, and put policies into it with srctl image add-policy",
        ),
        [name] => findings.ok("generator", *name, "makes the initramfs images"),
        names => findings.note(
            "generator",
            names.join(", "),
            NotMade::Several,
        ),
    }
    for one in &found {
        hook(root, one, findings);
    }
    found
}

fn hook(root: &Rooted, generator: &Generator, findings: &mut Vec<Finding>) {
    let name = generator.name;
    if generator.hooks.is_empty() {
        findings.warning(
            HOOK,
            name,
            NotMade::NoHooks,
            "put switch_root and the policies into each image, the latter with srctl image add-policy, or use another generator",
        );
        return;
    }
    let install = "install the package switch-root, or copy the file from its archive";
    let Some(path) = generator.hooks.iter().find(|path| root.is_file(path)) else {
        findings.problem(
            HOOK,
            generator.hooks[0],
            NotMade::NoHook { generator: name },
            format!("{install}; then run {}", generator.rebuild),
        );
        return;
    };
    if generator.executes && !is_program(root, path) {
        findings.problem(
            HOOK,
            *path,
            NotMade::NotExecutable { generator: name },
            format!("chmod 755 {path}; then run {}", generator.rebuild),
        );
        return;
    }
    if !is_program(root, INTO_IMAGE) {
        findings.problem(
            HOOK,
            INTO_IMAGE,
            NotMade::NoScript {
                hook: path,
                generator: name,
            },
            format!("{install}; then run {}", generator.rebuild),
        );
        return;
    }
    if let Some((file, why, what)) = switched_off(root, name) {
        findings.problem(
            HOOK,
            escape::message(&file, 1024),
            why,
            format!("{what}; then run {}", generator.rebuild),
        );
        return;
    }
    findings.ok(HOOK, *path, format!("is in place for {name}"));
    if !root.is_file("/usr/bin/srctl") {
        findings.warning(
            HOOK,
            "/usr/bin/srctl",
            NotMade::NoSrctl { generator: name },
            "install the package srctl",
        );
    }
}

/// Whether there is a file that somebody may execute.
fn is_program(root: &Rooted, path: &str) -> bool {
    let mode = root.stat(path).map_or(0, |stat| stat.st_mode);
    root.is_file(path) && mode & EXECUTABLE != 0
}

/// The file that keeps a generator from using our hook, why, and what to do.
fn switched_off(root: &Rooted, generator: &str) -> Option<(String, NotMade, &'static str)> {
    let (files, folders): (&[&str], &[&str]) = match generator {
        "dracut" => (
            &["/etc/dracut.conf"],
            &["/etc/dracut.conf.d", "/usr/lib/dracut/dracut.conf.d"],
        ),
        "mkinitcpio" => (&["/etc/mkinitcpio.conf"], &["/etc/mkinitcpio.conf.d"]),
        _ => return None,
    };
    let mut lines = Vec::new();
    let folders = folders.iter().flat_map(|folder| root.listing(folder));
    let configured = files.iter().map(std::path::PathBuf::from).chain(folders);
    for path in configured.filter(|path| path.extension().is_some_and(|it| it == "conf")) {
        let text = root.text(&path, LIMIT).ok().flatten().unwrap_or_default();
        let shown = path.shown();
        for line in statements(&text) {
            lines.push((shown.clone(), line));
        }
    }
    let names = |line: &str, name: &str| {
        let words = |c: char| !(c.is_alphanumeric() || c == '-' || c == '_');
        line.split(words).any(|word| word == name)
    };
    match generator {
        "dracut" => lines
            .into_iter()
            .find(|(_, line)| line.starts_with("omit_dracutmodules") && names(line, "switch-root"))
            .map(|(file, _)| (file, NotMade::Omitted, "take it out there")),
        _ => {
            // The last one counts.
            let (file, line) = lines
                .into_iter()
                .rfind(|(_, line)| line.starts_with("HOOKS=") || line.starts_with("HOOKS+="))?;
            (!names(&line, "switch-root")).then_some((
                file,
                NotMade::Unnamed,
                "add switch-root to HOOKS there, after filesystems",
            ))
        }
    }
}

/// The assignments of a file, without comments. A list in brackets may have several lines.
fn statements(text: &str) -> Vec<String> {
    let mut statements: Vec<String> = Vec::new();
    let mut open = false;
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        match statements.last_mut() {
            Some(last) if open => {
                last.push(' ');
                last.push_str(line);
            }
            _ => statements.push(line.to_owned()),
        }
        if line.contains('(') {
            open = true;
        }
        if line.contains(')') {
            open = false;
        }
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_have_several_lines() {
        let text = "# HOOKS=(x)\nHOOKS=(base # first\n  udev)\nCOMPRESSION=zstd";
        let found = statements(text);
        assert_eq!(found, ["", "HOOKS=(base udev)", "COMPRESSION=zstd"]);
    }
}
