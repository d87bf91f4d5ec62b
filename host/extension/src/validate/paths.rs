//! What an extension may bring, where, and with which permissions.

use nix::unistd::geteuid;
use policy::{FileKind, escape};

use super::collector::Collector;
use crate::contents::{Contents, Entry};

/// Where an extension may have something: these places, and below them.
const ALLOWED: [&str; 20] = [
    "etc/cri/conf.d",
    // Text that says for which systems the extension is, and nothing that runs.
    "usr/lib/extension-release.d",
    "usr/lib/firmware",
    "usr/lib/modules",
    "usr/lib/ld-linux-x86-64.so.2",
    "usr/lib/ld-linux-aarch64.so.1",
    "usr/bin/ldconfig",
    "etc/ld.so.conf",
    "etc/ld.so.cache",
    "usr/bin/nvidia-modprobe",
    "usr/bin/nvidia-pcc",
    "usr/bin/nvidia-smi",
    "usr/bin/nvidia-ctk",
    "usr/bin/nvidia-cdi-hook",
    "usr/bin/nvme",
    "usr/lib/udev/rules.d",
    "usr/local",
    "usr/share/glvnd",
    "usr/share/egl",
    "etc/vulkan",
];

/// Directories that the base system surely has: an overlay shows the mode of the
/// topmost layer, so theirs is not an extension's to change.
const OF_BASE: [&str; 12] = [
    "etc",
    "etc/cri",
    "usr",
    "usr/bin",
    "usr/lib",
    "usr/lib/firmware",
    "usr/lib/modules",
    "usr/lib/udev",
    "usr/lib/udev/rules.d",
    "usr/local",
    "usr/share",
    "etc/cri/conf.d",
];

/// Looks at every entry.
pub(super) fn check(contents: &Contents, findings: &mut Collector) {
    // What is below a directory that is told of already comes right behind it.
    let mut told: Option<&[u8]> = None;
    let mut foreign = Vec::new();
    for entry in &contents.entries {
        let path = format!("/{}", escape::path(&entry.path));
        if !told.is_some_and(|above| is_at_or_below(&entry.path, above)) && !may_be(entry) {
            told = Some(&entry.path);
            outside(entry, &path, findings);
        }
        permissions(entry, &path, findings);
        match entry.kind {
            FileKind::Symlink => link(entry, &path, findings),
            FileKind::Directory => directory(entry, &path, findings),
            FileKind::Regular => {}
            _ => findings.error(
                "special-file",
                &path,
                "a device node, pipe or socket; an extension has files, directories and symbolic links, so leave it out",
            ),
        }
        if entry.kind != FileKind::Directory
            && OF_BASE.iter().any(|base| entry.path == base.as_bytes())
        {
            findings.error(
                "not-a-directory",
                &path,
                "this would hide a directory of the base system, with everything in it; make it a directory",
            );
        }
        if entry.uid != 0 {
            foreign.push(path);
        }
    }
    // Whoever is not root cannot make files of root's.
    if let Some(first) = foreign.first().filter(|_| geteuid().is_root()) {
        findings.warning(
            "owner",
            first,
            &format!(
                "{} of the files and directories are not root's; in the layer they will be",
                foreign.len()
            ),
        );
    }
}

fn outside(entry: &Entry, path: &str, findings: &mut Collector) {
    let usr = matches!(
        entry.path.split(|byte| *byte == b'/').next(),
        Some(b"bin" | b"sbin" | b"lib" | b"lib64")
    );
    let what = if usr {
        "in the base system this is a link into /usr, which a directory would hide; move it below /usr"
    } else {
        "extensions must not bring this; move it below /usr/local, or to another of the places that are theirs"
    };
    findings.error("outside-allowed-paths", path, what);
}

fn permissions(entry: &Entry, path: &str, findings: &mut Collector) {
    // A link has no permissions of its own.
    if entry.kind == FileKind::Symlink {
        return;
    }
    let mode = entry.mode;
    if mode & 0o002 != 0 {
        findings.error(
            "world-writable",
            path,
            &format!(
                "everybody may write to it (mode {mode:04o}); take that away with `chmod o-w`"
            ),
        );
    }
    if mode & 0o6000 != 0 {
        findings.error(
            "setuid",
            path,
            &format!("it has the set-user-id or set-group-id bit (mode {mode:04o}); take it away with `chmod ug-s`"),
        );
    }
}

fn directory(entry: &Entry, path: &str, findings: &mut Collector) {
    let mode = entry.mode;
    if entry.path.is_empty() {
        if mode != 0o755 {
            findings.error(
                "root-directory-mode",
                path,
                &format!("rootfs has mode {mode:04o}, and it would change that of the machine's / directory to this; it must be 0755, so `chmod 0755 rootfs`"),
            );
        }
    } else if OF_BASE.iter().any(|base| entry.path == base.as_bytes()) {
        if mode != 0o755 {
            findings.error(
                "directory-mode",
                path,
                &format!("it has mode {mode:04o}, and it would change that of the machine's directory to this; it must be 0755"),
            );
        }
    } else if mode & 0o001 == 0 {
        findings.warning(
            "directory-mode",
            path,
            &format!("only its owner or group may enter it (mode {mode:04o}); is that meant?"),
        );
    }
}

fn link(entry: &Entry, path: &str, findings: &mut Collector) {
    let target = escape::path(&entry.target);
    let absolute = entry.target.starts_with(b"/");
    let Some(place) = resolve(entry) else {
        findings.error(
            "symlink-escapes",
            path,
            &format!("its target {target} climbs above the root; write the way to a place in the new root"),
        );
        return;
    };
    let known = is_allowed(&place) || is_above_allowed(&place);
    match (absolute, known) {
        (true, false) => findings.error(
            "symlink-escapes",
            path,
            &format!("its target {target} is absolute and leads to where extensions have nothing; write a relative one to a file of the extension"),
        ),
        (true, true) => findings.warning(
            "symlink-escapes",
            path,
            &format!("its target {target} is absolute; a relative one leads to the same place wherever the layer is looked at"),
        ),
        (false, false) => findings.warning(
            "symlink-target",
            path,
            &format!(
                "its target {target} is /{}, where extensions have nothing; does the base system have it?",
                escape::path(&place)
            ),
        ),
        (false, true) => {}
    }
}

/// Where a link leads, as it is written: without following others. Nothing where
/// it climbs above the root.
fn resolve(entry: &Entry) -> Option<Vec<u8>> {
    let mut place: Vec<&[u8]> = Vec::new();
    if !entry.target.starts_with(b"/") {
        place.extend(entry.path.split(|byte| *byte == b'/'));
        place.pop();
    }
    for name in entry.target.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => {
                place.pop()?;
            }
            name => place.push(name),
        }
    }
    Some(place.join(&b'/'))
}

fn may_be(entry: &Entry) -> bool {
    is_allowed(&entry.path) || entry.kind == FileKind::Directory && is_above_allowed(&entry.path)
}

fn is_allowed(path: &[u8]) -> bool {
    ALLOWED
        .iter()
        .any(|allowed| is_at_or_below(path, allowed.as_bytes()))
}

/// On the way to a place where an extension may have something.
fn is_above_allowed(path: &[u8]) -> bool {
    path.is_empty()
        || ALLOWED
            .iter()
            .any(|allowed| is_at_or_below(allowed.as_bytes(), path))
}

fn is_at_or_below(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: FileKind, target: &str) -> Entry {
        Entry {
            path: path.into(),
            kind,
            mode: 0o755,
            uid: 0,
            size: 0,
            target: target.into(),
        }
    }

    #[test]
    fn a_prefix_ends_at_a_path_boundary() {
        let may = |path, kind| may_be(&entry(path, kind, ""));
        for path in [
            "usr/local",
            "usr/local/bin/x",
            "etc/vulkan/icd.d",
            "usr/bin/nvme",
        ] {
            assert!(may(path, FileKind::Regular), "{path}");
        }
        for path in [
            "usr/localevil",
            "usr/local-x/y",
            "usr/bin/nvme-cli",
            "etc/passwd",
            "lib/firmware/x",
            "usr",
        ] {
            assert!(!may(path, FileKind::Regular), "{path}");
        }
    }

    #[test]
    fn directories_on_the_way_are_fine() {
        let may = |path| may_be(&entry(path, FileKind::Directory, ""));
        for path in ["", "usr", "usr/lib", "etc/cri", "usr/share"] {
            assert!(may(path), "{path}");
        }
        for path in ["lib", "usr/lib64", "usr/share/doc", "etc/cr"] {
            assert!(!may(path), "{path}");
        }
    }

    #[test]
    fn targets_are_resolved_as_they_are_written() {
        for (path, target, expected) in [
            ("usr/local/lib/a.so", "a.so.1", Some("usr/local/lib/a.so.1")),
            ("usr/local/lib/a", "../bin/./x/", Some("usr/local/bin/x")),
            ("usr/local/a", "../../..", None),
            ("usr/local/a", "../../../etc/shadow", None),
            ("usr/local/a", "../..", Some("")),
            ("usr/local/a", "/etc//shadow", Some("etc/shadow")),
            ("usr/local/a", "/..", None),
        ] {
            let place = resolve(&entry(path, FileKind::Symlink, target));
            assert_eq!(place, expected.map(Into::into), "{path} -> {target}");
        }
    }
}
