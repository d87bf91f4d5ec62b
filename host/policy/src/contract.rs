//! Whether a component and this host speak the same version of the contract.
//!
//! The names of interfaces carry a semantic version, and the engine matches them as
//! semantic versions are compatible: `0.1.3` stands for `0.1.0` and the other way round,
//! `0.2.0` and `0.1.0-rc.1` stand for themselves alone. A compatible release only adds
//! interfaces and functions. So a component of a later one runs here unless it calls what
//! this host does not have. What is decided here is the same, with a sentence that the
//! operator can act on, before the engine refuses in its own words.

use semver::Version;
use switch_root_core::escape;
use switch_root_core::failure::{Failure, Kind};
use switch_root_core::limits::fixed;

use crate::bindings::PACKAGE;

switch_root_core::outcomes! {
    /// Why a component is no policy for this host: what follows its name in a sentence.
    pub enum Unfit in "policy-files" {
        /// It was built for a system: WASI's files, clocks, random numbers. Build it as `srctl
        /// policy build` does. This is found before anything is compiled.
        "SR-P30" Imports { names: String } = "imports {names}; a policy may import nothing but {PACKAGE}log",
        /// It is a component, but no policy.
        "SR-P31" NoQuestion = "answers no question: it exports neither {PACKAGE}preservation@{CONTRACT} nor {PACKAGE}compatibility@{CONTRACT}",
        /// Policy and boot program are of different times.
        "SR-P32" NewerQuestion { interface: String, version: String } = "answers no question that this host asks: it exports {PACKAGE}{interface} {version}, and this host speaks {CONTRACT}; use a switch_root that speaks {version}",
        "SR-P33" NewerCall { function: String, interface: String, version: String } = "calls {function} of {PACKAGE}{interface} {version}, and this host, which speaks {CONTRACT}, does not have that; build it without that call, or use a switch_root that speaks {version}",
        "SR-P34" OtherVersion { version: String } = "was built for switch-root:policy {version}, and this host speaks {CONTRACT}; build it against that version, or use a switch_root of that version",
    }
}

impl Unfit {
    fn kind(&self) -> Kind {
        match self {
            Self::Imports { .. } => Kind::Imports,
            Self::NoQuestion => Kind::NotAPolicy,
            _ => Kind::Version,
        }
    }
}

impl From<Unfit> for Failure {
    fn from(unfit: Unfit) -> Self {
        Self::load(unfit.kind(), unfit)
    }
}

/// The version of the contract that this host speaks.
pub const CONTRACT: &str = "0.1.0";

/// The interface and the function that this host gives to policies.
const GIVEN: (&str, &str) = ("log", "log");

/// The interfaces that a policy may import: what it may call, and what has types alone.
const IMPORTS: [&str; 2] = [GIVEN.0, "types"];

/// The interfaces of the questions, of which a policy exports one at least.
const QUESTIONS: [&str; 2] = ["preservation", "compatibility"];

/// One import of a component.
pub struct Import<'a> {
    /// Its whole name, such as `switch-root:policy/log@0.1.0`.
    pub name: &'a str,
    /// Where it is an interface: everything in it that is not a type.
    pub functions: Option<Vec<&'a str>>,
}

/// The questions that a component answers in words that this host understands.
#[derive(Debug, PartialEq, Eq)]
pub struct Questions {
    /// It exports `preservation`.
    pub preservation: bool,
    /// It exports `compatibility`.
    pub compatibility: bool,
    /// It exports `settings`.
    pub settings: bool,
}

/// Finds the questions that a component answers.
///
/// # Errors
/// Its version is another one, it calls what this host does not have, it imports what no
/// policy may import, or it answers no question.
pub fn questions(imports: &[Import<'_>], exports: &[&str]) -> Result<Questions, Failure> {
    let ours = exports.iter().filter_map(|name| interface(name));
    let ours: Vec<(&str, &str)> = ours.collect();
    let spoken = |wanted: &str| {
        ours.iter()
            .any(|(interface, version)| *interface == wanted && compatible(version))
    };
    // An interface of another version may be there for other hosts, as long as there is the
    // same for this one. Alone, it is an opinion that would be lost without a word.
    let other = ours
        .iter()
        .find(|(interface, version)| !compatible(version) && !spoken(interface));
    if let Some((_, version)) = other {
        let version = (*version).to_owned();
        Err(Unfit::OtherVersion { version })?;
    }
    check_imports(imports)?;
    let questions = Questions {
        preservation: spoken("preservation"),
        compatibility: spoken("compatibility"),
        settings: spoken("settings"),
    };
    if !questions.preservation && !questions.compatibility {
        let newer = ours.iter().find(|(_, version)| is_newer(version));
        Err(match newer {
            Some((interface, version)) => Unfit::NewerQuestion {
                interface: (*interface).to_owned(),
                version: (*version).to_owned(),
            },
            None => Unfit::NoQuestion,
        })?;
    }
    Ok(questions)
}

/// Refuses what imports anything but `log` and `types`.
fn check_imports(imports: &[Import<'_>]) -> Result<(), Unfit> {
    let mut foreign = Vec::new();
    for import in imports {
        let Some((interface, version)) = interface(import.name) else {
            foreign.push(import.name);
            continue;
        };
        if !compatible(version) {
            let version = version.to_owned();
            return Err(Unfit::OtherVersion { version });
        }
        let Some(functions) = &import.functions else {
            foreign.push(import.name);
            continue;
        };
        // Types alone may be imported from anywhere: nothing is called.
        let missing = functions
            .iter()
            .find(|function| (interface, **function) != GIVEN);
        match missing {
            None if IMPORTS.contains(&interface) || is_newer(version) => {}
            Some(function) if is_newer(version) => {
                return Err(Unfit::NewerCall {
                    function: escape::message(function, fixed::ERROR_MESSAGE),
                    interface: interface.to_owned(),
                    version: version.to_owned(),
                });
            }
            _ => foreign.push(import.name),
        }
    }
    if foreign.is_empty() {
        return Ok(());
    }
    Err(Unfit::Imports {
        names: escape::message(&foreign.join(", "), fixed::ERROR_MESSAGE),
    })
}

/// Whether a policy may import what has this whole name. Of which version of the contract,
/// [`questions`] decides.
pub fn may_import(name: &str) -> bool {
    interface(name).is_some_and(|(interface, _)| IMPORTS.contains(&interface))
}

/// Whether what has this whole name is a question, of whatever version of the contract.
pub fn is_question(name: &str) -> bool {
    interface(name).is_some_and(|(interface, _)| QUESTIONS.contains(&interface))
}

/// Splits the name of an interface of our package into interface and version.
pub fn interface(name: &str) -> Option<(&str, &str)> {
    let rest = name.strip_prefix(PACKAGE)?;
    Some(rest.split_once('@').unwrap_or((rest, "none")))
}

/// Whether this host runs what was built for `version`: the rule by which the engine
/// matches the names of interfaces.
fn compatible(version: &str) -> bool {
    if version == CONTRACT {
        return true;
    }
    let (Ok(theirs), Ok(ours)) = (Version::parse(version), Version::parse(CONTRACT)) else {
        return false;
    };
    theirs.pre.is_empty()
        && ours.pre.is_empty()
        && theirs.major == ours.major
        && (ours.major > 0 || (theirs.minor == ours.minor && ours.minor > 0))
}

/// Whether a compatible version is later than this host's.
fn is_newer(version: &str) -> bool {
    match (Version::parse(version), Version::parse(CONTRACT)) {
        // Not by what is behind a `+`, which says nothing of order.
        (Ok(theirs), Ok(ours)) => theirs.cmp_precedence(&ours).is_gt(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(rest: &str) -> String {
        format!("{PACKAGE}{rest}")
    }

    /// What is said of a component with these imports (interface, functions) and exports.
    fn ask(imports: &[(&str, &[&str])], exports: &[&str]) -> Result<Questions, (Kind, String)> {
        let names: Vec<String> = imports.iter().map(|(import, _)| name(import)).collect();
        let imports: Vec<Import<'_>> = names
            .iter()
            .zip(imports)
            .map(|(name, (_, functions))| Import {
                name,
                functions: Some(functions.to_vec()),
            })
            .collect();
        let exports: Vec<String> = exports.iter().map(|export| name(export)).collect();
        let exports: Vec<&str> = exports.iter().map(String::as_str).collect();
        questions(&imports, &exports).map_err(|failure| (failure.kind, failure.message))
    }

    fn refused(imports: &[(&str, &[&str])], exports: &[&str], kind: Kind, words: &[&str]) {
        let (found, message) = ask(imports, exports).expect_err("it was not refused");
        assert_eq!(found, kind, "{message}");
        for word in words {
            assert!(message.contains(word), "no {word} in: {message}");
        }
    }

    #[test]
    fn versions_are_compatible_as_the_engine_matches_names() {
        for version in ["0.1.0", "0.1.1", "0.1.4294967296", "0.1.0+build"] {
            assert!(compatible(version), "{version}");
        }
        for version in [
            "none",
            "0.1",
            "0.1.",
            "0.1.01",
            "0.1.0-rc.1",
            "0.1.1-rc.1",
            "0.2.0",
            "0.0.1",
            "1.0.0",
            "1.1.0",
        ] {
            assert!(!compatible(version), "{version}");
        }
    }

    #[test]
    fn a_policy_may_import_log_and_types_alone() {
        for (import, expected) in [
            ("switch-root:policy/log@0.1.0", true),
            ("switch-root:policy/types@9.0.0", true),
            ("switch-root:policy/log", true),
            ("switch-root:policy/preservation@0.1.0", false),
            ("switch-root:policy/logs@0.1.0", false),
            ("wasi:cli/log@0.1.0", false),
            ("log", false),
            ("", false),
        ] {
            assert_eq!(may_import(import), expected, "{import}");
        }
    }

    #[test]
    fn a_compatible_component_that_uses_nothing_new_is_asked() {
        for version in ["0.1.0", "0.1.1", "0.1.0+build"] {
            let log = format!("log@{version}");
            let types = format!("types@{version}");
            let question = format!("preservation@{version}");
            // A question that is not asked here is no reason to refuse the others.
            let new = format!("later-question@{version}");
            let answers = ask(&[(&log, &["log"]), (&types, &[])], &[&question, &new]);
            let preservation = Questions {
                preservation: true,
                compatibility: false,
                settings: false,
            };
            assert_eq!(answers, Ok(preservation), "{version}");
        }
    }

    #[test]
    fn what_this_host_lacks_is_named_with_both_versions() {
        let question = &["preservation@0.1.1"][..];
        let words = &["0.1.1", "0.1.0"][..];
        let kind = Kind::Version;
        refused(
            &[("log@0.1.1", &["log", "log-fields"])],
            question,
            kind,
            words,
        );
        refused(
            &[("log@0.1.1", &["log", "log-fields"])],
            question,
            kind,
            &["log-fields"],
        );
        refused(&[("clock@0.1.1", &["now"])], question, kind, words);
        refused(&[("types@0.1.1", &["parse"])], question, kind, words);
        refused(&[], &["later-question@0.1.1"], kind, words);
        // Of this version there is no such thing, whoever says so.
        refused(
            &[("clock@0.1.0", &["now"])],
            question,
            Kind::Imports,
            &["clock@0.1.0"],
        );
        refused(
            &[],
            &["later-question@0.1.0"],
            Kind::NotAPolicy,
            &["no question"],
        );
    }

    #[test]
    fn other_versions_are_refused_with_both() {
        for version in ["0.2.0", "1.0.0", "0.1.0-rc.1", "0.0.1"] {
            let words = &[version, "0.1.0"][..];
            let question = format!("preservation@{version}");
            refused(&[], &[&question], Kind::Version, words);
            let log = format!("log@{version}");
            let imports: &[(&str, &[&str])] = &[(&log, &["log"])];
            refused(imports, &["preservation@0.1.0"], Kind::Version, words);
        }
        refused(&[], &["preservation"], Kind::Version, &["none", "0.1.0"]);
    }

    #[test]
    fn of_two_versions_that_are_exported_this_hosts_is_used() {
        let both = ["preservation@0.2.0", "preservation@0.1.0"];
        let preservation = Questions {
            preservation: true,
            compatibility: false,
            settings: false,
        };
        assert_eq!(ask(&[], &both), Ok(preservation));
        // But not where an opinion would be lost.
        let half = ["preservation@0.1.0", "compatibility@0.2.0"];
        refused(&[], &half, Kind::Version, &["0.2.0", "0.1.0"]);
    }

    #[test]
    fn what_is_not_of_the_contract_is_foreign() {
        let wasi = Import {
            name: "wasi:cli/environment@0.2.0",
            functions: Some(vec!["get-environment"]),
        };
        let export = name("preservation@0.1.0");
        let failure = questions(&[wasi], &[&export]).expect_err("it was not refused");
        assert_eq!(failure.kind, Kind::Imports);
        // Nor is a function of the name of an interface.
        let function = Import {
            name: "switch-root:policy/log@0.1.0",
            functions: None,
        };
        let failure = questions(&[function], &[&export]).expect_err("it was not refused");
        assert_eq!(failure.kind, Kind::Imports);
    }
}
