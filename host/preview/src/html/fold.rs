//! The tree of a plan, folded to what a page can hold.
//!
//! What survives is shown first, then what is large. The rest of a directory
//! becomes one tile for each fate, "12 more", so that a survivor never
//! disappears among what is deleted, and the sums of a directory stay right.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use serde_json::Value;

use super::{text, values};

/// What becomes of a tile, in the order in which the page's script knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Stays in memory.
    Keep,
    /// Stays, and is bound into the new root as well.
    Carry,
    /// A directory of which something stays.
    Part,
    /// Goes.
    Delete,
}

impl Fate {
    fn of(node: &Value) -> Self {
        match values::string(node, "fate") {
            "keep" => Self::Keep,
            "carry" => Self::Carry,
            "part" => Self::Part,
            _ => Self::Delete,
        }
    }

    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "kept",
            Self::Carry => "carried",
            Self::Part => "kept in part",
            Self::Delete => "deleted",
        }
    }

    /// The class of the page's style.
    pub fn class(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Carry => "carry",
            Self::Part => "part",
            Self::Delete => "delete",
        }
    }
}

/// A node of the tree, or several of one fate in one directory.
#[derive(Debug)]
pub struct Tile<'a> {
    /// The index of the directory's tile, smaller than this tile's own; the
    /// root's is 0, its own.
    pub parent: usize,
    /// Empty for several nodes.
    pub name: &'a str,
    /// The kind of file as the report says it; empty for several nodes.
    pub kind: &'a str,
    /// What it takes, in bytes, with all below it.
    pub bytes: u64,
    /// How many files it is, with all below it.
    pub files: u64,
    /// What becomes of it.
    pub fate: Fate,
    /// The policies by whose word.
    pub by: Vec<&'a str>,
    /// Where in the new root it is bound as well.
    pub to: Option<&'a str>,
    /// Its name goes, but its memory is in use and stays.
    pub in_use: bool,
    /// How many nodes of the directory it stands for; 0 for a node itself.
    pub folded: u64,
}

/// What one tile takes in the page besides its texts, with the end of a row.
const ROW: usize = 48;

/// A node that waits to be shown: the greatest is next.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    /// Survives, in a directory that does not as a whole.
    survives: bool,
    bytes: u64,
    /// Of equals, the one found first.
    order: Reverse<usize>,
}

/// Folds a tree to tiles that take about `room` bytes of a page.
pub fn fold(tree: &Value, room: usize) -> Vec<Tile<'_>> {
    let mut tiles: Vec<Tile> = Vec::new();
    let mut nodes: Vec<(usize, &Value)> = vec![(0, tree)];
    let mut waiting = BinaryHeap::from([Waiting {
        survives: true,
        bytes: 0,
        order: Reverse(0),
    }]);
    let mut rest: BTreeMap<(usize, Fate), Vec<&Value>> = BTreeMap::new();
    let mut room = room;
    while let Some(next) = waiting.pop() {
        let (parent, node) = nodes[next.order.0];
        let children = values::list(&node["children"]);
        // The first that finds no room ends it: none of what follows stands
        // before it.
        let left = match room {
            0 => None,
            room => room.checked_sub(cost(node)),
        };
        room = left.unwrap_or(0);
        if left.is_none() && !tiles.is_empty() {
            rest.entry((parent, Fate::of(node))).or_default().push(node);
            continue;
        }
        let index = tiles.len();
        tiles.push(single(parent, node));
        let fate = tiles[index].fate;
        for child in children {
            let order = Reverse(nodes.len());
            nodes.push((index, child));
            waiting.push(Waiting {
                survives: fate == Fate::Part && Fate::of(child) != Fate::Delete,
                bytes: values::number(child, "bytes"),
                order,
            });
        }
        if let Some(more) = unlisted(index, node, children, fate) {
            tiles.push(more);
        }
    }
    tiles.extend(rest.into_iter().map(|((parent, fate), nodes)| Tile {
        parent,
        name: "",
        kind: "",
        bytes: sum(&nodes, "bytes"),
        files: sum(&nodes, "files"),
        fate,
        by: shared(&nodes),
        to: None,
        in_use: false,
        folded: nodes.len() as u64,
    }));
    tiles
}

/// The bytes that a node takes in the page. A directory may need a row for the
/// rest of each fate, and one for what the report leaves out.
fn cost(node: &Value) -> usize {
    let rows = match values::list(&node["children"]) {
        [] => 1,
        _ => 6,
    };
    let texts = [values::string(node, "name"), values::string(node, "to")];
    let by = values::strings(&node["by"]);
    let texts = texts
        .into_iter()
        .chain(by)
        .map(|text| text::json(text).len());
    rows * ROW + texts.sum::<usize>()
}

fn single(parent: usize, node: &Value) -> Tile<'_> {
    Tile {
        parent,
        name: values::string(node, "name"),
        kind: values::string(node, "kind"),
        bytes: values::number(node, "bytes"),
        files: values::number(node, "files"),
        fate: Fate::of(node),
        by: values::strings(&node["by"]),
        to: node["to"].as_str(),
        in_use: node["in_use"] == true,
        folded: 0,
    }
}

/// What a directory holds beyond the children that the report names. Of a
/// directory that is kept in part it is not known whether it stays.
fn unlisted<'a>(
    parent: usize,
    node: &'a Value,
    children: &'a [Value],
    fate: Fate,
) -> Option<Tile<'a>> {
    let children: Vec<&Value> = children.iter().collect();
    let left = |field| values::number(node, field).saturating_sub(sum(&children, field));
    let (bytes, files) = (left("bytes"), left("files"));
    (!children.is_empty() && bytes > 0).then(|| Tile {
        parent,
        name: "",
        kind: "",
        bytes,
        files,
        fate,
        by: Vec::new(),
        to: None,
        in_use: false,
        folded: files.max(1),
    })
}

fn sum(nodes: &[&Value], field: &str) -> u64 {
    nodes
        .iter()
        .map(|node| values::number(node, field))
        .fold(0, u64::saturating_add)
}

/// The policies that all of the nodes have in common.
fn shared<'a>(nodes: &[&'a Value]) -> Vec<&'a str> {
    let mut nodes = nodes.iter().map(|node| values::strings(&node["by"]));
    let first = nodes.next().unwrap_or_default();
    nodes.fold(first, |common, by| {
        common
            .into_iter()
            .filter(|name| by.contains(name))
            .collect()
    })
}

/// The tiles as the page's script reads them: `{"kinds":[..],"by":[[..]],
/// "rows":[[parent, name, kind, bytes, files, fate, by, folded, to?, in_use?]]}` where
/// kinds, fates and policies are indices.
pub fn json(tiles: &[Tile]) -> String {
    let mut kinds = Numbered::default();
    let mut by = Numbered::default();
    let rows: Vec<String> = tiles
        .iter()
        .map(|tile| {
            let names: Vec<String> = tile.by.iter().map(|name| text::json(name)).collect();
            format!(
                "[{},{},{},{},{},{},{},{}{}{}]",
                tile.parent,
                text::json(tile.name),
                kinds.number(text::json(tile.kind)),
                tile.bytes,
                tile.files,
                tile.fate as usize,
                by.number(format!("[{}]", names.join(","))),
                tile.folded,
                match tile.to {
                    Some(to) => format!(",{}", text::json(to)),
                    None if tile.in_use => ",null".to_owned(),
                    None => String::new(),
                },
                if tile.in_use { ",true" } else { "" },
            )
        })
        .collect();
    format!(
        "{{\"kinds\":[{}],\"by\":[{}],\"rows\":[\n{}\n]}}",
        kinds.texts.join(","),
        by.texts.join(","),
        rows.join(",\n"),
    )
}

/// Texts that occur often, each written once.
#[derive(Default)]
struct Numbered {
    numbers: BTreeMap<String, usize>,
    texts: Vec<String>,
}

impl Numbered {
    fn number(&mut self, text: String) -> usize {
        let next = self.texts.len();
        *self.numbers.entry(text).or_insert_with_key(|text| {
            self.texts.push(text.clone());
            next
        })
    }
}
