//! Carries the list of extensions over to the new root.

use switch_root_policy::{Decision, Entry, Preservation};

use crate::DefaultPolicy;

/// Where a running system is asked for its extensions, and also one of the two places in the
/// initramfs that the list is carried from.
const DIRECTORY: &[u8] = b"/etc";
const FILE: &[u8] = b"extensions.yaml";
const TARGET: &[u8] = b"/etc/extensions.yaml";

impl Preservation for DefaultPolicy {
    /// Carries `/extensions.yaml` and `/etc/extensions.yaml` to `/etc/extensions.yaml`. Where
    /// both are there the first one counts, since the host asks about `/` first.
    fn review(directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String> {
        Ok(entries
            .iter()
            .map(|entry| decide(directory, entry))
            .collect())
    }
}

fn decide(directory: &[u8], entry: &Entry) -> Decision {
    let at_root = directory == b"/";
    // Not a link: what it points to is not the file that was put into the initramfs.
    if entry.name() == FILE && entry.is_regular() && (at_root || directory == DIRECTORY) {
        Decision::Carry(TARGET.to_vec())
    } else if at_root && entry.name() == &DIRECTORY[1..] && entry.can_descend() {
        Decision::Descend
    } else {
        Decision::Delete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use switch_root_policy::FileKind;

    const OTHER_KINDS: [FileKind; 6] = [
        FileKind::Directory,
        FileKind::Symlink,
        FileKind::BlockDevice,
        FileKind::CharacterDevice,
        FileKind::Fifo,
        FileKind::Socket,
    ];

    fn carry() -> Decision {
        Decision::Carry(b"/etc/extensions.yaml".to_vec())
    }

    #[test]
    fn carries_the_list_from_both_places() {
        let list = Entry::new("extensions.yaml", FileKind::Regular);
        assert_eq!(decide(b"/", &list), carry());
        assert_eq!(decide(b"/etc", &list), carry());
        assert_eq!(decide(b"/usr", &list), Decision::Delete);
        assert_eq!(decide(b"/etc/etc", &list), Decision::Delete);
        for kind in OTHER_KINDS {
            let other = Entry::new("extensions.yaml", kind);
            assert_eq!(decide(b"/", &other), Decision::Delete, "{kind:?}");
            assert_eq!(decide(b"/etc", &other), Decision::Delete, "{kind:?}");
        }
    }

    #[test]
    fn looks_into_etc_only_where_it_is_a_directory_of_the_initramfs() {
        let mut etc = Entry::new("etc", FileKind::Directory);
        assert_eq!(decide(b"/", &etc), Decision::Descend);
        assert_eq!(decide(b"/etc", &etc), Decision::Delete);
        etc.mount_point = true;
        assert_eq!(decide(b"/", &etc), Decision::Delete);
        for kind in &OTHER_KINDS[1..] {
            assert_eq!(decide(b"/", &Entry::new("etc", *kind)), Decision::Delete);
        }
    }

    #[test]
    fn answers_each_entry() {
        let entries: Vec<_> = [b"bin".as_slice(), b"etc", b"extensions.yaml", b"\xff\n"]
            .map(|name| Entry::new(name, FileKind::Directory))
            .into();
        let decisions = DefaultPolicy::review(b"/", &entries).unwrap();
        let expected = [
            Decision::Delete,
            Decision::Descend,
            Decision::Delete,
            Decision::Delete,
        ];
        assert_eq!(decisions, expected);
    }
}
