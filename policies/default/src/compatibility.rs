//! Judges extensions by what they state: which versions of which operating systems they are
//! made for.

use switch_root_policy::constraint::Version;
use switch_root_policy::sentence::push;
use switch_root_policy::{Compatibility, Extension, HostFacts, Requirement, Verdict};

use crate::DefaultPolicy;

/// How much of what an extension's author wrote is repeated in a reason, in bytes. A reason is
/// one line of a log.
const QUOTED: usize = 120;

/// How many operating systems are named in a reason.
const NAMED: usize = 8;

impl Compatibility for DefaultPolicy {
    /// An extension without requirements is compatible. One that has some needs at least one
    /// for this operating system, and this version must satisfy all of these.
    fn review(host: &HostFacts, extensions: &[Extension]) -> Result<Vec<Verdict>, String> {
        let system = System::of(host);
        let verdicts =
            extensions.iter().map(
                |extension| match system.objection(&extension.compatibility) {
                    None => Verdict::Compatible,
                    Some(reason) => Verdict::Incompatible(reason),
                },
            );
        Ok(verdicts.collect())
    }
}

/// The operating system of the new root, as its os-release names it.
struct System<'a> {
    id: Option<&'a str>,
    version: Option<&'a str>,
}

impl<'a> System<'a> {
    fn of(host: &'a HostFacts) -> Self {
        let field = |name| host.os_release(name).filter(|value| !value.is_empty());
        System {
            id: field("ID"),
            version: field("VERSION_ID"),
        }
    }

    /// Why these requirements are not met.
    fn objection(&self, requirements: &[Requirement]) -> Option<String> {
        if requirements.is_empty() {
            return None;
        }
        let mut ours = requirements
            .iter()
            .filter(|requirement| Some(requirement.operating_system.as_str()) == self.id)
            .peekable();
        if ours.peek().is_none() {
            return Some(self.not_named(requirements));
        }
        ours.find_map(|requirement| self.violation(&requirement.version))
    }

    /// The reason where none of the requirements names this system.
    fn not_named(&self, requirements: &[Requirement]) -> String {
        let mut reason = String::from("it is made for ");
        for (index, requirement) in requirements.iter().enumerate() {
            match index {
                0 => {}
                NAMED => {
                    push(&mut reason, &[", ..."]);
                    break;
                }
                _ => push(&mut reason, &[", "]),
            }
            quote(&mut reason, &requirement.operating_system);
        }
        match (self.id, self.version) {
            (Some(id), Some(version)) => {
                push(&mut reason, &[", and this system is ", id, " ", version]);
            }
            (Some(id), None) => push(&mut reason, &[", and this system is ", id]),
            (None, _) => push(
                &mut reason,
                &[", and the os-release of the new root has no ID to compare with that"],
            ),
        }
        reason
    }

    /// The reason where a requirement names this system and is not met.
    fn violation(&self, constraint: &str) -> Option<String> {
        if constraint.trim().is_empty() {
            return None;
        }
        let id = self.id.unwrap_or_default();
        let mut reason = String::from("it needs ");
        push(&mut reason, &[id, " "]);
        quote(&mut reason, constraint);
        // The constraint comes first: what the extension's author has to mend is said on every
        // system, also where it could not be compared with anything.
        if let Err(error) = Version::default().satisfies(constraint) {
            push(
                &mut reason,
                &[
                    ", which can't be read as a version constraint: ",
                    &String::from(error),
                ],
            );
            return Some(reason);
        }
        let Some(version) = self.version else {
            push(
                &mut reason,
                &[", and the os-release of the new root has no VERSION_ID to compare with that"],
            );
            return Some(reason);
        };
        match Version::parse_core(version) {
            Ok(running) if running.satisfies(constraint) == Ok(true) => None,
            Ok(_) => {
                push(&mut reason, &[", and this system is ", id, " ", version]);
                Some(reason)
            }
            Err(error) => {
                push(&mut reason, &[", and the VERSION_ID of the new root, "]);
                quote(&mut reason, version);
                push(
                    &mut reason,
                    &[", can't be read as a version: ", &String::from(error)],
                );
                Some(reason)
            }
        }
    }
}

/// Appends a text of the extension's author in quotes, shortened if it is long.
fn quote(reason: &mut String, text: &str) {
    let end = text.floor_char_boundary(QUOTED);
    let shown = text.get(..end).unwrap_or_default();
    let ending = if shown.len() < text.len() {
        "...\""
    } else {
        "\""
    };
    push(reason, &["\"", shown, ending]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(fields: &[(&str, &str)]) -> HostFacts {
        let pair = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        HostFacts {
            os_release: fields.iter().map(pair).collect(),
            kernel_release: "6.1.0".into(),
            architecture: "x86_64".into(),
            kernel_command_line: String::new(),
        }
    }

    fn talos(version: &str) -> HostFacts {
        host(&[("NAME", "Talos"), ("ID", "talos"), ("VERSION_ID", version)])
    }

    fn judge(host: &HostFacts, requirements: &[(&str, &str)]) -> Verdict {
        let requirement = |(system, version): &(&str, &str)| Requirement {
            operating_system: system.to_string(),
            version: version.to_string(),
        };
        let extension = Extension {
            image: "000.x.sqsh".into(),
            digest: None,
            name: "x".into(),
            version: "1".into(),
            author: String::new(),
            description: String::new(),
            compatibility: requirements.iter().map(requirement).collect(),
            metadata: "{}".into(),
        };
        let mut verdicts = DefaultPolicy::review(host, &[extension]).unwrap();
        assert_eq!(verdicts.len(), 1);
        verdicts.remove(0)
    }

    fn reason(host: &HostFacts, requirements: &[(&str, &str)]) -> String {
        match judge(host, requirements) {
            Verdict::Incompatible(reason) => reason,
            other => panic!("{other:?} for {requirements:?}"),
        }
    }

    #[test]
    fn no_requirements_constrain_nothing() {
        assert_eq!(judge(&talos("v1.6.0"), &[]), Verdict::Compatible);
        assert_eq!(judge(&host(&[]), &[]), Verdict::Compatible);
    }

    #[test]
    fn the_core_of_the_running_version_is_compared() {
        for version in ["v1.6.0-alpha.2", "1.6.0", "1.6"] {
            assert_eq!(
                judge(&talos(version), &[("talos", ">= v1.6.0")]),
                Verdict::Compatible
            );
        }
        assert_eq!(
            reason(&talos("v1.5.4"), &[("talos", ">= v1.6.0")]),
            "it needs talos \">= v1.6.0\", and this system is talos v1.5.4"
        );
        let debian = host(&[("ID", "debian"), ("VERSION_ID", "12")]);
        assert_eq!(judge(&debian, &[("debian", "12.0.0")]), Verdict::Compatible);
    }

    #[test]
    fn another_system_among_the_requirements_does_not_matter() {
        let requirements = [("debian", "nonsense"), ("talos", "1.x")];
        assert_eq!(judge(&talos("1.6.0"), &requirements), Verdict::Compatible);
    }

    #[test]
    fn all_requirements_for_this_system_are_to_be_met() {
        let requirements = [("talos", ">= 1.5"), ("talos", "< 1.6")];
        assert_eq!(judge(&talos("1.5.9"), &requirements), Verdict::Compatible);
        assert!(reason(&talos("1.6.0"), &requirements).contains("\"< 1.6\""));
    }

    #[test]
    fn an_empty_constraint_admits_any_version() {
        let rolling = host(&[("ID", "arch")]);
        for system in [&rolling, &talos("1.6.0")] {
            let id = system.os_release("ID").unwrap();
            let requirements = [(id, " "), ("other", ">= 2")];
            assert_eq!(judge(system, &requirements), Verdict::Compatible);
        }
    }

    #[test]
    fn systems_that_are_named_and_the_running_one_are_in_the_reason() {
        let debian = host(&[("ID", "debian"), ("VERSION_ID", "12")]);
        assert_eq!(
            reason(&debian, &[("talos", ">= 1.5"), ("Debian", "12")]),
            "it is made for \"talos\", \"Debian\", and this system is debian 12"
        );
        let rolling = host(&[("ID", "arch")]);
        assert_eq!(
            reason(&rolling, &[("talos", "")]),
            "it is made for \"talos\", and this system is arch"
        );
        for nameless in [host(&[]), host(&[("ID", "")])] {
            assert_eq!(
                reason(&nameless, &[("", "1.0.0")]),
                "it is made for \"\", and the os-release of the new root has no ID to compare \
                 with that"
            );
        }
    }

    #[test]
    fn a_missing_or_unreadable_version_satisfies_nothing() {
        let rolling = host(&[("ID", "arch")]);
        assert_eq!(
            reason(&rolling, &[("arch", "1.x")]),
            "it needs arch \"1.x\", and the os-release of the new root has no VERSION_ID to \
             compare with that"
        );
        assert_eq!(
            reason(&talos("next"), &[("talos", "!= 1.6.0")]),
            "it needs talos \"!= 1.6.0\", and the VERSION_ID of the new root, \"next\", can't be \
             read as a version: position 1: expected a version, such as 1.6.0, found \"n\""
        );
    }

    #[test]
    fn a_constraint_that_cannot_be_read_is_named_with_the_position() {
        for system in [talos("1.6.0"), host(&[("ID", "talos")])] {
            assert_eq!(
                reason(&system, &[("talos", ">= 1.5.0 and < 1.7.0")]),
                "it needs talos \">= 1.5.0 and < 1.7.0\", which can't be read as a version \
                 constraint: position 10: expected a version, such as 1.6.0, found \"a\""
            );
        }
        assert!(reason(&talos("1.6.0"), &[("talos", ">")]).contains("position 2"));
        assert!(
            reason(&talos("1.6.0"), &[("talos", "> 99999999999999999999")]).contains("at most")
        );
    }

    #[test]
    fn reasons_stay_short_whatever_the_extension_says() {
        let giant = "ü".repeat(1 << 20);
        assert!(reason(&talos("1.6.0"), &[("talos", &giant)]).len() < 400);
        assert!(reason(&talos("1.6.0"), &[(&giant, "")]).len() < 400);
        let many = vec![("debian", "12"); 10_000];
        assert!(reason(&talos("1.6.0"), &many).ends_with(", ..., and this system is talos 1.6.0"));
    }

    #[test]
    fn the_last_one_of_a_repeated_field_counts() {
        let fields = [("ID", "debian"), ("VERSION_ID", "12"), ("ID", "talos")];
        assert_eq!(
            judge(&host(&fields), &[("talos", "12.x")]),
            Verdict::Compatible
        );
    }
}
