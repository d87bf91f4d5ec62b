//! `extensions.yaml`: which layers there are, and what their metadata says.
//!
//! The shape is `layers: [{image, metadata: {name, version, author,
//! description, compatibility: {<os>: {version}}, ...}}]`; unknown keys are
//! ignored. The file is read from YAML events rather than into a generic
//! value, because a version that is written `1.10` must stay `1.10`.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use crate::bindings::types::{Extension, Requirement};

/// Nesting that is read; a manifest needs five levels.
const DEPTH: usize = 32;

/// A YAML node, scalars in the spelling of the file.
#[derive(Clone, Debug)]
enum Node {
    Scalar { text: String, plain: bool },
    Sequence(Vec<Node>),
    Mapping(Vec<(String, Node)>),
}

/// Reads the bytes of an `extensions.yaml`. An empty file, or one without
/// `layers`, is no extensions.
///
/// # Errors
/// A sentence with the line and column, or the element, of what is wrong.
pub fn parse(bytes: &[u8]) -> Result<Vec<Extension>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        format!(
            "is not UTF-8: the byte at offset {} is wrong",
            error.valid_up_to()
        )
    })?;
    let Some(root) = document(text)? else {
        return Ok(Vec::new());
    };
    let layers = match root {
        Node::Mapping(entries) => match entries.into_iter().find(|(key, _)| key == "layers") {
            None => return Ok(Vec::new()),
            Some((_, Node::Sequence(layers))) => layers,
            Some((_, node)) if node.is_null() => return Ok(Vec::new()),
            Some(_) => return Err("`layers` is not a list".into()),
        },
        node if node.is_null() => return Ok(Vec::new()),
        _ => return Err("the document is not a mapping with the key `layers`".into()),
    };
    layers
        .into_iter()
        .enumerate()
        .map(|(index, layer)| extension(index, layer))
        .collect()
}

fn extension(index: usize, layer: Node) -> Result<Extension, String> {
    let place = format!("layers[{index}]");
    let Node::Mapping(_) = layer else {
        return Err(format!("{place} is not a mapping"));
    };
    let image = layer.text("image", &place)?.unwrap_or_default();
    if image.is_empty() {
        return Err(format!(
            "{place} has no `image`, the file name of the layer"
        ));
    }
    let digest = layer.text("digest", &place)?;
    let empty = Node::Mapping(Vec::new());
    let metadata = match layer.get("metadata") {
        Some(node @ Node::Mapping(_)) => node,
        None => &empty,
        Some(node) if node.is_null() => &empty,
        Some(_) => return Err(format!("{place}.metadata is not a mapping")),
    };
    let place = format!("{place}.metadata");
    let field = |key| Ok::<_, String>(metadata.text(key, &place)?.unwrap_or_default());
    Ok(Extension {
        image,
        digest,
        name: field("name")?,
        version: field("version")?,
        author: field("author")?,
        description: field("description")?,
        compatibility: compatibility(metadata, &place)?,
        metadata: metadata.to_json().to_string(),
    })
}

fn compatibility(metadata: &Node, place: &str) -> Result<Vec<Requirement>, String> {
    let systems = match metadata.get("compatibility") {
        Some(Node::Mapping(systems)) => systems,
        None => return Ok(Vec::new()),
        Some(node) if node.is_null() => return Ok(Vec::new()),
        Some(_) => return Err(format!("{place}.compatibility is not a mapping")),
    };
    systems
        .iter()
        .map(|(system, node)| {
            let place = format!("{place}.compatibility.{system}");
            let version = match node {
                Node::Mapping(_) => node.text("version", &place)?,
                _ => None,
            };
            Ok(Requirement {
                operating_system: system.clone(),
                version: version
                    .ok_or_else(|| format!("{place} has no `version`, the constraint to be met"))?,
            })
        })
        .collect()
}

impl Node {
    fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Node::Mapping(entries) => entries
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// A scalar field as it is written; `None` where it is absent or null.
    fn text(&self, key: &str, place: &str) -> Result<Option<String>, String> {
        match self.get(key) {
            None => Ok(None),
            Some(node) if node.is_null() => Ok(None),
            Some(Node::Scalar { text, .. }) => Ok(Some(text.clone())),
            Some(_) => Err(format!("{place}.{key} is not a text")),
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Node::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    fn to_json(&self) -> Value {
        match self {
            node if node.is_null() => Value::Null,
            Node::Scalar { text, plain: true } => match text.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                // Only what JSON would spell alike: `1.10` and `0x10` are text.
                _ => match text.parse::<Number>() {
                    Ok(number) if number.to_string() == *text => Value::Number(number),
                    _ => Value::String(text.clone()),
                },
            },
            Node::Scalar { text, plain: false } => Value::String(text.clone()),
            Node::Sequence(nodes) => Value::Array(nodes.iter().map(Node::to_json).collect()),
            Node::Mapping(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.clone(), node.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

/// A collection that is being read; of a mapping also the keys seen so far and
/// the one that waits for its value.
enum Open {
    Sequence(Vec<Node>),
    Mapping(Vec<(String, Node)>, HashSet<String>, Option<String>),
}

/// Reads the one document of a stream, without recursion.
fn document(text: &str) -> Result<Option<Node>, String> {
    let mut stack: Vec<Open> = Vec::new();
    let mut root = None;
    let mut documents = 0;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| format!("is not YAML: {error}"))?;
        let at = |what: &str| {
            format!(
                "line {} column {}: {what}",
                span.start.line(),
                span.start.col() + 1
            )
        };
        let node = match event {
            Event::DocumentStart(_) => {
                documents += 1;
                if documents > 1 {
                    return Err(at("a second document; the file holds one"));
                }
                continue;
            }
            Event::Alias(_) => return Err(at("aliases are not read")),
            Event::Scalar(text, style, _, _) => Node::Scalar {
                text: text.into_owned(),
                plain: style == ScalarStyle::Plain,
            },
            Event::SequenceStart(..) | Event::MappingStart(..) if stack.len() == DEPTH => {
                return Err(at("nested too deeply"));
            }
            Event::SequenceStart(..) => {
                stack.push(Open::Sequence(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                stack.push(Open::Mapping(Vec::new(), HashSet::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match stack.pop() {
                Some(Open::Sequence(nodes)) => Node::Sequence(nodes),
                Some(Open::Mapping(entries, ..)) => Node::Mapping(entries),
                None => return Err(at("a collection ends that did not begin")),
            },
            _ => continue,
        };
        match stack.last_mut() {
            None => root = Some(node),
            Some(Open::Sequence(nodes)) => nodes.push(node),
            Some(Open::Mapping(_, seen, key @ None)) => match node {
                Node::Scalar { text, .. } if !seen.insert(text.clone()) => {
                    return Err(at(&format!("the key `{text}` stands twice")));
                }
                Node::Scalar { text, .. } => *key = Some(text),
                _ => return Err(at("a key that is not a text")),
            },
            Some(Open::Mapping(entries, _, key @ Some(_))) => {
                entries.push((key.take().unwrap_or_default(), node));
            }
        }
    }
    Ok(root)
}

#[cfg(test)]
mod tests {
    use super::*;

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
                "compatibility.talos has no `version`",
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
            let error = parse(text).unwrap_err();
            assert!(
                error.contains(expected),
                "{}: {error}",
                crate::escape::path(text)
            );
        }
    }
}
