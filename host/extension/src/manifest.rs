//! `manifest.yaml` of an extension: its name, its version and what it is
//! compatible with.
//!
//! ```yaml
//! version: v1alpha1
//! metadata:
//!   name: gvisor
//!   version: 1.4.0
//!   author: Somebody
//!   description: What it is for.
//!   compatibility:
//!     talos:
//!       version: ">= v1.6.0"
//!   switchRoot:
//!     kernelRelease: 6.12.6-talos
//!     architecture: amd64
//!     requires: runtime >= 1.2.0
//!     conflicts: other-runtime
//!     extensionRelease:
//!       ID: talos
//!       VERSION_ID: 1.9.0
//! ```
//!
//! `metadata.name` and `metadata.version` must be there; keys that are not known
//! are let through, with a warning. Aliases stand for what they refer to, and a second
//! document is passed over with a warning, as Talos reads manifests. What `switchRoot` may hold is described in
//! [`switch_root_policy::extra_info`], which policies read it with.

use std::fmt;

use serde_json::Value;
use switch_root_core::error::Words;
use switch_root_core::escape;
use switch_root_core::extensions::extension_of;
use switch_root_core::outcome::Message;
use switch_root_core::yaml::{self, Aliases, Kind, Node, Position};

use crate::known_keys;

switch_root_core::outcomes! {
    /// What is wrong with a manifest.
    pub enum Malformed in "extension-manifests" {
        /// The book describes manifests, and `srctl extension validate` names all that is wrong at once.
        "SR-M50" NotText { path: String, found: &'static str } = "`{path}` is {found}; it must be a text",
        "SR-M51" NotMapping { path: String, found: &'static str } = "`{path}` is {found}; it must be a mapping",
        "SR-M52" TooLarge { most: usize } = "it is larger than {most} bytes, which no manifest is",
        "SR-M53" NotUtf8 { at: usize } = "it is not UTF-8: the byte at offset {at} is wrong",
        "SR-M54" Empty = "it is empty; it needs `version` and `metadata`",
        "SR-M55" NoManifest { found: &'static str } = "it is {found}; it must be a mapping with `version` and `metadata`",
        "SR-M56" NoMetadata = "there is no `metadata`, which names the extension and its version",
        "SR-M57" Version { found: String } = "unsupported manifest version: {found}; `version` must be `v1alpha1`",
        "SR-M58" Missing { path: String } = "`{path}` is missing or empty; it must be a text",
        "SR-M59" NoConstraint { path: String, found: &'static str } = "`{path}` is {found}; it must be a mapping with `version`, the constraint to be met",
        /// Talos reads the first document alone, too.
        "SR-M60" Second = "a second document begins here, and the first one alone is read; remove it",
    }
}

/// The largest manifest that is read, in bytes.
pub const LARGEST: usize = 1 << 20;

/// The one version of manifests.
const VERSION: &str = "v1alpha1";

/// The keys of `metadata`: those of Talos, and ours.
const METADATA: [&str; 7] = [
    "name",
    "version",
    "author",
    "description",
    "compatibility",
    "extraInfo",
    "switchRoot",
];

/// How much of what stands in a manifest is repeated in a problem, in bytes.
const QUOTED: usize = 300;

/// A manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// `metadata.name`, which is not empty.
    pub name: String,
    /// `metadata.version`, in the spelling of the file; not empty.
    pub version: String,
    /// `metadata.author`.
    pub author: String,
    /// `metadata.description`.
    pub description: String,
    /// `metadata.compatibility`: operating systems, and the constraint for each.
    pub compatibility: Vec<(String, String)>,
    /// The whole of `metadata`.
    pub metadata: Value,
    /// Keys of `metadata` that nobody reads.
    pub unknown: Vec<Problem>,
    /// That there is a second document, which nobody reads.
    pub second: Option<Problem>,
}

/// Something that is wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is; nothing where the message says so itself, or it is about the
    /// whole.
    pub position: Option<Position>,
    /// A sentence, fit for a terminal.
    pub message: Message,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(f, "{position}: ")?;
        }
        f.write_str(&self.message.text)
    }
}

/// Reads a manifest.
///
/// # Errors
/// All that is wrong with it.
pub fn parse(text: &[u8]) -> Result<Manifest, Vec<Problem>> {
    let mut problems = Problems::default();
    let read = read(text, &mut problems);
    match read {
        Some(manifest) if problems.0.is_empty() => Ok(manifest),
        _ => Err(problems.0),
    }
}

impl Problem {
    /// The sentence, with its place in front.
    pub fn whole(&self) -> Message {
        self.message.clone().reworded(|_| self.to_string())
    }

    fn new(position: Option<Position>, message: impl Words) -> Self {
        let shown = |text: &str| escape::message(text, QUOTED);
        Self {
            position,
            message: message.message().reworded(shown),
        }
    }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, position: Option<Position>, message: impl Words) {
        self.0.push(Problem::new(position, message));
    }

    /// Notes it unless the value is a text. Null and what is missing are empty.
    fn text<'n>(&mut self, parent: &'n Node, key: &str, path: &str) -> &'n str {
        let Some(node) = parent.get(key).filter(|node| !node.is_null()) else {
            return "";
        };
        node.as_text().unwrap_or_else(|| {
            let found = node.describe();
            let path = format!("{path}.{key}");
            self.add(Some(node.start), Malformed::NotText { path, found });
            ""
        })
    }

    /// The mapping of a key; nothing where it is null or missing. Notes it where
    /// it is something else.
    fn mapping<'n>(&mut self, parent: &'n Node, key: &str, path: &str) -> Option<&'n Node> {
        let node = parent.get(key).filter(|node| !node.is_null())?;
        if matches!(node.kind, Kind::Mapping(_)) {
            return Some(node);
        }
        let found = node.describe();
        let path = format!("{path}{key}");
        self.add(Some(node.start), Malformed::NotMapping { path, found });
        None
    }
}

fn read(text: &[u8], problems: &mut Problems) -> Option<Manifest> {
    if text.len() > LARGEST {
        problems.add(None, Malformed::TooLarge { most: LARGEST });
        return None;
    }
    let document = std::str::from_utf8(text)
        .map_err(|error| {
            let at = error.valid_up_to();
            Message::from(Malformed::NotUtf8 { at })
        })
        .and_then(|text| Ok(yaml::documents(text, Aliases::Expand)?));
    let (root, second) = match document.map(Vec::into_iter) {
        Ok(mut documents) => match documents.next() {
            Some(root) => (root, documents.next()),
            None => {
                problems.add(None, Malformed::Empty);
                return None;
            }
        },
        Err(error) => {
            problems.add(None, error);
            return None;
        }
    };
    if !matches!(root.kind, Kind::Mapping(_)) {
        let found = root.describe();
        problems.add(Some(root.start), Malformed::NoManifest { found });
        return None;
    }
    check_version(&root, problems);
    let there = root.get("metadata").is_some_and(|node| !node.is_null());
    let Some(metadata) = problems.mapping(&root, "metadata", "") else {
        if !there {
            problems.add(Some(root.start), Malformed::NoMetadata);
        }
        return None;
    };
    check_metadata(metadata, problems);
    if !problems.0.is_empty() {
        return None;
    }
    let record = extension_of(String::new(), None, Some(metadata), "metadata")
        .map_err(|error| problems.add(Some(metadata.start), error))
        .ok()?;
    Some(Manifest {
        name: record.name,
        version: record.version,
        author: record.author,
        description: record.description,
        compatibility: record
            .compatibility
            .into_iter()
            .map(|requirement| (requirement.operating_system, requirement.version))
            .collect(),
        metadata: metadata.to_json(),
        unknown: unknown(metadata),
        second: second.map(|second| Problem::new(Some(second.start), Malformed::Second)),
    })
}

fn unknown(metadata: &Node) -> Vec<Problem> {
    known_keys::unknown(metadata, "metadata", &METADATA)
        .into_iter()
        .map(|(position, unknown)| Problem::new(Some(position), unknown))
        .collect()
}

fn check_version(root: &Node, problems: &mut Problems) {
    let version = root.get("version");
    let found = match version.map(|node| (node, node.as_text())) {
        Some((_, Some(VERSION))) => return,
        Some((_, Some(text))) => format!("`{text}`"),
        Some((node, None)) => node.describe().to_owned(),
        None => "there is none".to_owned(),
    };
    let position = version.unwrap_or(root).start;
    problems.add(Some(position), Malformed::Version { found });
}

fn check_metadata(metadata: &Node, problems: &mut Problems) {
    for key in ["name", "version"] {
        let before = problems.0.len();
        let text = problems.text(metadata, key, "metadata");
        if text.trim().is_empty() && problems.0.len() == before {
            let position = metadata.get(key).unwrap_or(metadata).start;
            let path = format!("metadata.{key}");
            problems.add(Some(position), Malformed::Missing { path });
        }
    }
    for key in ["author", "description"] {
        problems.text(metadata, key, "metadata");
    }
    let Some(compatibility) = problems.mapping(metadata, "compatibility", "metadata.") else {
        return;
    };
    let Kind::Mapping(systems) = &compatibility.kind else {
        return;
    };
    for (system, node) in systems {
        let path = format!("metadata.compatibility.{}", system.text);
        if !node.is_null() && !matches!(node.kind, Kind::Mapping(_)) {
            let found = node.describe();
            problems.add(Some(node.start), Malformed::NoConstraint { path, found });
            continue;
        }
        // One that is empty, or not there, constrains nothing.
        problems.text(node, "version", &path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let problems = parse(text.as_bytes()).unwrap_err();
        problems.iter().map(Problem::to_string).collect()
    }

    #[test]
    fn a_manifest_is_read_in_its_own_spelling() {
        let manifest = parse(
            br#"
version: v1alpha1
other: [ignored]
metadata:
  name: gvisor
  version: 1.10
  author: Andrew Rynhard
  description: |
    two
    lines
  compatibility:
    talos:
      version: ">= v1.0.0"
  extraInfo: {kernelRelease: 6.1}
"#,
        )
        .unwrap();
        assert_eq!(
            (manifest.name.as_str(), manifest.version.as_str()),
            ("gvisor", "1.10")
        );
        assert_eq!(manifest.description, "two\nlines\n");
        assert_eq!(
            manifest.compatibility,
            [("talos".to_owned(), ">= v1.0.0".to_owned())]
        );
        assert_eq!(manifest.metadata["version"], "1.10");
        assert_eq!(manifest.metadata["extraInfo"]["kernelRelease"], 6.1);
    }

    #[test]
    fn name_and_version_are_all_it_needs() {
        let manifest =
            parse(b"version: v1alpha1\nmetadata: {name: a, version: 1, author: ~}\n").unwrap();
        assert_eq!(manifest.version, "1");
        assert_eq!(
            (manifest.author.as_str(), manifest.compatibility.len()),
            ("", 0)
        );
    }

    #[test]
    fn aliases_and_a_second_document_are_read_as_talos_reads_them() {
        let text = "version: v1alpha1\nx: &v {version: 1.10}\nmetadata:\n  name: &n a\n  version: *n\n  compatibility: {talos: *v}\n";
        let manifest = parse(text.as_bytes()).unwrap();
        assert_eq!((manifest.version.as_str(), &manifest.second), ("a", &None));
        assert_eq!(
            manifest.compatibility,
            [("talos".to_owned(), "1.10".to_owned())]
        );
        assert_eq!(
            manifest.metadata["compatibility"]["talos"]["version"],
            "1.10"
        );
        let two = format!("{text}---\nmetadata: []\n");
        let second = parse(two.as_bytes()).unwrap().second.unwrap();
        assert!(
            second.to_string().starts_with("line 8 column 1: a second"),
            "{second}"
        );
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        assert_eq!(
            problems(
                "version: v1\nmetadata:\n  name: []\n  author: {}\n  compatibility:\n    talos: {version: [1]}\n    other: 1\n"
            ),
            [
                "line 1 column 10: unsupported manifest version: `v1`; `version` must be `v1alpha1`",
                "line 3 column 9: `metadata.name` is a list; it must be a text",
                "line 3 column 3: `metadata.version` is missing or empty; it must be a text",
                "line 4 column 11: `metadata.author` is a mapping; it must be a text",
                "line 6 column 22: `metadata.compatibility.talos.version` is a list; it must be a text",
                "line 7 column 12: `metadata.compatibility.other` is a text; it must be a mapping with `version`, the constraint to be met",
            ]
        );
        assert_eq!(
            problems("version: v1alpha1\n"),
            ["line 1 column 1: there is no `metadata`, which names the extension and its version"]
        );
        for (text, expected) in [
            ("", "it is empty"),
            ("- a", "it is a list; it must be a mapping"),
            (
                "metadata: {name: a, version: 1}",
                "unsupported manifest version: there is none",
            ),
            (
                "version: [v1alpha1]\nmetadata: {name: a, version: 1}",
                "version: a list;",
            ),
            (
                "version: v1alpha1\nmetadata: a",
                "`metadata` is a text; it must be a mapping",
            ),
            (
                "version: v1alpha1\nmetadata: {name: '', version: 1}",
                "`metadata.name` is missing",
            ),
            (
                "version: v1alpha1\nmetadata: {name: a, version: 1, compatibility: []}",
                "`metadata.compatibility` is a list",
            ),
            ("version: [", "is not YAML: line "),
            ("a: &a [*a]", "line 1 column 8: the alias refers to"),
        ] {
            let problems = problems(text);
            assert_eq!(problems.len(), 1, "{problems:?}");
            assert!(problems[0].contains(expected), "{problems:?}");
        }
        let bytes = parse(b"version: \xff").unwrap_err();
        assert!(bytes[0].message.text.contains("not UTF-8"));
        assert!(
            parse(&vec![b'#'; LARGEST + 1]).unwrap_err()[0]
                .message
                .text
                .contains("larger")
        );
    }

    #[test]
    fn problems_cannot_write_to_a_terminal() {
        for problem in problems("version: \"\\e[0m\"\nmetadata: {compatibility: {\"\\e[0m\": 1}}\n")
        {
            assert!(!problem.contains('\u{1b}'), "{problem:?}");
        }
    }
}
