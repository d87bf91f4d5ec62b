//! Values of a configuration with the path of keys that leads to them, and a
//! reader that collects what is wrong with them.

use std::fmt::Display;
use switch_root_core::error::{Error, Result, Words};
use switch_root_core::escape;
use switch_root_core::outcome::Message;
use switch_root_core::yaml::{Kind, Node, Position};

use crate::known_keys;

switch_root_core::outcomes! {
    /// What is wrong with a value: what follows its place in a sentence.
    pub enum Malformed in "configurations" {
        /// The configuration is to be valid for others, too: Talos reads no merged mappings.
        "SR-M20" Merge = "merges another mapping with `<<`, which is not read; write the keys themselves",
        /// Correct the value at the place that is named.
        "SR-M21" Other { found: &'static str, expected: String } = "is {found}; it must be {expected}",
        "SR-M22" More { count: usize } = "and {count} more",
    }
}

/// How much of what stands in the file is repeated in an error, in bytes.
const QUOTED: usize = 600;

/// How many errors are told. One mistake can be made in many places.
const TOLD: usize = 50;

/// A node, and how it is called.
pub(super) struct Value<'a> {
    /// What it is.
    pub(super) node: &'a Node,
    /// The keys that lead to it: `machine.install.extensions[1]`.
    pub(super) path: String,
}

impl<'a> Value<'a> {
    /// A document.
    pub(super) fn root(node: &'a Node) -> Self {
        Self {
            node,
            path: String::new(),
        }
    }

    /// The same, whose keys are told with a name in front.
    pub(super) fn called(self, name: &str) -> Self {
        Self {
            node: self.node,
            path: escape::message(name, 200),
        }
    }

    /// The value of a key; nothing where there is none, or this is no mapping.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let node = self.node.get(key)?;
        Some(Self {
            node,
            path: self.below(key),
        })
    }

    /// The values of all keys, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Self)> {
        let entries = match &self.node.kind {
            Kind::Mapping(entries) => entries.as_slice(),
            _ => &[],
        };
        entries.iter().map(|(key, node)| {
            let path = self.below(&key.text);
            (key.text.as_str(), Self { node, path })
        })
    }

    fn below(&self, key: &str) -> String {
        let dot = if self.path.is_empty() { "" } else { "." };
        format!("{}{dot}{}", self.path, escape::message(key, 200))
    }
}

/// Takes values for what they must be, and notes those that are something else.
pub(super) struct Reader<'a> {
    file: &'a str,
    errors: Vec<Message>,
    more: usize,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    /// A reader of the file of this name.
    pub(super) fn new(file: &'a str) -> Self {
        Self {
            file,
            errors: Vec::new(),
            more: 0,
            warnings: Vec::new(),
        }
    }

    /// What was wrong, if anything was; else what is worth a word.
    pub(super) fn finish(mut self) -> Result<Vec<String>> {
        if self.more > 0 {
            let count = self.more;
            self.errors.push(Malformed::More { count }.into());
        }
        let texts: Vec<String> = self.errors.iter().map(Message::to_string).collect();
        match self.errors.into_iter().next() {
            // The code is that of the first one.
            Some(first) => Err(Error::input(first.reworded(|_| texts.join("\n")))),
            None => Ok(self.warnings),
        }
    }

    /// Notes what is wrong with a value: the rest of a sentence that begins with
    /// its path.
    pub(super) fn refuse(&mut self, value: &Value, what: impl Words) {
        self.refuse_at(value.node.start, &value.path, what);
    }

    /// Notes what is worth a word about a value: the rest of a sentence that begins with
    /// its path.
    pub(super) fn warn(&mut self, value: &Value, what: impl Display) {
        if self.warnings.len() < TOLD {
            let sentence = format!("{} {what}", value.path);
            self.warnings.push(self.at(value.node.start, &sentence));
        }
    }

    /// Notes keys of a mapping that nobody reads.
    pub(super) fn known(&mut self, value: &Value, known: &[&str]) {
        for (position, sentence) in known_keys::unknown(value.node, &value.path, known) {
            if self.warnings.len() < TOLD {
                self.warnings.push(self.at(position, &sentence.to_string()));
            }
        }
    }

    fn refuse_at(&mut self, position: Position, path: &str, what: impl Words) {
        if self.errors.len() == TOLD {
            self.more += 1;
            return;
        }
        let what = what.message();
        let sentence = |what: &str| self.at(position, &format!("{path} {what}"));
        self.errors.push(what.reworded(sentence));
    }

    fn at(&self, position: Position, sentence: &str) -> String {
        format!(
            "{}: {position}: {}",
            escape::path(self.file.as_bytes()),
            escape::message(sentence, QUOTED)
        )
    }

    /// The value of a key of a mapping, where both are there and not null.
    pub(super) fn child<'n>(&mut self, parent: Option<&Value<'n>>, key: &str) -> Option<Value<'n>> {
        let parent = self.mapping(parent?, &format!("with the key `{key}`"))?;
        parent.get(key).filter(|value| !value.node.is_null())
    }

    /// A mapping, which `purpose` says more about. Null is none, without an
    /// error.
    pub(super) fn mapping<'n>(&mut self, value: &Value<'n>, purpose: &str) -> Option<Value<'n>> {
        match &value.node.kind {
            Kind::Mapping(entries) => {
                // A merged mapping could hold the very keys that are looked for.
                let merge = entries.iter().find(|(key, _)| key.text == "<<");
                if let Some((key, _)) = merge {
                    self.refuse_at(key.start, &value.path, Malformed::Merge);
                    return None;
                }
                Some(Value {
                    node: value.node,
                    path: value.path.clone(),
                })
            }
            _ if value.node.is_null() => None,
            _ => {
                self.expected(value, &format!("a mapping {purpose}"));
                None
            }
        }
    }

    /// The elements of a list, which `purpose` says more about. Null has none.
    pub(super) fn list<'n>(&mut self, value: &Value<'n>, purpose: &str) -> Vec<Value<'n>> {
        match &value.node.kind {
            Kind::Sequence(nodes) => nodes
                .iter()
                .enumerate()
                .map(|(index, node)| Value {
                    node,
                    path: format!("{}[{index}]", value.path),
                })
                .collect(),
            _ if value.node.is_null() => Vec::new(),
            // A mapping without keys holds no elements either.
            Kind::Mapping(entries) if entries.is_empty() => Vec::new(),
            _ => {
                self.expected(value, &format!("a list {purpose}"));
                Vec::new()
            }
        }
    }

    /// A text, which is `meant` to be something.
    pub(super) fn text<'n>(&mut self, value: &Value<'n>, meant: &str) -> Option<&'n str> {
        let text = value.node.as_text();
        if text.is_none() {
            self.expected(value, &format!("a text, {meant}"));
        }
        text
    }

    /// `true` or `false`; null is `false`.
    pub(super) fn flag(&mut self, value: &Value) -> bool {
        match value.node.as_text() {
            Some("true" | "True" | "TRUE" | "yes" | "on") => true,
            Some("false" | "False" | "FALSE" | "no" | "off") => false,
            None if value.node.is_null() => false,
            _ => {
                self.expected(value, "`true` or `false`");
                false
            }
        }
    }

    fn expected(&mut self, value: &Value, expected: &str) {
        let other = Malformed::Other {
            found: value.node.describe(),
            expected: expected.to_owned(),
        };
        self.refuse(value, other);
    }
}
