//! YAML as it is written: documents are read from events rather than into a
//! generic value, so that a version `1.10` stays `1.10`, every node knows where
//! it stands, and an alias is expanded only where that is asked for, and within limits
//! (YAML bombs are made of them).

mod anchors;

use std::collections::HashSet;
use std::fmt;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

use anchors::Anchors;

/// Nesting that is read; a manifest needs five levels.
const DEPTH: usize = 64;

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

/// Whether references to other nodes may stand in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aliases {
    /// They are errors.
    Refuse,
    /// They are nodes of their own kind.
    Leave,
    /// They are what they refer to, unless that is very much.
    Expand,
}

/// A collection that is being read, where it began and its anchor; of a mapping also the
/// keys seen so far and the one that waits for its value.
enum Open {
    Sequence(Position, usize, Vec<Node>),
    Mapping(
        Position,
        usize,
        Vec<(Key, Node)>,
        HashSet<String>,
        Option<Key>,
    ),
}

/// Reads the documents of a stream, without recursion. An empty text has none.
///
/// # Errors
/// A sentence without the file's name, with line and column.
pub fn documents(text: &str, aliases: Aliases) -> Result<Vec<Node>, String> {
    let mut stack: Vec<Open> = Vec::new();
    let mut documents = Vec::new();
    let mut anchors = Anchors::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            format!(
                "is not YAML: {}: {}",
                Position::from(*error.marker()),
                error.info()
            )
        })?;
        let (start, end) = (Position::from(span.start), Position::from(span.end));
        let at = |what: &str| format!("{start}: {what}");
        let node = |kind| Node { kind, start, end };
        let (anchor, node) = match event {
            Event::Alias(anchor) => match aliases {
                Aliases::Refuse => {
                    return Err(at("aliases are not read; write the value itself"));
                }
                Aliases::Leave => (0, node(Kind::Alias)),
                Aliases::Expand => {
                    let room = DEPTH.saturating_sub(stack.len());
                    let expanded = anchors.expand(anchor, room).map_err(at)?;
                    (0, node(expanded))
                }
            },
            Event::Scalar(text, style, anchor, _) => (
                anchor,
                node(Kind::Scalar {
                    text: text.into_owned(),
                    plain: style == ScalarStyle::Plain,
                }),
            ),
            Event::SequenceStart(..) | Event::MappingStart(..) if stack.len() == DEPTH => {
                return Err(at("nested too deeply"));
            }
            Event::SequenceStart(anchor, _) => {
                stack.push(Open::Sequence(start, anchor, Vec::new()));
                continue;
            }
            Event::MappingStart(anchor, _) => {
                let seen = HashSet::new();
                stack.push(Open::Mapping(start, anchor, Vec::new(), seen, None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let (start, anchor, kind) = match stack.pop() {
                    Some(Open::Sequence(start, anchor, nodes)) => {
                        (start, anchor, Kind::Sequence(nodes))
                    }
                    Some(Open::Mapping(start, anchor, entries, ..)) => {
                        (start, anchor, Kind::Mapping(entries))
                    }
                    None => return Err(at("a collection ends that did not begin")),
                };
                (anchor, Node { kind, start, end })
            }
            _ => continue,
        };
        if aliases == Aliases::Expand {
            anchors.keep(anchor, &node).map_err(at)?;
        }
        match stack.last_mut() {
            None => documents.push(node),
            Some(Open::Sequence(_, _, nodes)) => nodes.push(node),
            Some(Open::Mapping(_, _, _, seen, key @ None)) => match node.kind {
                Kind::Scalar { text, .. } if !seen.insert(text.clone()) => {
                    return Err(at(&format!("the key `{text}` stands twice")));
                }
                Kind::Scalar { text, .. } => *key = Some(Key { text, start }),
                _ => return Err(at("a key that is not a text")),
            },
            Some(Open::Mapping(_, _, entries, _, key @ Some(_))) => {
                entries.extend(key.take().map(|key| (key, node)));
            }
        }
    }
    Ok(documents)
}

/// Reads a text of at most one document, without aliases. `None` where there is
/// nothing.
///
/// # Errors
/// See [`documents`].
pub fn document(text: &str) -> Result<Option<Node>, String> {
    let mut documents = documents(text, Aliases::Refuse)?.into_iter();
    let first = documents.next();
    match documents.next() {
        Some(second) => Err(format!(
            "{}: a second document; the file holds one",
            second.start
        )),
        None => Ok(first),
    }
}

/// How deep values are written in block style. Below that a line would be mostly
/// indentation, and what is small as JSON would become large.
const BLOCK: usize = 8;

/// A longer key, in characters as it is written, is none unless a `?` says so (YAML 1.2,
/// 7.4.2 and 8.2.2).
const LONGEST_KEY: usize = 1024;

/// Writes a value as YAML, which [`documents`] reads back as the same value: in
/// block style, and from some depth on as JSON, which is YAML too. Nesting is
/// bounded by what JSON parsers accept.
pub fn emit(value: &Value) -> String {
    let mut text = String::new();
    emit_at(value, 0, &mut text);
    text
}

fn emit_at(value: &Value, indent: usize, text: &mut String) {
    match value {
        Value::Array(items) if !items.is_empty() && indent <= 2 * BLOCK => {
            for item in items {
                text.push_str(&" ".repeat(indent));
                text.push('-');
                emit_after("- ", item, indent + 2, text);
            }
        }
        Value::Object(entries) if !entries.is_empty() && indent <= 2 * BLOCK => {
            for (key, item) in entries {
                let margin = " ".repeat(indent);
                let key = emit_text(key);
                text.push_str(&margin);
                if key.chars().count() > LONGEST_KEY {
                    text.push_str("? ");
                    text.push_str(&key);
                    text.push('\n');
                    text.push_str(&margin);
                } else {
                    text.push_str(&key);
                }
                text.push(':');
                emit_after(": ", item, indent + 2, text);
            }
        }
        scalar => {
            text.push_str(&emit_scalar(scalar));
            text.push('\n');
        }
    }
}

/// Writes a value behind a dash or a key: a scalar on the same line, and so the
/// first entry of a mapping behind a dash.
fn emit_after(mark: &str, item: &Value, indent: usize, text: &mut String) {
    let one_line = match item {
        _ if indent > 2 * BLOCK => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => entries.is_empty(),
        _ => true,
    };
    if one_line {
        text.push(' ');
        text.push_str(&emit_scalar(item));
        text.push('\n');
    } else if mark == "- " {
        let start = text.len();
        emit_at(item, indent, text);
        // The dash is the indentation of the first line, less one.
        text.replace_range(start..start + indent - 1, "");
    } else {
        text.push('\n');
        emit_at(item, indent, text);
    }
}

fn emit_scalar(value: &Value) -> String {
    match value {
        Value::String(string) => emit_text(string),
        // What JSON has is YAML.
        other => printable(&other.to_string()),
    }
}

/// A text without quotes where nobody could take it for anything else.
fn emit_text(string: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '+');
    let plain = string.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && string
            .split(' ')
            .all(|part| !part.is_empty() && part.chars().all(word))
        && !matches!(
            string.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if plain {
        return string.to_owned();
    }
    printable(&Value::from(string).to_string())
}

/// JSON with escapes for the characters that YAML does not take as they are, all
/// of which can only stand in strings.
fn printable(json: &str) -> String {
    let mut quoted = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{feff}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        let value = serde_json::json!({
            "layers": [
                {"image": "000.a-b.sqsh", "digest": "sha256:00", "metadata": {
                    "name": "a", "version": "1.10", "list": [[1, 2], [], [{"deep": {"er": []}}]],
                    "text": "two\nlines: # \u{7f}\u{2028}\t\"'", "off": "off", "null": null,
                    "1": true, "number": -1.5, "": {}, "space ": " x", "dash": "- a", "tilde": "~",
                    "größe": "größe 🦀", "like a number": "12e3", "colon:": "a: b",
                }},
                "text",
            ],
            "empty": [],
        });
        let text = emit(&value);
        let read = document(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(read.unwrap().to_json(), value, "{text}");
    }

    #[test]
    fn a_long_key_reads_back_as_the_same() {
        for length in [1022, 1023, 1024, 1025, 5000] {
            // Two in quotes, and each as long as six when it is escaped.
            for key in [
                "k".repeat(length),
                "# ".repeat(length / 2),
                "\u{10}".repeat(length / 6),
            ] {
                let inner = serde_json::json!({&key: [{&key: {&key: "v"}}, 1], "k": {&key: []}});
                let value = serde_json::json!([inner, {"a": {&key: inner}}]);
                let text = emit(&value);
                let read = document(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
                assert_eq!(read.unwrap().to_json(), value, "{text}");
            }
        }
    }

    #[test]
    fn deep_values_stay_small() {
        let mut value = serde_json::json!([0, "\u{7f}", {"a": []}]);
        for _ in 0..40 {
            value = serde_json::json!([value, {"k": 1}]);
        }
        let text = emit(&value);
        assert!(text.len() < 4 * value.to_string().len(), "{}", text.len());
        assert_eq!(document(&text).unwrap().unwrap().to_json(), value);
    }

    #[test]
    fn every_node_knows_where_it_stands() {
        let node = document("# first\na: 1\nb:\n  - äö: [x, y]\n")
            .unwrap()
            .unwrap();
        let place = |node: &Node| (node.start.line, node.start.column);
        assert_eq!(place(&node), (2, 1));
        let list = node.get("b").unwrap();
        assert_eq!(place(list), (4, 3));
        let Kind::Sequence(items) = &list.kind else {
            panic!("{list:?}");
        };
        let Kind::Sequence(flow) = &items[0].get("äö").unwrap().kind else {
            panic!("{items:?}");
        };
        assert_eq!(place(&flow[1]), (4, 13));
        assert_eq!(flow[1].as_text(), Some("y"));
    }

    #[test]
    fn documents_are_told_apart_and_aliases_are_left_where_they_may_stand() {
        let text = "a: &x [1]\nb: *x\n---\nc: 2\n";
        let read = documents(text, Aliases::Leave).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].get("b").unwrap().kind, Kind::Alias);
        assert_eq!(read[1].get("c").unwrap().as_text(), Some("2"));
        let error = documents(text, Aliases::Refuse).unwrap_err();
        assert!(error.starts_with("line 2 column 4: aliases"), "{error}");
        assert!(documents("", Aliases::Leave).unwrap().is_empty());
        let read = documents(text, Aliases::Expand).unwrap();
        assert_eq!(read[0].to_json(), serde_json::json!({"a": [1], "b": [1]}));
    }

    #[test]
    fn what_is_no_yaml_is_named_with_its_place() {
        let error = document("a: [\n").unwrap_err();
        assert!(error.starts_with("is not YAML: line "), "{error}");
        let deep = "[".repeat(100);
        assert!(document(&deep).unwrap_err().contains("nested too deeply"));
    }

    #[test]
    fn anchors_in_each_other_are_kept_within_limits() {
        let text = format!(
            "{}{}{}",
            "&a [".repeat(50),
            "x".repeat(40_000),
            "]".repeat(50)
        );
        let error = documents(&text, Aliases::Expand).unwrap_err();
        assert!(
            error.contains("what has anchors is more than 1 MiB"),
            "{error}"
        );
        assert!(documents(&text, Aliases::Leave).is_ok());
    }

    #[test]
    fn aliases_are_expanded_within_limits() {
        let json = |text: &str| {
            let read = documents(text, Aliases::Expand)?;
            Ok::<_, String>(read.iter().map(Node::to_json).collect::<Vec<_>>())
        };
        assert_eq!(
            json("a: &x {v: 1.10, l: [&y z, *y]}\nb: *x\nc: [*x, *y]").unwrap(),
            [serde_json::json!({
                "a": {"v": "1.10", "l": ["z", "z"]},
                "b": {"v": "1.10", "l": ["z", "z"]},
                "c": [{"v": "1.10", "l": ["z", "z"]}, "z"],
            })]
        );
        assert_eq!(json("*x : 1\n").ok(), None);
        let within = json("a: &x [*x]").unwrap_err();
        assert!(within.starts_with("line 1 column 8: "), "{within}");
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x]\n");
        let mut deep = String::from("a0: &a0 [x]\n");
        for level in 1..70 {
            let before = level - 1;
            let many = format!("*a{before}, ").repeat(8);
            bomb.push_str(&format!("a{level}: &a{level} [{many}]\n"));
            deep.push_str(&format!("a{level}: &a{level} [*a{before}]\n"));
        }
        assert!(json(&bomb).unwrap_err().contains("more than 1 MiB"));
        assert!(json(&deep).unwrap_err().contains("nested too deeply"));
    }
}
