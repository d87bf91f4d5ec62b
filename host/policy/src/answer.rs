//! The rules that a policy's answers are held against. Answers are untrusted
//! input: what breaks a rule of the contract is a failed review.

use switch_root_core::contract::{Decision, Entry};
use switch_root_core::escape;
use switch_root_core::failure::{Failure, Kind, Question};
use switch_root_core::file_kind::FileKind;
use switch_root_core::limits::fixed;
use switch_root_core::path::{is_at_or_below, join};

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
    let broken = |message: String| Failure::new(Question::Preservation, Kind::Answer, message);
    if decisions.len() != entries.len() {
        return Err(broken(format!(
            "{} decisions for the {} entries of {}",
            decisions.len(),
            entries.len(),
            escape::path(directory)
        )));
    }
    for (entry, decision) in entries.iter().zip(decisions) {
        let path = || escape::path(&join(directory, &entry.name));
        match decision {
            Decision::Delete | Decision::Keep => {}
            Decision::Descend if entry.kind == FileKind::Directory || entry.mount_point => {}
            Decision::Descend => {
                return Err(broken(format!(
                    "`descend` for {}, which is not a directory",
                    path()
                )));
            }
            Decision::Carry(target) => check_target(target, inits).map_err(|rule| {
                broken(format!(
                    "`carry` of {} to \"{}\": {rule}",
                    path(),
                    escape::path(&target[..target.len().min(256)])
                ))
            })?,
        }
    }
    Ok(())
}

/// Whether something may be carried to this path of the new root.
///
/// # Errors
/// The rule of the contract that it breaks.
pub fn check_target(target: &[u8], inits: &[Vec<u8>]) -> Result<(), String> {
    if target.len() > fixed::TARGET_PATH {
        return Err(format!(
            "the path is longer than {} bytes",
            fixed::TARGET_PATH
        ));
    }
    if target.contains(&0) {
        return Err("the path contains a NUL byte".into());
    }
    let Some(relative) = target.strip_prefix(b"/") else {
        return Err("the path is not absolute".into());
    };
    for component in relative.split(|byte| *byte == b'/') {
        match component {
            b"" => return Err("the path has an empty component".into()),
            b"." | b".." => return Err("the path has a `.` or `..` component".into()),
            _ => {}
        }
    }
    if RESERVED
        .iter()
        .any(|reserved| is_at_or_below(target, reserved))
    {
        return Err("nothing is carried into /dev, /proc, /sys and /run".into());
    }
    if inits.iter().any(|init| is_at_or_below(init, target)) {
        return Err("that would hide the init of the new root".into());
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
            assert_eq!(check_target(good, &inits), Ok(()));
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
            let error = check_target(bad, &inits).unwrap_err();
            assert!(error.contains(rule), "{}: {error}", escape::path(bad));
        }
        assert!(check_target(&[&b"/"[..], &[b'a'; 4095]].concat(), &inits).is_err());
    }
}
