//! What an extension may bring, where, and with which permissions.

use std::collections::HashSet;

use rustix::process::geteuid;
use switch_root_core::escape;
use switch_root_core::file_kind::FileKind;

use super::collector::Collector;
use super::links;
use super::places::{
    ALLOWED, TAKEN, container, is_above_allowed, is_allowed, is_at_or_below, is_of_link,
};
use crate::contents::{Contents, Entry};

switch_root_core::outcomes! {
    /// What an extension may not bring, or not so.
    pub enum Unfit in "extension-findings" {
        /// Talos takes extensions with files in these places alone, and other systems follow it.
        "SR-Y60" Taken = "it is not one of the places that extensions have; Talos takes it, since it begins like /etc/vulkan",
        "SR-Y61" Link = "in the base system this is a link into /usr, which a directory would hide; move it below /usr",
        "SR-Y62" Outside { places: String } = "extensions must not bring this; move it below /usr/local, or to another of the places that are theirs: {places}",
        "SR-Y63" Special = "a device node, pipe or socket; an extension has files, directories and symbolic links, so leave it out",
        "SR-Y64" HidesDirectory = "this would hide a directory of the base system, with everything in it; make it a directory",
        /// Correct it in the build of the extension.
        "SR-Y65" Owner { count: usize } = "{count} of the files and directories are not root's; in the layer they will be",
        "SR-Y66" WritableInContainer { mode: u32 } = "everybody may make files in it (mode {mode:04o}), as in /tmp; is that meant in this container?",
        "SR-Y67" Writable { mode: u32 } = "everybody may write to it (mode {mode:04o}); take that away with `chmod o-w`",
        "SR-Y68" SetId { mode: u32 } = "it has the set-user-id or set-group-id bit (mode {mode:04o}); take it away with `chmod ug-s`",
        /// An overlay shows the mode of the topmost layer.
        "SR-Y69" RootMode { mode: u32 } = "rootfs has mode {mode:04o}, and it would change that of the machine's / directory to this; it must be 0755, so `chmod 0755 rootfs`",
        "SR-Y70" BaseMode { mode: u32 } = "it has mode {mode:04o}, and it would change that of the machine's directory to this; it must be 0755",
        "SR-Y71" Closed { mode: u32 } = "only its owner or group may enter it (mode {mode:04o}); is that meant?",
    }
}

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
    let filled = filled(contents);
    for entry in &contents.entries {
        let path = format!("/{}", escape::path(&entry.path));
        let known = told.is_some_and(|above| is_at_or_below(&entry.path, above));
        if !known && entry.path == TAKEN.as_bytes() {
            told = Some(&entry.path);
            findings.warning("outside-allowed-paths", &path, Unfit::Taken);
        } else if !known && !may_be(entry) && !is_empty_directory(entry, &filled) {
            told = Some(&entry.path);
            outside(entry, &path, findings);
        }
        permissions(entry, &path, findings);
        match entry.kind {
            FileKind::Symlink => links::check(entry, &path, findings),
            FileKind::Directory => directory(entry, &path, findings),
            FileKind::Regular => {}
            _ => findings.error("special-file", &path, Unfit::Special),
        }
        if entry.kind != FileKind::Directory
            && OF_BASE.iter().any(|base| entry.path == base.as_bytes())
        {
            findings.error("not-a-directory", &path, Unfit::HidesDirectory);
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
            Unfit::Owner {
                count: foreign.len(),
            },
        );
    }
}

fn outside(entry: &Entry, path: &str, findings: &mut Collector) {
    let what = if is_of_link(&entry.path) {
        Unfit::Link
    } else {
        let places = ALLOWED.map(|place| format!("/{place}")).join(", ");
        Unfit::Outside { places }
    };
    findings.error("outside-allowed-paths", path, what);
}

fn permissions(entry: &Entry, path: &str, findings: &mut Collector) {
    // A link has no permissions of its own.
    if entry.kind == FileKind::Symlink {
        return;
    }
    let mode = entry.mode;
    let for_all = entry.kind == FileKind::Directory && mode & 0o1000 != 0;
    if mode & 0o002 != 0 && for_all && container(&entry.path).is_some() {
        findings.warning("world-writable", path, Unfit::WritableInContainer { mode });
    } else if mode & 0o002 != 0 {
        findings.error("world-writable", path, Unfit::Writable { mode });
    }
    if mode & 0o6000 != 0 {
        findings.error("setuid", path, Unfit::SetId { mode });
    }
}

fn directory(entry: &Entry, path: &str, findings: &mut Collector) {
    let mode = entry.mode;
    if entry.path.is_empty() {
        if mode != 0o755 {
            findings.error("root-directory-mode", path, Unfit::RootMode { mode });
        }
    } else if OF_BASE.iter().any(|base| entry.path == base.as_bytes()) {
        if mode != 0o755 {
            findings.error("directory-mode", path, Unfit::BaseMode { mode });
        }
    } else if mode & 0o001 == 0 {
        findings.warning("directory-mode", path, Unfit::Closed { mode });
    }
}

/// The directories that something else than directories is below.
fn filled(contents: &Contents) -> HashSet<&[u8]> {
    let mut filled = HashSet::new();
    let others = contents.entries.iter();
    for entry in others.filter(|entry| entry.kind != FileKind::Directory) {
        let mut path = entry.path.as_slice();
        while let Some(end) = path.iter().rposition(|byte| *byte == b'/') {
            path = &path[..end];
            if !filled.insert(path) {
                break;
            }
        }
    }
    filled
}

/// A directory that brings nothing, which Talos takes wherever it is.
fn is_empty_directory(entry: &Entry, filled: &HashSet<&[u8]>) -> bool {
    entry.kind == FileKind::Directory
        && !filled.contains(entry.path.as_slice())
        && !is_of_link(&entry.path)
}

fn may_be(entry: &Entry) -> bool {
    is_allowed(&entry.path) || entry.kind == FileKind::Directory && is_above_allowed(&entry.path)
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
}
