//! What survives, and where some of it is bound: the answer of policies that work by lists.

use crate::{Decision, Entry, Globs, log, path};

/// Patterns of what is kept, and paths of what is carried, each with its place in the new root.
///
/// A path to be carried is carried whatever else matches it, so a directory that the patterns
/// match and that has a carried path in it survives only as far as something in it does.
#[derive(Clone, Debug)]
pub struct Selection {
    keep: Globs,
    carry: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Selection {
    /// Both lists. The paths of `carry` are absolute, as [`path::check`] has it, and none is
    /// below another one: of these only the upper one could be carried.
    pub fn new(keep: Globs, carry: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        Selection { keep, carry }
    }

    /// Answers for a whole directory: what a [`Preservation`](crate::Preservation) policy
    /// returns. `directory` is the absolute path that the host gave. Warns of what cannot be
    /// carried because a mount point is in the way.
    pub fn review(&self, directory: &[u8], entries: &[Entry]) -> Vec<Decision> {
        let globs = self.keep.in_directory(directory);
        let to_carry: Vec<_> = self
            .carry
            .iter()
            .filter_map(|(from, to)| Some((path::relative(from, directory)?, to)))
            .collect();
        let decide = |entry: &Entry| {
            let mut leads_on = false;
            for (way, to) in &to_carry {
                match way.strip_prefix(entry.name()) {
                    Some(b"") => return Decision::Carry(to.to_vec()),
                    Some([b'/', ..]) => leads_on = true,
                    _ => {}
                }
            }
            if leads_on && entry.can_descend() {
                return Decision::Descend;
            }
            if leads_on && entry.mount_point {
                log::warn(&unreachable_below(&entry.path(directory)));
            }
            globs.decide(entry)
        };
        entries.iter().map(decide).collect()
    }
}

fn unreachable_below(mount_point: &[u8]) -> String {
    let mut message = String::from("nothing is carried from below ");
    message.push_str(&String::from_utf8_lossy(mount_point));
    message.push_str(", which is a mount point: its content is not part of the initramfs");
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileKind;

    fn decide(selection: &Selection, directory: &str, name: &str, kind: FileKind) -> Decision {
        let entries = [Entry::new(name, kind)];
        selection.review(directory.as_bytes(), &entries).remove(0)
    }

    #[test]
    fn keeps_what_matches_and_carries_what_is_listed() {
        use FileKind::{Directory, Regular, Symlink};
        let carry = [("/etc/ssh/id", "/etc/id"), ("/data/a b", "/srv")];
        let selection = Selection::new(
            Globs::new(["/etc/ssh/**", "/root/*.log"]).unwrap(),
            carry.map(|(from, to)| (from.into(), to.into())).into(),
        );
        let carry = |to: &str| Decision::Carry(to.into());
        for (directory, name, kind, decision) in [
            ("/", "etc", Directory, Decision::Descend),
            ("/", "etc", Symlink, Decision::Delete),
            ("/", "usr", Directory, Decision::Delete),
            ("/", "data", Directory, Decision::Descend),
            ("/data", "a b", Directory, carry("/srv")),
            ("/data", "a", Directory, Decision::Delete),
            // Kept as a whole, but for the way to what is carried.
            ("/etc", "ssh", Directory, Decision::Descend),
            ("/etc/ssh", "id", Regular, carry("/etc/id")),
            ("/etc/ssh", "key", Regular, Decision::Keep),
            ("/etc/ssh", "d", Directory, Decision::Keep),
            ("/root", "a.log", Regular, Decision::Keep),
            ("/root", "a.txt", Regular, Decision::Delete),
        ] {
            let answer = decide(&selection, directory, name, kind);
            assert_eq!(answer, decision, "{directory} {name} {kind:?}");
        }
    }

    #[test]
    fn a_mount_point_on_the_way_is_not_descended_into() {
        let nothing = Globs::new([""; 0]).unwrap();
        let selection = Selection::new(nothing, vec![("/mnt/a".into(), "/srv".into())]);
        let mut mount = Entry::new("mnt", FileKind::Directory);
        mount.mount_point = true;
        assert_eq!(selection.review(b"/", &[mount]), [Decision::Delete]);
    }
}
