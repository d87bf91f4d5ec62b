//! The rules that a policy's answers are held against. Answers are untrusted
//! input: what breaks a rule of the contract is a failed review.

use switch_root_core::contract::{Decision, Entry};
use switch_root_core::escape;
use switch_root_core::failure::{Failure, Kind, Question};
use switch_root_core::file_kind::FileKind;
use switch_root_core::limits::fixed;
use switch_root_core::path::{is_at_or_below, join};

switch_root_core::outcomes! {
    /// Why an answer for a directory breaks the contract: what follows the policy's name.
    pub enum Broken in "policy-run" {
        /// It must answer for each, in order.
        "SR-R30" Count { count: usize, entries: usize, directory: String } = "{count} decisions for the {entries} entries of {directory}",
        /// Only directories have entries to be asked about.
        "SR-R31" Descend { path: String } = "`descend` for {path}, which is not a directory",
        /// The rule is one of [these](#paths-to-carry).
        "SR-R32" Carry { path: String, target: String, rule: BadTarget } = "`carry` of {path} to \"{target}\": {rule}",
    }
}

switch_root_core::outcomes! {
    /// Why nothing may be carried to a path of the new root.
    pub enum BadTarget in "carried-paths" {
        /// Write targets as `/a/b`.
        "SR-V01" NotAbsolute = "the path is not absolute",
        "SR-V02" Long { limit: usize } = "the path is longer than {limit} bytes",
        "SR-V03" Nul = "the path contains a NUL byte",
        "SR-V04" Empty = "the path has an empty component",
        "SR-V05" Dots = "the path has a `.` or `..` component",
        /// Choose another target.
        "SR-V06" Reserved = "nothing is carried into /dev, /proc, /sys and /run",
        "SR-V07" HidesInit = "that would hide the init of the new root",
    }
}

/// Directories of the new root that belong to the kernel and the running
/// system: nothing is carried to them.
const RESERVED: [&[u8]; 4] = [b"/dev", b"/proc", b"/sys", b"/run"];

/// Holds the answer for one directory against the contract.
///
/// `inits` are the paths inside the new root that lead to the init: as given,
/// and with symbolic links resolved.
///
/// # Errors
/// The rule that was broken, and by what.
pub fn check_decisions(
    directory: &[u8],
    entries: &[Entry],
    decisions: &[Decision],
    inits: &[Vec<u8>],
) -> Result<(), Failure> {
    let broken = |rule: Broken| Failure::new(Question::Preservation, Kind::Answer, rule);
    if decisions.len() != entries.len() {
        return Err(broken(Broken::Count {
            count: decisions.len(),
            entries: entries.len(),
            directory: escape::path(directory),
        }));
    }
    for (entry, decision) in entries.iter().zip(decisions) {
        let path = || escape::path(&join(directory, &entry.name));
        match decision {
            Decision::Delete | Decision::Keep => {}
            Decision::Descend if entry.kind == FileKind::Directory || entry.mount_point => {}
            Decision::Descend => return Err(broken(Broken::Descend { path: path() })),
            Decision::Carry(target) => check_target(target, inits).map_err(|rule| {
                broken(Broken::Carry {
                    path: path(),
                    target: escape::path(&target[..target.len().min(256)]),
                    rule,
                })
            })?,
        }
    }
    Ok(())
}

/// Whether something may be carried to this path of the new root.
///
/// # Errors
/// The rule of the contract that it breaks.
pub fn check_target(target: &[u8], inits: &[Vec<u8>]) -> Result<(), BadTarget> {
    let limit = fixed::TARGET_PATH;
    if target.len() > limit {
        return Err(BadTarget::Long { limit });
    }
    if target.contains(&0) {
        return Err(BadTarget::Nul);
    }
    let relative = target.strip_prefix(b"/").ok_or(BadTarget::NotAbsolute)?;
    for component in relative.split(|byte| *byte == b'/') {
        match component {
            b"" => return Err(BadTarget::Empty),
            b"." | b".." => return Err(BadTarget::Dots),
            _ => {}
        }
    }
    if RESERVED
        .iter()
        .any(|reserved| is_at_or_below(target, reserved))
    {
        return Err(BadTarget::Reserved);
    }
    if inits.iter().any(|init| is_at_or_below(init, target)) {
        return Err(BadTarget::HidesInit);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_clean_absolute_path_away_from_what_must_not_be_hidden() {
        let inits = [b"/sbin/init".to_vec(), b"/usr/lib/systemd/systemd".to_vec()];
        for good in [
            &b"/etc/extensions.yaml"[..],
            b"/usr/lib/firmware",
            b"/runner",
            b"/\xff\n",
        ] {
            assert!(check_target(good, &inits).is_ok());
        }
        for (bad, rule) in [
            (&b""[..], "not absolute"),
            (b"etc/x", "not absolute"),
            (b"/", "empty component"),
            (b"/etc//x", "empty component"),
            (b"/etc/", "empty component"),
            (b"/etc/../x", "`..`"),
            (b"/etc/./x", "`.`"),
            (b"/etc/x\0y", "NUL"),
            (b"/proc", "/proc"),
            (b"/run/x", "/run"),
            (b"/sbin/init", "hide the init"),
            (b"/usr", "hide the init"),
            (b"/usr/lib/systemd/systemd", "hide the init"),
        ] {
            let error = check_target(bad, &inits).unwrap_err().to_string();
            assert!(error.contains(rule), "{}: {error}", escape::path(bad));
        }
        assert!(check_target(&[&b"/"[..], &[b'a'; 4095]].concat(), &inits).is_err());
    }
}
