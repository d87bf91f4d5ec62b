//! Where the symbolic links of an extension lead.

use switch_root_core::escape;

use super::collector::Collector;
use super::places::{container, is_above_allowed, is_allowed};
use crate::contents::Entry;

switch_root_core::outcomes! {
    /// Where a symbolic link of an extension leads.
    pub enum Leads in "extension-findings" {
        /// A link is followed in the new root, and by others wherever they have the layer.
        "SR-Y55" OutOfContainer { target: String } = "its target {target} climbs above the root of its container; in there it leads to that root, and for whoever looks from outside, out of it",
        "SR-Y56" AboveRoot { target: String } = "its target {target} climbs above the root; write the way to a place in the new root",
        "SR-Y57" AbsoluteElsewhere { target: String } = "its target {target} is absolute and leads to where extensions have nothing; write a relative one to a file of the extension",
        "SR-Y58" Absolute { target: String } = "its target {target} is absolute; a relative one leads to the same place wherever the layer is looked at",
        "SR-Y59" Elsewhere { target: String, place: String } = "its target {target} is /{place}, where extensions have nothing; does the base system have it?",
    }
}

/// Looks at a link.
pub(super) fn check(entry: &Entry, path: &str, findings: &mut Collector) {
    let target = escape::path(&entry.target);
    if let Some(root) = container(&entry.path) {
        if !stays_in_container(&entry.path, &entry.target, root) {
            findings.warning("symlink-escapes", path, Leads::OutOfContainer { target });
        }
        return;
    }
    let absolute = entry.target.starts_with(b"/");
    let Some(place) = resolve(&entry.path, &entry.target) else {
        findings.error("symlink-escapes", path, Leads::AboveRoot { target });
        return;
    };
    let known = is_allowed(&place) || is_above_allowed(&place);
    match (absolute, known) {
        (true, false) => {
            findings.error("symlink-escapes", path, Leads::AbsoluteElsewhere { target })
        }
        (true, true) => findings.warning("symlink-escapes", path, Leads::Absolute { target }),
        (false, false) => findings.warning(
            "symlink-target",
            path,
            Leads::Elsewhere {
                target,
                place: escape::path(&place),
            },
        ),
        (false, true) => {}
    }
}

/// Whether a link does not climb above the root of its container, which is `/` to it.
fn stays_in_container(path: &[u8], target: &[u8], root: &[u8]) -> bool {
    resolve(&path[root.len()..], target).is_some()
}

/// Where a link leads, as it is written: without following others. Nothing where
/// it climbs above the root.
fn resolve(path: &[u8], target: &[u8]) -> Option<Vec<u8>> {
    let mut place: Vec<&[u8]> = Vec::new();
    if !target.starts_with(b"/") {
        place.extend(path.split(|byte| *byte == b'/'));
        place.pop();
    }
    for name in target.split(|byte| *byte == b'/') {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_a_container_stay_in_it() {
        let root = b"usr/local/lib/containers/x/".as_slice();
        for (path, target, stays) in [
            ("bin/sh", "/bin/busybox", true),
            ("bin/sh", "busybox", true),
            ("usr/bin/a", "../../bin/a", true),
            ("usr/bin/a", "../../..", false),
            ("a", "/../etc/shadow", false),
        ] {
            let path = format!("usr/local/lib/containers/x/{path}");
            let stayed = stays_in_container(path.as_bytes(), target.as_bytes(), root);
            assert_eq!(stayed, stays, "{path} -> {target}");
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
            let place = resolve(path.as_bytes(), target.as_bytes());
            assert_eq!(place, expected.map(Into::into), "{path} -> {target}");
        }
    }
}
