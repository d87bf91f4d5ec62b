//! `extensions.yaml`: which layers there are, and what their metadata says.
//!
//! The shape is `layers: [{image, digest, metadata: {name, version, author,
//! description, compatibility: {<os>: {version}}, ...}}]`; unknown keys mean
//! nothing here, and are passed on. A system that was booted from it finds in it what was
//! activated, and under `skipped: [{image, metadata, reasons: [text]}]` what was not, and
//! why; where none could be looked at, `reason` says why.

use crate::yaml::{self, Kind, Node};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::contract::{Extension, Requirement};
use crate::outcome::Message;

crate::outcomes! {
    /// That a list of extensions cannot be used.
    pub enum Unusable in "extensions" {
        /// The reason is one of the next, or that the file cannot be read. `srctl plan` says the
        /// same where images are made.
        "SR-E01" Because { file: String, reason: String } = "{file} {reason}; repair it in the initramfs, or start once with the kernel parameter switch_root.extensions=ignore",
    }
}

crate::outcomes! {
    /// What is wrong with the contents of the file: what follows its name in a sentence.
    pub enum Malformed in "extensions" {
        /// The file is YAML, and YAML is UTF-8.
        "SR-E10" NotUtf8 { offset: usize } = "is not UTF-8: the byte at offset {offset} is wrong",
        /// The file begins with `layers:`, and a list of layers follows.
        "SR-E21" NoMapping = "the document is not a mapping with the key `layers`",
        "SR-E22" NoList = "`layers` is not a list",
        /// The place is `layers[0].metadata`, or the like. Texts such as versions want quotation
        /// marks: `"1.10"`.
        "SR-E23" NotMapping { place: String } = "{place} is not a mapping",
        "SR-E24" NotText { place: String, key: String } = "{place}.{key} is not a text",
        /// Each layer names its image.
        "SR-E25" NoImage { place: String } = "{place} has no `image`, the file name of the layer",
        /// What stands below the name of an operating system is a mapping, or nothing.
        "SR-E26" NoVersion { place: String } = "{place} is not a mapping with `version`, the constraint to be met",
    }
}

/// Keys of the file that mean something, and are not passed on.
pub const OF_THE_FILE: [&str; 3] = ["layers", "skipped", "reason"];
/// The same of a layer in it.
pub const OF_A_LAYER: [&str; 4] = ["image", "digest", "metadata", "reasons"];

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct List {
    /// The layers, lowest first.
    pub extensions: Vec<Extension>,
    /// What else it holds.
    pub unknown: Unknown,
}

/// What a file holds beside what is known: JSON objects, of keys with their values. Where
/// there are none, nothing is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// Of the file itself.
    pub file: String,
    /// Of each layer.
    pub layers: Vec<String>,
}

/// A layer to be written, with the unknown keys that go with it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// What is known of it.
    pub extension: &'a Extension,
    /// See [`Unknown::layers`]; may be empty.
    pub unknown: &'a str,
}

/// The sentence about a list of extensions that cannot be used.
pub fn unusable(path: &str, reason: &str) -> Unusable {
    Unusable::Because {
        file: path.to_owned(),
        reason: crate::escape::message(reason, 1024),
    }
}

/// Reads the layers out of the bytes of an `extensions.yaml`. An empty file, or one
/// without `layers`, is no extensions.
///
/// # Errors
/// A sentence with the line and column, or the element, of what is wrong.
pub fn parse(bytes: &[u8]) -> Result<Vec<Extension>, Message> {
    Ok(list(bytes)?.extensions)
}

/// The same, with what else the file holds.
///
/// # Errors
/// See [`parse`].
pub fn list(bytes: &[u8]) -> Result<List, Message> {
    let text = std::str::from_utf8(bytes).map_err(|error| Malformed::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    let Some(root) = yaml::document(text)?.filter(|root| !root.is_null()) else {
        return Ok(List::default());
    };
    let Kind::Mapping(_) = root.kind else {
        Err(Malformed::NoMapping)?
    };
    let layers = match root.get("layers").filter(|node| !node.is_null()) {
        None => [].as_slice(),
        Some(Node {
            kind: Kind::Sequence(layers),
            ..
        }) => layers.as_slice(),
        Some(_) => Err(Malformed::NoList)?,
    };
    let extensions = layers
        .iter()
        .enumerate()
        .map(|(index, layer)| extension(index, layer));
    Ok(List {
        extensions: extensions.collect::<Result<_, _>>()?,
        unknown: Unknown {
            file: unknown(&root, &OF_THE_FILE),
            layers: layers
                .iter()
                .map(|layer| unknown(layer, &OF_A_LAYER))
                .collect(),
        },
    })
}

/// What a mapping holds beside what is known; empty where that is nothing.
fn unknown(node: &Node, known: &[&str]) -> String {
    match node.to_json() {
        Value::Object(mut entries) => {
            entries.retain(|key, _| !known.contains(&key.as_str()));
            match entries.is_empty() {
                true => String::new(),
                false => Value::Object(entries).to_string(),
            }
        }
        _ => String::new(),
    }
}

/// What [`render`] writes of an extension: its layer, and all of its metadata. The
/// fields that are read out of the metadata are empty.
pub fn to_write(image: &str, digest: Option<&str>, metadata: &Value) -> Extension {
    Extension {
        image: image.to_owned(),
        digest: digest.map(str::to_owned),
        metadata: metadata.to_string(),
        name: String::new(),
        version: String::new(),
        author: String::new(),
        description: String::new(),
        compatibility: Vec::new(),
    }
}

/// Writes an `extensions.yaml` of these layers, lowest first. [`parse`] gives them back.
pub fn render(layers: &[Extension]) -> String {
    let unknown = "";
    let entry = |extension| Entry { extension, unknown };
    let entries: Vec<Entry<'_>> = layers.iter().map(entry).collect();
    render_outcome(&entries, &[], "")
}

/// Writes an `extensions.yaml` of the layers that were activated, and of those that were
/// left out, with the reasons; with the unknown keys of the file, see [`Unknown::file`].
pub fn render_outcome(
    activated: &[Entry<'_>],
    skipped: &[(Entry<'_>, Vec<String>)],
    unknown: &str,
) -> String {
    let mut file = object(unknown);
    file.insert("layers".into(), activated.iter().map(layer).collect());
    if !skipped.is_empty() {
        let skipped = skipped.iter().map(|(entry, reasons)| {
            let mut entry = layer(entry);
            entry["reasons"] = Value::from(reasons.as_slice());
            entry
        });
        file.insert("skipped".into(), skipped.collect());
    }
    yaml::emit(&Value::Object(file))
}

/// Writes an `extensions.yaml` without layers, since none could be looked at.
pub fn render_none(reason: &str) -> String {
    yaml::emit(&serde_json::json!({"layers": [], "reason": reason}))
}

/// The unknown keys of something; none where that is no JSON.
fn object(unknown: &str) -> Map<String, Value> {
    serde_json::from_str(unknown).unwrap_or_default()
}

fn layer(Entry { extension, unknown }: &Entry<'_>) -> Value {
    let mut entry = object(unknown);
    entry.insert("image".into(), extension.image.as_str().into());
    if let Some(digest) = &extension.digest {
        entry.insert("digest".into(), digest.as_str().into());
    }
    // The judge made it, so it is JSON; a text is what is left of it otherwise.
    let metadata = serde_json::from_str(&extension.metadata)
        .unwrap_or_else(|_| Value::from(extension.metadata.as_str()));
    entry.insert("metadata".into(), metadata);
    Value::Object(entry)
}

fn extension(index: usize, layer: &Node) -> Result<Extension, Malformed> {
    let place = format!("layers[{index}]");
    let Kind::Mapping(_) = layer.kind else {
        return Err(Malformed::NotMapping { place });
    };
    let image = text(layer, "image", &place)?.unwrap_or_default();
    if image.is_empty() {
        return Err(Malformed::NoImage { place });
    }
    let digest = text(layer, "digest", &place)?;
    let metadata = layer.get("metadata").filter(|node| !node.is_null());
    let place = format!("{place}.metadata");
    extension_of(image, digest, metadata, &place)
}

/// Makes the record of an extension out of its `metadata`; `place` is what
/// errors call that.
///
/// # Errors
/// A sentence that names the key that is wrong.
pub fn extension_of(
    image: String,
    digest: Option<String>,
    metadata: Option<&Node>,
    place: &str,
) -> Result<Extension, Malformed> {
    let empty;
    let metadata = match metadata {
        Some(node) if matches!(node.kind, Kind::Mapping(_)) => node,
        Some(_) => {
            let place = place.to_owned();
            return Err(Malformed::NotMapping { place });
        }
        None => {
            empty = Node::empty_mapping();
            &empty
        }
    };
    let field = |key| Ok::<_, Malformed>(text(metadata, key, place)?.unwrap_or_default());
    Ok(Extension {
        image,
        digest,
        name: field("name")?,
        version: field("version")?,
        author: field("author")?,
        description: field("description")?,
        compatibility: compatibility(metadata, place)?,
        metadata: metadata.to_json().to_string(),
    })
}

/// The operating systems that are named, each with its constraint. One without a version
/// has an empty constraint, which any version satisfies. Where all are empty, as in what
/// Talos' imager writes of the layer that it makes itself, nothing is constrained.
fn compatibility(metadata: &Node, place: &str) -> Result<Vec<Requirement>, Malformed> {
    let systems = match metadata.get("compatibility") {
        None => return Ok(Vec::new()),
        Some(node) if node.is_null() => return Ok(Vec::new()),
        Some(Node {
            kind: Kind::Mapping(systems),
            ..
        }) => systems,
        Some(_) => {
            let place = format!("{place}.compatibility");
            return Err(Malformed::NotMapping { place });
        }
    };
    let mut requirements = Vec::new();
    for (system, node) in systems {
        let place = format!("{place}.compatibility.{}", system.text);
        if !node.is_null() && !matches!(node.kind, Kind::Mapping(_)) {
            return Err(Malformed::NoVersion { place });
        }
        requirements.push(Requirement {
            operating_system: system.text.clone(),
            version: text(node, "version", &place)?.unwrap_or_default(),
        });
    }
    let is_empty = |one: &Requirement| one.version.trim().is_empty();
    if requirements.iter().all(is_empty) {
        requirements.clear();
    }
    Ok(requirements)
}

/// A scalar field as it is written; `None` where it is absent or null.
fn text(node: &Node, key: &str, place: &str) -> Result<Option<String>, Malformed> {
    match node.get(key) {
        None => Ok(None),
        Some(value) if value.is_null() => Ok(None),
        Some(value) => match value.as_text() {
            Some(text) => Ok(Some(text.to_owned())),
            None => Err(Malformed::NotText {
                place: place.to_owned(),
                key: key.to_owned(),
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_constraint_constrains_nothing() {
        let of = |compatibility: &str| {
            let list =
                format!("layers: [{{image: a, metadata: {{compatibility: {compatibility}}}}}]");
            let read = parse(list.as_bytes()).unwrap();
            let found = read[0].compatibility.iter();
            found
                .map(|one| format!("{} {}", one.operating_system, one.version))
                .collect::<Vec<_>>()
        };
        for nothing in [
            "null",
            "{}",
            "{talos: {}}",
            "{talos: null}",
            "{talos: {version: null}}",
            "{talos: {version: ''}}",
            "{talos: {version: ' '}, other: {}}",
        ] {
            assert_eq!(of(nothing), Vec::<String>::new(), "{nothing}");
        }
        // One that is named without a version is still one that is named.
        assert_eq!(
            of("{talos: {}, other: {version: '1'}}"),
            ["talos ", "other 1"]
        );
    }

    #[test]
    fn a_file_of_talos_is_read_in_its_own_spelling() {
        let extensions = parse(
            br#"
layers:
  - image: 000.ghcr.io-siderolabs-gvisor-20220117.0-v1.0.0.sqsh
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
      extraInfo: {level: 3, ratio: 1.50, on: true, none: ~}
  - image: 001.other.sqsh
    digest: sha256:00
"#,
        )
        .unwrap();
        assert_eq!(extensions.len(), 2);
        let first = &extensions[0];
        assert_eq!(
            first.image,
            "000.ghcr.io-siderolabs-gvisor-20220117.0-v1.0.0.sqsh"
        );
        assert_eq!(
            (first.name.as_str(), first.version.as_str()),
            ("gvisor", "1.10")
        );
        assert_eq!(first.description, "two\nlines\n");
        assert_eq!(
            first.compatibility,
            [Requirement {
                operating_system: "talos".into(),
                version: ">= v1.0.0".into()
            }]
        );
        let metadata: Value = serde_json::from_str(&first.metadata).unwrap();
        assert_eq!(
            metadata["extraInfo"],
            serde_json::json!({"level": 3, "ratio": "1.50", "on": true, "none": null})
        );
        assert_eq!(metadata["version"], "1.10");
        assert_eq!(extensions[1].digest.as_deref(), Some("sha256:00"));
        assert_eq!(extensions[1].metadata, "{}");
    }

    #[test]
    fn layers_are_written_so_that_they_read_back() {
        let read = parse(
            b"layers:\n  - image: 000.a.sqsh\n    digest: sha256:00\n    metadata: {name: a, version: 1.10, compatibility: {talos: {version: '>= v1.0.0'}}, extraInfo: {b: [1, {c: d}]}}\n  - image: 001.b.sqsh\n",
        )
        .unwrap();
        let entry = |extension| Entry {
            extension,
            unknown: "",
        };
        let skipped = (entry(&read[1]), vec!["it is: bad".to_owned()]);
        let text = render_outcome(&[entry(&read[0]), entry(&read[1])], &[skipped], "");
        assert_eq!(parse(text.as_bytes()).unwrap(), read, "{text}");
        assert!(text.contains("skipped:\n  - image: \"001.b.sqsh\"\n    metadata: {}\n    reasons:\n      - \"it is: bad\"\n"), "{text}");
        assert_eq!(render(&[]), "layers: []\n");
        let none = render_none("why: not");
        assert_eq!(none, "layers: []\nreason: \"why: not\"\n");
        assert_eq!(parse(none.as_bytes()).unwrap(), []);
    }

    #[test]
    fn unknown_keys_of_file_and_layers_are_written_again() {
        let text = "generation: 1.10\nlayers:\n  - image: a\n    signed: {by: [x, ~]}\n  - image: b\n    reasons: [old]\nreason: old\nskipped: [old]\n";
        let List {
            extensions,
            unknown,
        } = list(text.as_bytes()).unwrap();
        let entry = |index: usize| Entry {
            extension: &extensions[index],
            unknown: &unknown.layers[index],
        };
        let skipped = (entry(1), vec!["new".to_owned()]);
        assert_eq!(
            render_outcome(&[entry(0)], &[skipped], &unknown.file),
            "generation: \"1.10\"\nlayers:\n  - image: a\n    metadata: {}\n    signed:\n      by:\n        - x\n        - null\nskipped:\n  - image: b\n    metadata: {}\n    reasons:\n      - new\n"
        );
        let more = list(b"other: [1]\n").unwrap();
        let text = render_outcome(&[], &[], &more.unknown.file);
        assert_eq!(text, "layers: []\nother:\n  - 1\n");
    }

    #[test]
    fn nothing_is_no_extensions() {
        for text in [
            "",
            "---\n",
            "# only a comment\n",
            "{}",
            "layers:\n",
            "layers: []\n",
            "other: 1\n",
            "null",
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap(), [], "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let deep = format!("layers: {}", "[".repeat(100));
        for (text, expected) in [
            (&b"layers: \xff"[..], "not UTF-8: the byte at offset 8"),
            (b"layers: [", "is not YAML"),
            (b"layers: 3", "`layers` is not a list"),
            (b"- a", "not a mapping with the key `layers`"),
            (b"layers: [3]", "layers[0] is not a mapping"),
            (
                b"layers: [{image: a}, {metadata: {}}]",
                "layers[1] has no `image`",
            ),
            (b"layers: [{image: [a]}]", "layers[0].image is not a text"),
            (
                b"layers: [{image: a, metadata: {version: {}}}]",
                "layers[0].metadata.version",
            ),
            (
                b"layers: [{image: a, metadata: {compatibility: {talos: 1}}}]",
                "compatibility.talos is not a mapping with `version`",
            ),
            (
                b"layers: []\nlayers: []\n",
                "line 2 column 1: the key `layers` stands twice",
            ),
            (b"a: &a [1]\nb: *a\n", "aliases are not read"),
            (b"layers: []\n---\nlayers: []\n", "a second document"),
            (b"? [a]\n: b\n", "a key that is not a text"),
            (deep.as_bytes(), "nested too deeply"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(
                error.contains(expected),
                "{}: {error}",
                crate::escape::path(text)
            );
        }
    }
}
