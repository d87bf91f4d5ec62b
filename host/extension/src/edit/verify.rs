//! Comparing a configuration with what became of it.

use switch_root_core::error::Words;
use switch_root_core::outcome::Message;
use switch_root_core::yaml::{Kind, Node, Position};

use super::flow;
use super::list::{self, PATH};
use crate::configuration;

switch_root_core::outcomes! {
    /// What a change would do besides: it stands in parentheses.
    pub enum Differs in "configurations" {
        /// The sentence ends with what to write, and where, by hand.
        "SR-M40" Others = "the result would name other extensions or registries",
        "SR-M41" SomethingElse = "the result would change something else, too",
        "SR-M42" NoJson = "the result would be no JSON any more",
        "SR-M43" Lines = "the result would change other lines, too",
    }
}

/// A text, and the text that it is to be replaced by.
pub(super) struct Change<'a> {
    pub(super) before: &'a str,
    pub(super) after: &'a str,
    pub(super) file: &'a str,
}

/// Checks that the new text names exactly these images; that everything else in
/// it means what it meant, node by node; and that no line was touched that has
/// nothing to do with it. `removed` is the document and the index of an extension
/// that was removed.
///
/// Where it fails it says what is wrong.
pub(super) fn check(
    change: &Change,
    images: &[&str],
    removed: Option<(&Node, usize)>,
) -> Result<(), Message> {
    let parse =
        |text: &str| configuration::parse(text.as_bytes(), change.file).map_err(Words::message);
    let (before, after) = (parse(change.before)?, parse(change.after)?);
    if list::images(&after.extensions) != images || after.registries != before.registries {
        return Err(Differs::Others.into());
    }
    let compared = |text: &str| {
        let documents = configuration::documents(text, change.file).map_err(Words::message)?;
        let documents = documents.iter();
        let compared = documents.filter_map(|node| without(node, &PATH));
        Ok::<Vec<Node>, Message>(compared.collect())
    };
    if compared(change.before)? != compared(change.after)? {
        return Err(Differs::SomethingElse.into());
    }
    let crlf = |text: &str| {
        text.contains('\n') && text.matches("\r\n").count() == text.matches('\n').count()
    };
    if flow::is_json(change.before) && !flow::is_json(change.after) {
        return Err(Differs::NoJson.into());
    }
    let touched = match removed {
        None => only_added(change),
        Some((document, index)) => only_removed(change, document, index),
    };
    if !touched || crlf(change.before) && !crlf(change.after) {
        return Err(Differs::Lines.into());
    }
    Ok(())
}

/// A node without places, and without what the path leads to; nothing where
/// nothing is left of it. An empty mapping and null say the same on that path.
fn without(node: &Node, path: &[&str]) -> Option<Node> {
    let entries = match &node.kind {
        Kind::Mapping(entries) => entries,
        _ if node.is_null() => return None,
        _ => return Some(unplaced(node)),
    };
    let kept: Vec<_> = entries
        .iter()
        .filter_map(|(key, value)| {
            let mut key = key.clone();
            key.start = nowhere();
            let value = match path {
                [last] if key.text == *last => None,
                [first, rest @ ..] if key.text == *first => without(value, rest),
                _ => Some(unplaced(value)),
            };
            Some((key, value?))
        })
        .collect();
    (!kept.is_empty()).then(|| placed_nowhere(Kind::Mapping(kept)))
}

/// A node without places. Nesting is bounded by the reader.
fn unplaced(node: &Node) -> Node {
    placed_nowhere(match &node.kind {
        Kind::Sequence(nodes) => Kind::Sequence(nodes.iter().map(unplaced).collect()),
        Kind::Mapping(entries) => Kind::Mapping(
            entries
                .iter()
                .map(|(key, value)| {
                    let mut key = key.clone();
                    key.start = nowhere();
                    (key, unplaced(value))
                })
                .collect(),
        ),
        other => other.clone(),
    })
}

fn nowhere() -> Position {
    Node::empty_mapping().start
}

fn placed_nowhere(kind: Kind) -> Node {
    Node {
        kind,
        ..Node::empty_mapping()
    }
}

/// No line is lost, and at most one is written anew: that of a list in brackets,
/// or of a value that was empty. Its comment stays.
fn only_added(change: &Change) -> bool {
    let (before, after) = (lines(change.before), lines(change.after));
    let head = common(before.iter(), after.iter());
    let room = before.len().min(after.len()) - head;
    let tail = common(before.iter().rev(), after.iter().rev()).min(room);
    let after = &after[head..after.len() - tail];
    match &before[head..before.len() - tail] {
        [] => true,
        [line] => {
            comment(line).is_none_or(|kept| after.iter().any(|line| comment(line) == Some(kept)))
        }
        _ => false,
    }
}

fn common<T: PartialEq>(left: impl Iterator<Item = T>, right: impl Iterator<Item = T>) -> usize {
    left.zip(right)
        .take_while(|(left, right)| left == right)
        .count()
}

/// All lines but those of the extension stay; of a list that becomes empty, or
/// that is written in brackets, its lines may change and their comments stay.
fn only_removed(change: &Change, document: &Node, index: usize) -> bool {
    let mut list = document;
    let mut key_line = 0;
    for name in PATH {
        let Kind::Mapping(entries) = &list.kind else {
            return false;
        };
        let Some((key, value)) = entries.iter().find(|(key, _)| key.text == name) else {
            return false;
        };
        (list, key_line) = (value, key.start.line);
    }
    let Kind::Sequence(items) = &list.kind else {
        return false;
    };
    let item = &items[index];
    // In block style the dash stands before the item, maybe on a line before.
    let before_item = match index {
        0 => key_line,
        _ => last_line(&items[index - 1]),
    };
    let flow = change.before.chars().nth(list.start.offset) == Some('[');
    let own = match item.start.line {
        line if flow => line..=last_line(item),
        line => dash_line(change.before, before_item, line)..=last_line(item),
    };
    let touched = match items.len() {
        _ if flow => key_line..=list.end.line,
        1 => key_line..=*own.end(),
        _ => own.clone(),
    };
    let (before, after) = (lines(change.before), lines(change.after));
    let (head, tail) = (
        touched.start() - 1,
        before.len().saturating_sub(*touched.end()),
    );
    if head + tail > after.len()
        || before[..head] != after[..head]
        || before[before.len() - tail..] != after[after.len() - tail..]
    {
        return false;
    }
    let mut left = after[head..after.len() - tail]
        .iter()
        .filter_map(|line| comment(line));
    touched
        .filter(|line| !own.contains(line))
        .filter_map(|line| comment(before.get(line - 1)?))
        .all(|comment| left.any(|left| left == comment))
}

/// The lines, the last one like the others.
fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

/// The line of the dash of an item that begins at `line`, behind `above`.
fn dash_line(text: &str, above: usize, line: usize) -> usize {
    let between = text.lines().enumerate().take(line - 1).skip(above);
    between
        .filter(|(_, text)| text.trim_start().starts_with('-'))
        .map(|(index, _)| index + 1)
        .last()
        .unwrap_or(line)
}

fn comment(line: &str) -> Option<&str> {
    let start = match line.trim_start().starts_with('#') {
        true => line.find('#')?,
        false => line.find(" #")? + 1,
    };
    Some(&line[start..])
}

/// The last line that a node has something on.
fn last_line(node: &Node) -> usize {
    match &node.kind {
        Kind::Sequence(nodes) if !nodes.is_empty() => {
            nodes.iter().map(last_line).max().unwrap_or(node.start.line)
        }
        Kind::Mapping(entries) if !entries.is_empty() => entries
            .iter()
            .map(|(key, value)| last_line(value).max(key.start.line))
            .max()
            .unwrap_or(node.start.line),
        // A text of several lines ends where the next thing begins.
        _ if node.end.column == 1 && node.end.line > node.start.line => node.end.line - 1,
        _ => node.end.line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "a: 1 # x\nmachine:\n  install:\n    extensions:\n    - image: a # one\n    # two\n    - image: b\n    disk: c\n";

    fn changed(after: &str, images: &[&str], removed: Option<usize>) -> Result<(), Message> {
        let documents = configuration::documents(BEFORE, "x").unwrap();
        let change = Change {
            before: BEFORE,
            after,
            file: "x",
        };
        check(&change, images, removed.map(|index| (&documents[0], index)))
    }

    #[test]
    fn a_result_that_does_something_else_is_refused() {
        let added = BEFORE.replace("- image: b\n", "- image: b\n    - image: c\n");
        let all = ["a", "b", "c"];
        assert_eq!(changed(&added, &all, None), Ok(()));
        for (from, to) in [
            ("image: c", "image: d"),
            ("disk: c", "disk: d"),
            ("disk: c", "disk: \"c\""),
            ("a: 1", "a:  1"),
            ("    # two\n", ""),
            ("# x", "# y"),
            ("# x", ""),
            ("machine:", "b: 1\nmachine:"),
        ] {
            let wrong = added.replace(from, to);
            assert!(changed(&wrong, &all, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_removal_that_takes_more_is_refused() {
        let removed = BEFORE.replace("    - image: a # one\n", "");
        assert_eq!(changed(&removed, &["b"], Some(0)), Ok(()));
        for (from, to) in [
            ("    # two\n", ""),
            ("# x", ""),
            ("    - image: b\n", "    -   image: b\n"),
            ("disk: c", "disk: d"),
            ("disk: c", "disk:  c"),
        ] {
            let wrong = removed.replace(from, to);
            assert!(changed(&wrong, &["b"], Some(0)).is_err(), "{wrong}");
        }
    }
}
