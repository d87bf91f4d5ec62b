//! Which extensions can't be activated with the others.

use std::collections::HashMap;

use switch_root_policy::extra_info::{CONFLICTS, ExtraInfo, REQUIRES, Relation, Unreadable};
use switch_root_policy::{Extension, sentence};

/// How much of what an extension's author wrote is repeated in a reason, in bytes. A reason is
/// one line of a log.
const QUOTED: usize = 120;

/// Why each of the extensions can't be activated; nothing where it can, as far as the others are
/// concerned.
///
/// An extension that is left out takes along those that require it, and these take along theirs.
/// Conflicts count with every extension of the file, also with one that is left out itself:
/// otherwise which of them it is would depend on the order of reading.
pub(crate) fn objections(extensions: &[Extension]) -> Vec<Option<String>> {
    let mut objections = vec![None; extensions.len()];
    // Of each name the first one; what has no name is nobody's requirement.
    let mut named: HashMap<&str, usize> = HashMap::new();
    for (index, extension) in extensions.iter().enumerate() {
        if extension.name.is_empty() {
            continue;
        }
        if let Some(first) = named.get(extension.name.as_str()) {
            objections[index] = Some(format!(
                "{} is there already, as the layer {}",
                quote(&extension.name),
                quote(&extensions[*first].image)
            ));
        } else {
            named.insert(&extension.name, index);
        }
    }
    let mut required = Vec::with_capacity(extensions.len());
    for (index, extension) in extensions.iter().enumerate() {
        let requires = match relations(extension) {
            Ok((requires, conflicts)) => {
                let other = |name: &str| {
                    let found = named.get(name).filter(|other| **other != index);
                    found.map(|other| &extensions[*other])
                };
                let conflict = conflicts
                    .iter()
                    .find_map(|relation| conflict(relation, other(&relation.name)?));
                objections[index] = objections[index].take().or(conflict);
                requires
            }
            Err(problem) => {
                objections[index] = objections[index]
                    .take()
                    .or(Some(sentence::cut(&problem, 2 * QUOTED).into()));
                Vec::new()
            }
        };
        required.push(requires);
    }
    settle(extensions, &named, &required, &mut objections);
    objections
}

/// Adds the objections that follow from requirements, and those that follow from these.
fn settle(
    extensions: &[Extension],
    named: &HashMap<&str, usize>,
    required: &[Vec<Relation>],
    objections: &mut [Option<String>],
) {
    let mut dependents: HashMap<usize, Vec<usize>> = HashMap::new();
    for (index, requires) in required.iter().enumerate() {
        for relation in requires {
            let found = named.get(relation.name.as_str());
            match found.map(|found| (*found, relation.admits(&extensions[*found].version))) {
                Some((found, Ok(true))) => dependents.entry(found).or_default().push(index),
                found if objections[index].is_none() => {
                    objections[index] = Some(match found {
                        None => format!("it requires {}, which is not there", said(relation)),
                        Some((found, fit)) => format!(
                            "it requires {}, and {}",
                            said(relation),
                            differs(&extensions[found], &fit)
                        ),
                    });
                }
                _ => {}
            }
        }
    }
    let out = |objection: &(usize, &Option<String>)| objection.1.is_some();
    let mut left_out: Vec<usize> = objections
        .iter()
        .enumerate()
        .filter(out)
        .map(|(index, _)| index)
        .collect();
    while let Some(index) = left_out.pop() {
        // Each is left out once, so its dependents are looked at once.
        for dependent in dependents.remove(&index).unwrap_or_default() {
            if objections[dependent].is_none() {
                objections[dependent] = Some(format!(
                    "it requires {}, which can't be activated itself",
                    quote(&extensions[index].name)
                ));
                left_out.push(dependent);
            }
        }
    }
}

fn relations(extension: &Extension) -> Result<(Vec<Relation>, Vec<Relation>), String> {
    let info = ExtraInfo::parse(&extension.metadata)?;
    Ok((info.relations(REQUIRES)?, info.relations(CONFLICTS)?))
}

fn conflict(relation: &Relation, other: &Extension) -> Option<String> {
    let beside = format!("it does not work beside {}", said(relation));
    match relation.admits(&other.version) {
        Ok(false) => None,
        Ok(true) => Some(format!(
            "{beside}, and version {} is there",
            quote(&other.version)
        )),
        fit => Some(format!("{beside}, and {}", differs(other, &fit))),
    }
}

/// How the version that is there fails to be the one that is meant.
fn differs(other: &Extension, fit: &Result<bool, Unreadable>) -> String {
    match fit {
        Err(Unreadable::Version(error) | Unreadable::Constraint(error)) => format!(
            "the version that is there, {}, can't be compared with that: {error}",
            quote(&other.version)
        ),
        Ok(_) => format!("version {} is there", quote(&other.version)),
    }
}

fn said(relation: &Relation) -> String {
    quote(&relation.to_string())
}

fn quote(text: &str) -> String {
    sentence::quote(text, QUOTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(name: &str, version: &str, extra_info: &str) -> Extension {
        Extension {
            image: format!("000.{name}.sqsh"),
            digest: None,
            name: name.into(),
            version: version.into(),
            author: String::new(),
            description: String::new(),
            compatibility: Vec::new(),
            metadata: format!(r#"{{"extraInfo": {{{extra_info}}}}}"#),
        }
    }

    fn judged<const N: usize>(extensions: [(&str, &str, &str); N]) -> [Option<String>; N] {
        let extensions = extensions.map(|(name, version, info)| extension(name, version, info));
        objections(&extensions).try_into().unwrap()
    }

    fn reason(objection: &Option<String>) -> &str {
        objection.as_deref().unwrap_or("none")
    }

    #[test]
    fn what_is_required_is_there() {
        let all = judged([
            ("a", "1.0.0", r#""requires": "b >= 1.2, < 2.0, c""#),
            ("b", "1.5.0", r#""requires": ["c"]"#),
            ("c", "latest", ""),
        ]);
        assert_eq!(all, [None, None, None]);
    }

    #[test]
    fn what_is_missing_or_of_another_version_is_named() {
        let [missing, old, unknown, _, _] = judged([
            ("a", "1", r#""requires": "nowhere >= 1.0""#),
            ("b", "1", r#""requires": "d > 1.0.0""#),
            ("c", "1", r#""requires": "e 1.x""#),
            ("d", "1.0.0", ""),
            ("e", "latest", ""),
        ]);
        assert_eq!(
            reason(&missing),
            "it requires \"nowhere >= 1.0\", which is not there"
        );
        assert_eq!(
            reason(&old),
            "it requires \"d > 1.0.0\", and version \"1.0.0\" is there"
        );
        assert!(
            reason(&unknown).starts_with(
                "it requires \"e 1.x\", and the version that is there, \"latest\", can't be \
                 compared with that: position 1"
            ),
            "{unknown:?}"
        );
    }

    #[test]
    fn who_is_left_out_takes_along_who_requires_it() {
        let [a, b, c, d] = judged([
            ("a", "1", r#""requires": "b""#),
            ("b", "1", r#""requires": "c""#),
            ("c", "1", r#""requires": "nowhere""#),
            ("d", "1", ""),
        ]);
        assert_eq!(
            reason(&a),
            "it requires \"b\", which can't be activated itself"
        );
        assert_eq!(
            reason(&b),
            "it requires \"c\", which can't be activated itself"
        );
        assert!(reason(&c).contains("nowhere"));
        assert_eq!(d, None);
    }

    #[test]
    fn circles_hold_themselves() {
        let circle = r#""requires": "b""#;
        let all = judged([("a", "1", circle), ("b", "1", r#""requires": "a, b""#)]);
        assert_eq!(all, [None, None]);
    }

    #[test]
    fn conflicts_refuse_the_one_that_names_them() {
        let [a, b, c, d, e] = judged([
            ("a", "1.0.0", r#""conflicts": "b < 2.0, a""#),
            ("b", "1.5.0", ""),
            ("c", "1", r#""conflicts": ["b > 2.0", "nowhere"]"#),
            ("d", "1", r#""conflicts": "e < 2""#),
            ("e", "latest", ""),
        ]);
        assert_eq!(
            reason(&a),
            "it does not work beside \"b < 2.0\", and version \"1.5.0\" is there"
        );
        assert_eq!((b, c, e), (None, None, None));
        assert!(
            reason(&d).contains("\"latest\", can't be compared"),
            "{d:?}"
        );
    }

    #[test]
    fn of_one_name_the_first_counts() {
        let [first, second, third, fourth, fifth] = judged([
            ("a", "1.0.0", ""),
            ("a", "2.0.0", ""),
            ("b", "1", r#""requires": "a >= 2.0""#),
            ("", "1", ""),
            ("", "1", ""),
        ]);
        assert_eq!((first, fourth, fifth), (None, None, None));
        assert_eq!(
            reason(&second),
            "\"a\" is there already, as the layer \"000.a.sqsh\""
        );
        assert!(third.is_some());
    }

    #[test]
    fn a_relation_that_cannot_be_read_is_an_objection() {
        let [a, b] = judged([
            ("a", "1", r#""requires": "b >= latest""#),
            ("b", "1", r#""conflicts": {}"#),
        ]);
        assert!(reason(&a).contains("position 4"), "{a:?}");
        assert!(reason(&b).contains("extraInfo.conflicts holds a mapping"));
    }

    #[test]
    fn a_long_chain_is_settled_in_one_go() {
        const MANY: usize = 10_000;
        let mut chain: Vec<Extension> = (0..MANY)
            .map(|n| extension(&n.to_string(), "1", &format!(r#""requires": "x{}""#, n + 1)))
            .collect();
        for (n, extension) in chain.iter_mut().enumerate() {
            extension.name = format!("x{n}");
        }
        assert!(objections(&chain).iter().all(Option::is_some));
    }

    #[test]
    fn reasons_stay_short_whatever_the_extension_says() {
        let giant = "ü".repeat(1 << 16);
        for info in [
            format!(r#""requires": "{giant}""#),
            format!(r#""requires": "a >= {giant}""#),
        ] {
            let [objection] = judged([("a", "1", &info)]);
            assert!(reason(&objection).len() < 400);
        }
    }
}
