//! Reading documents.

use std::collections::HashSet;

use saphyr_parser::{Event, Parser, ScalarStyle};

use super::anchors::Anchors;
use super::malformed::Malformed;
use super::node::{Key, Kind, Node, Position};

/// Nesting that is read; a manifest needs five levels.
const DEPTH: usize = 64;

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
/// See [`Malformed`].
pub fn documents(text: &str, aliases: Aliases) -> Result<Vec<Node>, Malformed> {
    let mut stack: Vec<Open> = Vec::new();
    let mut documents = Vec::new();
    let mut anchors = Anchors::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Malformed::NotYaml {
            at: Position::from(*error.marker()),
            error: error.info().to_owned(),
        })?;
        let (start, end) = (Position::from(span.start), Position::from(span.end));
        let at = start;
        let node = |kind| Node { kind, start, end };
        let (anchor, node) = match event {
            Event::Alias(anchor) => match aliases {
                Aliases::Refuse => return Err(Malformed::Alias { at }),
                Aliases::Leave => (0, node(Kind::Alias)),
                Aliases::Expand => {
                    let room = DEPTH.saturating_sub(stack.len());
                    let expanded = anchors.expand(anchor, room, at)?;
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
                return Err(Malformed::TooDeep { at });
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
                    None => return Err(Malformed::EndWithoutBeginning { at }),
                };
                (anchor, Node { kind, start, end })
            }
            _ => continue,
        };
        if aliases == Aliases::Expand {
            anchors.keep(anchor, &node, at)?;
        }
        match stack.last_mut() {
            None => documents.push(node),
            Some(Open::Sequence(_, _, nodes)) => nodes.push(node),
            Some(Open::Mapping(_, _, _, seen, key @ None)) => match node.kind {
                Kind::Scalar { text: key, .. } if !seen.insert(key.clone()) => {
                    return Err(Malformed::KeyTwice { at, key });
                }
                Kind::Scalar { text, .. } => *key = Some(Key { text, start }),
                _ => return Err(Malformed::KeyNotText { at }),
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
pub fn document(text: &str) -> Result<Option<Node>, Malformed> {
    let mut documents = documents(text, Aliases::Refuse)?.into_iter();
    let first = documents.next();
    match documents.next() {
        Some(second) => Err(Malformed::SecondDocument { at: second.start }),
        None => Ok(first),
    }
}
