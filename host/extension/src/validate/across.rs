//! What extensions are to each other: names, files, requirements, conflicts.

use std::collections::HashMap;

use switch_root_core::escape;
use switch_root_core::file_kind::FileKind;
use switch_root_policy::extra_info::{
    ARCHITECTURE, CONFLICTS, EXTENSION_RELEASE, ExtraInfo, KERNEL_RELEASE, REQUIRES, Relation,
    Unreadable,
};

use super::checked::Checked;
use super::collector::Collector;
use crate::manifest::Manifest;

switch_root_core::outcomes! {
    /// What is wrong with extensions together.
    pub enum Together in "extension-findings" {
        /// An initramfs has each extension once, whatever its versions.
        "SR-Y30" SameVersion { name: String, first: String, version: String } = "the extension {name} is there already, as {first}, in the same version, {version}; remove one of them",
        "SR-Y31" OtherVersion { name: String, first: String, version: String, own: String } = "the extension {name} is there already, as {first}, in the version {version}, and this is {own}; remove one of them",
        /// Layers are laid over each other in the order of their names. Leave it out of one of them.
        "SR-Y32" Hides { other: String, there: &'static str, here: &'static str } = "in {other} this is {there}, and here it is {here}; the one hides the other, with everything in it",
        "SR-Y33" Same { other: String, extension: String } = "{other} brings this as well; that of {extension} is what the machine sees, since it is the later layer",
        /// What extensions say of each other is in `metadata.switchRoot` of their manifests.
        "SR-Y34" Metadata { problem: String } = "{problem}",
        "SR-Y35" Missing { name: String, relation: String, other: String } = "{name} requires {relation}, and {other} is not there; add it",
        "SR-Y36" Requires { name: String, relation: String, other: String } = "{name} requires {relation}, and {other}",
        "SR-Y37" Conflicts { name: String, relation: String, other: String } = "{name} does not work beside {relation}, and {other}; leave one of them out",
    }
}

const MANIFEST: &str = "manifest.yaml";

/// The extensions that have a manifest.
type ByName<'a> = HashMap<&'a str, Vec<&'a Manifest>>;

/// Looks at all extensions together.
pub(super) fn check(checked: &[Checked], findings: &mut Collector) {
    names(checked, findings);
    files(checked, findings);
    let mut by_name: ByName = HashMap::new();
    for manifest in checked
        .iter()
        .filter_map(|extension| extension.manifest.as_ref())
    {
        by_name.entry(&manifest.name).or_default().push(manifest);
    }
    for extension in checked {
        findings.of(&extension.name);
        if let Some(manifest) = &extension.manifest {
            relations(manifest, &by_name, findings);
        }
    }
}

fn names(checked: &[Checked], findings: &mut Collector) {
    let mut seen: HashMap<&str, (&str, &str)> = HashMap::new();
    for extension in checked {
        let Some(manifest) = &extension.manifest else {
            continue;
        };
        findings.of(&extension.name);
        if let Some((first, version)) = seen.get(manifest.name.as_str()) {
            let (name, first) = (manifest.name.clone(), (*first).to_owned());
            let (version, own) = ((*version).to_owned(), manifest.version.clone());
            let twice = match version == own {
                true => Together::SameVersion {
                    name,
                    first,
                    version,
                },
                false => Together::OtherVersion {
                    name,
                    first,
                    version,
                    own,
                },
            };
            findings.error("duplicate-name", MANIFEST, twice);
        } else {
            seen.insert(&manifest.name, (&extension.name, &manifest.version));
        }
    }
}

fn files(checked: &[Checked], findings: &mut Collector) {
    // A path, whose it is, and whether it is a directory.
    let mut seen: HashMap<&[u8], (&str, bool)> = HashMap::new();
    for extension in checked {
        findings.of(&extension.name);
        for entry in extension
            .contents
            .iter()
            .flat_map(|contents| &contents.entries)
        {
            let is_directory = entry.kind == FileKind::Directory;
            let before = seen.insert(&entry.path, (&extension.name, is_directory));
            let path = || format!("/{}", escape::path(&entry.path));
            match before {
                Some((_, true)) if is_directory => {}
                Some((other, was_directory)) if was_directory != is_directory => findings.error(
                    "duplicate-file",
                    &path(),
                    Together::Hides {
                        other: other.to_owned(),
                        there: a(was_directory),
                        here: a(is_directory),
                    },
                ),
                Some((other, _)) => findings.warning(
                    "duplicate-file",
                    &path(),
                    Together::Same {
                        other: other.to_owned(),
                        extension: extension.name.clone(),
                    },
                ),
                None => {}
            }
        }
    }
}

fn a(directory: bool) -> &'static str {
    if directory { "a directory" } else { "a file" }
}

fn relations(manifest: &Manifest, by_name: &ByName, findings: &mut Collector) {
    let info = match ExtraInfo::of(&manifest.metadata) {
        Ok(info) => info,
        Err(problem) => {
            return findings.error("manifest-invalid", MANIFEST, Together::Metadata { problem });
        }
    };
    for key in [KERNEL_RELEASE, ARCHITECTURE] {
        if let Err(problem) = info.texts(key) {
            findings.error("manifest-invalid", MANIFEST, Together::Metadata { problem });
        }
    }
    if let Err(problem) = info.fields(EXTENSION_RELEASE) {
        findings.error("manifest-invalid", MANIFEST, Together::Metadata { problem });
    }
    let mut read = |key| {
        if let Err(problem) = info.texts(key) {
            findings.error("manifest-invalid", MANIFEST, Together::Metadata { problem });
            return Vec::new();
        }
        info.relations(key).unwrap_or_else(|problem| {
            findings.error("constraint", MANIFEST, Together::Metadata { problem });
            Vec::new()
        })
    };
    let (requires, conflicts) = (read(REQUIRES), read(CONFLICTS));
    // What an extension says of its own name holds: it is there, and a second one
    // is told of as such.
    let named = |relation: &Relation| match by_name.get(relation.name.as_str()) {
        Some(found) if relation.name != manifest.name => found.as_slice(),
        _ => &[],
    };
    for relation in requires {
        if relation.name == manifest.name {
            continue;
        }
        let found = named(&relation);
        let fits = |other: &&Manifest| relation.admits(&other.version) == Ok(true);
        if found.iter().any(fits) {
            continue;
        }
        let (name, wanted) = (manifest.name.clone(), relation.to_string());
        let missing = match found.first() {
            None => Together::Missing {
                name,
                relation: wanted,
                other: relation.name,
            },
            Some(other) => Together::Requires {
                name,
                relation: wanted,
                other: differs(&relation, other),
            },
        };
        findings.error("requires", MANIFEST, missing);
    }
    for relation in conflicts {
        for other in named(&relation) {
            if relation.admits(&other.version) != Ok(false) {
                findings.error(
                    "conflicts",
                    MANIFEST,
                    Together::Conflicts {
                        name: manifest.name.clone(),
                        relation: relation.to_string(),
                        other: differs(&relation, other),
                    },
                );
            }
        }
    }
}

/// Which version there is, and whether it could be compared.
fn differs(relation: &Relation, other: &Manifest) -> String {
    match relation.admits(&other.version) {
        Err(Unreadable::Version(error) | Unreadable::Constraint(error)) => format!(
            "its version {:?} cannot be compared with that: {error}",
            other.version
        ),
        Ok(_) => format!("its version {:?} is there", other.version),
    }
}
