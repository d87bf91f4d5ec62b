//! A policy that keeps and carries the paths that its settings list: for those who need no
//! policy of their own. README.md beside this crate is its manual.

mod settings;

use switch_root_policy::{
    Configuration, Decision, Entry, Preservation, Settings, log, path, register,
};

use settings::Lists;

/// The policy: a name for its answers, without a value.
pub struct KeepPaths;

static LISTS: Configuration<Lists> = Configuration::new();

impl Settings for KeepPaths {
    /// Reads and checks the lists.
    fn configure(json: &str) -> Result<(), String> {
        LISTS.set(settings::read(json)?)
    }
}

impl Preservation for KeepPaths {
    /// Answers by the lists. A path to be carried is carried whatever else matches it.
    fn review(directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String> {
        Ok(review(LISTS.get()?, directory, entries))
    }
}

register!(KeepPaths: preservation, settings);

fn review(lists: &Lists, directory: &[u8], entries: &[Entry]) -> Vec<Decision> {
    let globs = lists.keep.in_directory(directory);
    let to_carry: Vec<_> = lists
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

fn unreachable_below(mount_point: &[u8]) -> String {
    let mut message = String::from("nothing is carried from below ");
    message.push_str(&String::from_utf8_lossy(mount_point));
    message.push_str(", which is a mount point: its content is not part of the initramfs");
    message
}

#[cfg(test)]
mod tests {
    use super::*;
    use switch_root_policy::FileKind;

    fn lists(json: &str) -> Lists {
        settings::read(json).unwrap()
    }

    fn decide(lists: &Lists, directory: &str, name: &str, kind: FileKind) -> Decision {
        let entries = [Entry::new(name, kind)];
        review(lists, directory.as_bytes(), &entries).remove(0)
    }

    #[test]
    fn keeps_what_matches_and_carries_what_is_listed() {
        use FileKind::{Directory, Regular, Symlink};
        let lists = lists(
            r#"{"keep": ["/etc/ssh/**", "/root/*.log"], "carry": {"/etc/ssh/id": "/etc/id", "/data/a b": "/srv"}}"#,
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
            let answer = decide(&lists, directory, name, kind);
            assert_eq!(answer, decision, "{directory} {name} {kind:?}");
        }
    }

    #[test]
    fn a_mount_point_on_the_way_is_not_descended_into() {
        let lists = lists(r#"{"carry": {"/mnt/a": "/srv"}}"#);
        let mut mount = Entry::new("mnt", FileKind::Directory);
        mount.mount_point = true;
        assert_eq!(review(&lists, b"/", &[mount]), [Decision::Delete]);
    }

    #[test]
    fn without_settings_nothing_is_kept() {
        let lists = lists("{}");
        assert_eq!(
            decide(&lists, "/", "etc", FileKind::Directory),
            Decision::Delete
        );
    }
}
