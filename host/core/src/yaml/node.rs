//! The nodes of a document, each with its place.

use std::fmt;

use saphyr_parser::Marker;
use serde_json::{Map, Number, Value};

/// Where something stands in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// In characters from the beginning of the text.
    pub offset: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

impl From<Marker> for Position {
    fn from(marker: Marker) -> Self {
        Self {
            line: marker.line(),
            column: marker.col() + 1,
            offset: marker.index(),
        }
    }
}

/// A node with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Its first character.
    pub start: Position,
    /// Behind its last character; of a collection in block style, where the
    /// next thing begins.
    pub end: Position,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text, in the spelling of the file; `plain` is one without quotes.
    Scalar {
        /// The spelling, without quotes.
        text: String,
        /// Without quotes, so it may mean null, a number or a truth value.
        plain: bool,
    },
    /// A list.
    Sequence(Vec<Node>),
    /// Keys are texts, each of them there once. In the order of the file.
    Mapping(Vec<(Key, Node)>),
    /// A reference to another node, which is not followed.
    Alias,
}

/// A key of a mapping, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its spelling, without quotes.
    pub text: String,
    /// Its first character.
    pub start: Position,
}

impl Node {
    /// A mapping without keys, which stands nowhere.
    pub fn empty_mapping() -> Self {
        let nowhere = Position {
            line: 0,
            column: 0,
            offset: 0,
        };
        Self {
            kind: Kind::Mapping(Vec::new()),
            start: nowhere,
            end: nowhere,
        }
    }

    /// The value of a key; `None` where there is none, and for what is no
    /// mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Mapping(entries) => entries
                .iter()
                .find(|(name, _)| name.text == key)
                .map(|(_, node)| node),
            _ => None,
        }
    }

    /// Whether it is null: written as such, or nothing at all.
    pub fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The text of a scalar that is not null.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar { text, .. } if !self.is_null() => Some(text),
            _ => None,
        }
    }

    /// What it is, in a word with its article: for errors.
    pub fn describe(&self) -> &'static str {
        match self.kind {
            _ if self.is_null() => "null",
            Kind::Scalar { .. } => "a text",
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a mapping",
            Kind::Alias => "an alias, which is not read",
        }
    }

    /// The same as JSON. Scalars that JSON would spell otherwise are texts; an
    /// alias is null.
    pub fn to_json(&self) -> Value {
        match &self.kind {
            _ if self.is_null() => Value::Null,
            Kind::Alias => Value::Null,
            Kind::Scalar { text, plain: true } => match text.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                // Only what JSON would spell alike: `1.10` and `0x10` are text.
                _ => match text.parse::<Number>() {
                    Ok(number) if number.to_string() == *text => Value::Number(number),
                    _ => Value::String(text.clone()),
                },
            },
            Kind::Scalar { text, plain: false } => Value::String(text.clone()),
            Kind::Sequence(nodes) => Value::Array(nodes.iter().map(Node::to_json).collect()),
            Kind::Mapping(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.text.clone(), node.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}
