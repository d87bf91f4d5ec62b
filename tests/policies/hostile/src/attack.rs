//! The attacks, and how they are named in the settings.

use serde::Deserialize;
use switch_root_policy::Configuration;

/// What the policy does. In the settings the names are in lower case with hyphens:
/// `{"attack": "too-few"}`.
///
/// An attack on answers to one question leaves the other one alone: `delete` for each entry,
/// `abstain` for each extension.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// Answers `delete` and `abstain`, as the settings `{}` do.
    #[default]
    None,
    /// Executes an unreachable instruction.
    Trap,
    /// Panics, as a defect would.
    Panic,
    /// Never returns.
    Loop,
    /// Takes memory until there is no more.
    AllocateForever,
    /// Calls itself without end.
    DeepRecursion,
    /// Answers one decision or verdict less than it was asked for.
    TooFew,
    /// Answers one decision or verdict more than it was asked for.
    OneMore,
    /// Answers a million decisions or verdicts. They take 24 MiB: with a lower memory limit the
    /// policy meets that first.
    TooMany,
    /// Carries to `/etc/../x`.
    Dotdot,
    /// Carries to `etc/x`.
    Relative,
    /// Carries to a path that is not UTF-8, which the contract allows.
    #[serde(rename = "non-utf8-target")]
    NonUtf8Target,
    /// Carries to a path with a NUL in it.
    NulTarget,
    /// Carries to the empty path.
    EmptyTarget,
    /// Carries to a path of more than 4095 bytes.
    LongTarget,
    /// Carries to `/sbin/init`.
    CarryInit,
    /// Carries to `/proc/x`.
    CarryProc,
    /// Carries each entry to a place of its own below `/srv`.
    ManyCarries,
    /// Logs 100,000 messages before it answers.
    LogFlood,
    /// Logs one message of 8 MiB before it answers.
    LogHuge,
    /// Logs escape sequences, newlines and NUL before it answers.
    LogControl,
    /// Returns an error of one sentence.
    Error,
    /// Returns an error of 8 MiB.
    GiantError,
    /// Answers `descend` for what is no directory.
    DescendFile,
    /// Answers `keep` for each entry, which no rule forbids.
    KeepEverything,
    /// Answers `descend` for each directory, which no rule forbids.
    DescendEverywhere,
    /// Answers `delete` and `abstain`, and nothing else.
    AbstainAll,
    /// Answers `compatible` for each extension.
    ApproveAll,
    /// Answers `incompatible` for each extension.
    ObjectAll,
    /// Answers otherwise at the second call to the same instance: `descend` for each directory
    /// and `compatible` first, `keep` and `incompatible` later.
    Stateful,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    attack: Attack,
}

/// Reads the settings. An error names what is wrong, and lists the attacks.
pub(crate) fn read(json: &str) -> Result<Attack, String> {
    Configuration::<Written>::parse_json(json).map(|written| written.attack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_are_named_with_hyphens_and_unknown_ones_are_refused_by_name() {
        let read = |name: &str| read(&format!(r#"{{"attack": "{name}"}}"#));
        assert_eq!(read("too-few"), Ok(Attack::TooFew));
        assert_eq!(read("non-utf8-target"), Ok(Attack::NonUtf8Target));
        let error = read("phishing").unwrap_err();
        assert!(
            error.contains("`phishing`") && error.contains("`too-few`"),
            "{error}"
        );
        assert_eq!(super::read("{}"), Ok(Attack::None));
    }
}
