//! The files of cases: what stands in them, and reading that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use serde_path_to_error::Segment;
use switch_root_core::contract::HostFacts;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::file::{self, Links};
use switch_root_core::limits::Limits;
use switch_root_core::os_release;
use switch_root_core::outcome::Message;
use switch_root_core::yaml::{self, Kind as NodeKind, Node, Position};

use super::form::Form;
use crate::answers::Answers;

switch_root_core::outcomes! {
    /// Why a file is not a case: what follows its name in a sentence.
    pub enum NoCase in "policies" {
        /// Check the path: a case is a file that ends in `.yaml`, `.yml` or `.toml`.
        "SR-T03" Missing = "is not there",
        "SR-T04" NotText { offset: usize } = "is not UTF-8: the byte at offset {offset} is wrong",
        /// Mend it at the place that is named. The book's page on testing policies has all keys.
        "SR-T05" Malformed { error: String } = "cannot be understood: {error}",
        "SR-T06" Empty = "is empty; it holds a mapping with at least `expect`",
        "SR-T07" NoMapping { found: String } = "holds {found}, and not a mapping with keys such as `tree` and `expect`",
        /// What is asked and what is expected have to fit each other.
        "SR-T08" TwoTrees = "has both `tree` and `initramfs`; one of them is the initramfs",
        "SR-T09" NothingToDecide = "expects decisions, and has neither `tree` nor `initramfs` to decide on",
        "SR-T10" NoExtensions = "expects verdicts, and has no `extensions`",
        "SR-T11" SameImage = "has two extensions with the same `image`; verdicts go by that name",
    }
}

/// Refuses a case.
pub fn refused(path: &Path, reason: impl Into<Message>) -> Error {
    let reason = reason.into().said_of(path.shown());
    Error::input(reason.said_of("the case"))
}

/// The largest file of a case, in bytes.
const LIMIT: u64 = 1 << 20;

/// One case: what a policy is asked, and what it has to answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// What it shows, for people.
    pub description: Option<String>,
    /// The initramfs, by absolute paths.
    pub tree: Option<BTreeMap<String, Item>>,
    /// The same as an image, relative to the case's file.
    pub initramfs: Option<PathBuf>,
    /// The machine that extensions are for.
    #[serde(default)]
    pub host: Host,
    /// The extensions, as `layers` of `extensions.yaml` has them.
    pub extensions: Option<Vec<Layer>>,
    /// As in the sidecar.
    pub settings: Option<Value>,
    /// As in the sidecar, in whose place they are.
    #[serde(default)]
    pub limits: Overrides,
    /// What is expected.
    pub expect: Option<Answers>,
}

/// Limits that a case sets; the others are as they are otherwise.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Map<String, Value>);

impl Overrides {
    /// These limits, with those of the case in their place.
    pub fn over(&self, limits: Limits) -> Limits {
        let Ok(Value::Object(mut merged)) = serde_json::to_value(limits) else {
            return limits;
        };
        merged.extend(self.0.clone());
        // They were read as limits before.
        serde_json::from_value(Value::Object(merged)).unwrap_or(limits)
    }
}

impl<'de> Deserialize<'de> for Overrides {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let written = Map::deserialize(deserializer)?;
        serde_json::from_value::<Limits>(Value::Object(written.clone()))
            .map_err(de::Error::custom)?;
        Ok(Self(written))
    }
}

/// What is at a path of the tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// What it is, where that is not told otherwise.
    pub kind: Option<ItemKind>,
    /// Of a symbolic link.
    pub target: Option<String>,
    /// Of a regular file.
    pub contents: Option<String>,
    /// In bytes, where the contents are not told.
    pub size: Option<u64>,
    /// Permission bits.
    pub mode: Option<u32>,
    /// Something else is mounted there.
    pub mount_point: bool,
}

/// Kinds as plan and report call them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemKind {
    File,
    Directory,
    Symlink,
    BlockDevice,
    CharacterDevice,
    Fifo,
    Socket,
}

/// The machine, where a case tells of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Host {
    /// Fields, or the text of the file.
    os_release: OsRelease,
    kernel_release: String,
    architecture: String,
    kernel_command_line: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "os-release is a mapping of fields to texts, or the text of such a file"
)]
enum OsRelease {
    Text(String),
    Fields(BTreeMap<String, String>),
}

impl Default for OsRelease {
    fn default() -> Self {
        Self::Fields(BTreeMap::new())
    }
}

impl Host {
    /// What policies are told.
    pub fn facts(&self) -> HostFacts {
        HostFacts {
            os_release: match &self.os_release {
                OsRelease::Text(text) => os_release::parse(text),
                OsRelease::Fields(fields) => fields.clone().into_iter().collect(),
            },
            kernel_release: self.kernel_release.clone(),
            architecture: self.architecture.clone(),
            kernel_command_line: self.kernel_command_line.clone(),
        }
    }
}

/// One extension.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The file name of the layer.
    pub image: String,
    /// Its digest.
    pub digest: Option<String>,
    /// All of its metadata.
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Any;

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        struct Detail {
            kind: Option<ItemKind>,
            symlink: Option<String>,
            contents: Option<String>,
            size: Option<Number>,
            mode: Option<String>,
            #[serde(default)]
            mount_point: Truth,
        }

        impl<'de> Visitor<'de> for Any {
            type Value = Item;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the contents of a file, or a mapping that says what is there")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<Item, E> {
                Ok(Item {
                    contents: Some(text.to_owned()),
                    ..Item::default()
                })
            }

            fn visit_map<M: MapAccess<'de>>(self, map: M) -> std::result::Result<Item, M::Error> {
                let detail = Detail::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let mode = detail.mode.map(|text| {
                    mode(&text).ok_or_else(|| {
                        let reason = "is not one of at most four octal digits";
                        de::Error::custom(format_args!("the mode `{text}` {reason}"))
                    })
                });
                Ok(Item {
                    kind: detail.kind,
                    target: detail.symlink,
                    contents: detail.contents,
                    size: detail.size.map(|size| size.0),
                    mode: mode.transpose()?,
                    mount_point: detail.mount_point.0,
                })
            }
        }

        deserializer.deserialize_any(Any)
    }
}

fn mode(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777 && text.bytes().all(|digit| digit.is_ascii_digit()))
}

/// A number, or its spelling: YAML's scalars come as they are spelled.
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
        .map(Self)
        .ok_or_else(|| de::Error::custom("the size is not a number of bytes"))
    }
}

/// `true` or `false`, or its spelling.
#[derive(Default)]
struct Truth(bool);

impl<'de> Deserialize<'de> for Truth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(truth) => Ok(Self(truth)),
            Value::String(text) if text == "true" => Ok(Self(true)),
            Value::String(text) if text == "false" => Ok(Self(false)),
            _ => Err(de::Error::custom("`mount-point` is `true` or `false`")),
        }
    }
}

/// Reads the text of a file.
///
/// # Errors
/// The file, and why it cannot be read.
pub fn read_text(path: &Path) -> Result<String> {
    let (bytes, _) = file::read(path, LIMIT, Links::Follow)
        .map_err(|reason| refused(path, reason))?
        .ok_or_else(|| refused(path, NoCase::Missing))?;
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        refused(path, NoCase::NotText { offset })
    })
}

/// Understands the text of a case; `path` is its file.
///
/// # Errors
/// The file, where in it, and what is wrong.
pub fn parse(text: &str, path: &Path) -> Result<Case> {
    let case: Case = match Form::of(path) {
        Form::Toml => toml::from_str(text).map_err(|error| {
            let error = error.to_string().trim_end().to_owned();
            refused(path, NoCase::Malformed { error })
        })?,
        Form::Yaml => from_yaml(text).map_err(|reason| refused(path, reason))?,
    };
    if case.tree.is_some() && case.initramfs.is_some() {
        return Err(refused(path, NoCase::TwoTrees));
    }
    Ok(case)
}

fn from_yaml(text: &str) -> std::result::Result<Case, Message> {
    let root = yaml::document(text)?;
    let Some(root) = root else {
        return Err(NoCase::Empty.into());
    };
    let NodeKind::Mapping(entries) = &root.kind else {
        let found = root.describe().to_string();
        return Err(NoCase::NoMapping { found }.into());
    };
    let value = entries
        .iter()
        .map(|(key, node)| {
            // There a number is a number; elsewhere scalars are texts as they are
            // spelled, so that a version 1.10 stays one.
            let typed = matches!(key.text.as_str(), "settings" | "limits" | "extensions");
            let value = if typed { node.to_json() } else { texts(node) };
            (key.text.clone(), value)
        })
        .collect();
    serde_path_to_error::deserialize(Value::Object(value)).map_err(|error| {
        let position = position(&root, error.path().iter());
        let error = format!("{position}: {}", error.inner());
        NoCase::Malformed { error }.into()
    })
}

/// A node as JSON in which every scalar is a text.
fn texts(node: &Node) -> Value {
    match &node.kind {
        _ if node.is_null() => Value::Null,
        NodeKind::Scalar { text, .. } => Value::String(text.clone()),
        NodeKind::Sequence(nodes) => nodes.iter().map(texts).collect(),
        NodeKind::Mapping(entries) => entries
            .iter()
            .map(|(key, node)| (key.text.clone(), texts(node)))
            .collect(),
        NodeKind::Alias => Value::Null,
    }
}

/// Where in the file something stands, as near as can be told.
fn position<'a>(root: &Node, path: impl Iterator<Item = &'a Segment>) -> Position {
    let mut node = root;
    let mut position = root.start;
    for segment in path {
        let next = match (segment, &node.kind) {
            (Segment::Map { key }, NodeKind::Mapping(entries)) => entries
                .iter()
                .find(|(name, _)| name.text == *key)
                .map(|(name, node)| (name.start, node)),
            (Segment::Seq { index }, NodeKind::Sequence(nodes)) => {
                nodes.get(*index).map(|node| (node.start, node))
            }
            _ => None,
        };
        let Some((start, below)) = next else { break };
        position = start;
        node = below;
    }
    position
}
