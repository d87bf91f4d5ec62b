//! Adding to what is written in flow style: `[a, b]` and `{a: b}`, which all of JSON is.
//! What is added looks like what is there: as JSON in JSON, on a line of its own where
//! the others have one.

use serde::de::IgnoredAny;
use switch_root_core::yaml::{Kind, Node};

use super::list::PATH;

/// The text with an extension behind the others; nothing where the place is not written
/// in flow style. `plain` is the reference as YAML has it.
pub(super) fn add(document: &Node, text: &str, image: &str, plain: &str) -> Option<String> {
    let mut node = document;
    let mut missing = PATH.as_slice();
    let text = Text::new(text);
    let is_flow = |node: &Node| {
        let opening = text.between(node.start.offset, node.start.offset + 1);
        matches!(opening, "{" | "[")
    };
    let mut within = false;
    while let [key, rest @ ..] = missing
        && let Some(below) = node.get(key).filter(|below| !below.is_null())
    {
        within |= is_flow(node);
        (node, missing) = (below, rest);
    }
    if !is_flow(node) {
        return None;
    }
    let json = is_json(text.0);
    let key = |name: &str| match json {
        true => format!("\"{name}\": "),
        false => format!("{name}: "),
    };
    let image = match json {
        true => serde_json::to_string(image).ok()?,
        false => plain.to_owned(),
    };
    let mut new = format!("{{{}{image}}}", key("image"));
    if let [rest @ .., _] = missing {
        new = format!("{}[{new}]", key(PATH[PATH.len() - 1]));
        for name in rest.iter().rev() {
            new = format!("{}{{{new}}}", key(name));
        }
    }
    // Where the last thing in it begins and ends; and where the one before ends.
    let things: Vec<(usize, usize)> = match &node.kind {
        Kind::Sequence(items) => items
            .iter()
            .map(|item| (item.start.offset, text.end(item)))
            .collect(),
        Kind::Mapping(entries) => entries
            .iter()
            .map(|(key, value)| (key.start.offset, text.end(value)))
            .collect(),
        Kind::Scalar { .. } | Kind::Alias => return None,
    };
    let Some(&(start, end)) = things.last() else {
        if !within && !json {
            // An empty one says nothing of its style.
            return None;
        }
        let after = node.start.offset + 1;
        return Some(format!(
            "{}{new}{}",
            text.before(after),
            text.behind(after).trim_start()
        ));
    };
    let previous = things.iter().rev().nth(1).map(|(_, end)| *end);
    let gap = text.between(previous.unwrap_or(node.start.offset + 1), start);
    let (before, behind) = (text.before(end), text.behind(end));
    let Some((_, indentation)) = gap.rsplit_once('\n') else {
        let space = match previous {
            Some(_) => gap.trim_start_matches(','),
            None => " ",
        };
        return Some(format!("{before},{space}{new}{behind}"));
    };
    // A comment behind the last one is about that one.
    let line = behind.split_inclusive('\n').next().unwrap_or_default();
    let (comma, rest) = match line.strip_prefix(',') {
        Some(rest) => (",", rest),
        None => ("", line),
    };
    let (rest, line_end) = match rest.strip_suffix("\r\n") {
        Some(rest) => (rest, "\r\n"),
        None => (rest.strip_suffix('\n').unwrap_or(rest), "\n"),
    };
    Some(match rest.trim_start() {
        comment if comment.is_empty() || comment.starts_with('#') => format!(
            "{before},{rest}{line_end}{indentation}{new}{comma}{}",
            &behind[comma.len() + rest.len()..]
        ),
        _ => format!("{before},{line_end}{indentation}{new}{behind}"),
    })
}

/// Whether a text is JSON, and not only YAML.
pub(super) fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// A text whose positions are counted in characters.
struct Text<'a>(&'a str, Vec<usize>);

impl<'a> Text<'a> {
    fn new(text: &'a str) -> Self {
        let ends = std::iter::once(text.len());
        let bytes = text.char_indices().map(|(at, _)| at).chain(ends).collect();
        Self(text, bytes)
    }

    fn byte(&self, character: usize) -> usize {
        self.1.get(character).copied().unwrap_or(self.0.len())
    }

    fn before(&self, character: usize) -> &'a str {
        &self.0[..self.byte(character)]
    }

    fn behind(&self, character: usize) -> &'a str {
        &self.0[self.byte(character)..]
    }

    /// Where a node ends. That of a collection in flow style is told with the comments
    /// behind it.
    fn end(&self, node: &Node) -> usize {
        let (from, to) = (node.start.offset, node.end.offset);
        let mut depth = 0_usize;
        let mut quote = None;
        let mut previous = ' ';
        let mut characters = self.between(from, to).chars().zip(from..);
        while let Some((character, at)) = characters.next() {
            match (quote, character) {
                (Some('"'), '\\') => drop(characters.next()),
                (Some(open), close) if open == close => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') if !previous.is_alphanumeric() => quote = Some(character),
                (None, '#') if previous.is_whitespace() => {
                    characters.find(|(character, _)| *character == '\n');
                }
                (None, '{' | '[') => depth += 1,
                (None, '}' | ']') if depth == 1 => return at + 1,
                (None, '}' | ']') => depth = depth.saturating_sub(1),
                _ => {}
            }
            previous = character;
        }
        to
    }

    fn between(&self, from: usize, to: usize) -> &'a str {
        &self.0[self.byte(from)..self.byte(to.max(from))]
    }
}
