//! The tree of a plan, folded to what a page can hold.
//!
//! What survives is shown first, then what is large. The rest of a directory
//! becomes one tile for each fate, "12 more", so that a survivor never
//! disappears among what is deleted, and the sums of a directory stay right.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use maud::{Markup, PreEscaped};

use super::untrusted::{Report, Untrusted};

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
    fn of(node: Report) -> Self {
        let known = [Self::Keep, Self::Carry, Self::Part];
        let fate = node.text("fate");
        known
            .into_iter()
            .find(|it| fate == it.class())
            .unwrap_or(Self::Delete)
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

    /// The class of the page's style, and the word of the report.
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
    pub name: Untrusted<'a>,
    /// The kind of file as the report says it; empty for several nodes.
    pub kind: Untrusted<'a>,
    /// What it takes, in bytes, with all below it.
    pub bytes: u64,
    /// How many files it is, with all below it.
    pub files: u64,
    /// What becomes of it.
    pub fate: Fate,
    /// The policies by whose word.
    pub by: Vec<Untrusted<'a>>,
    /// Where in the new root it is bound as well.
    pub to: Option<Untrusted<'a>>,
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
pub fn fold(tree: Report<'_>, room: usize) -> Vec<Tile<'_>> {
    let mut tiles: Vec<Tile> = Vec::new();
    let mut nodes: Vec<(usize, Report)> = vec![(0, tree)];
    let mut waiting = BinaryHeap::from([Waiting {
        survives: true,
        bytes: 0,
        order: Reverse(0),
    }]);
    let mut rest: BTreeMap<(usize, Fate), Vec<Report>> = BTreeMap::new();
    let mut room = room;
    while let Some(next) = waiting.pop() {
        let (parent, node) = nodes[next.order.0];
        let children = node.list("children");
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
        for child in children.iter().copied() {
            let order = Reverse(nodes.len());
            nodes.push((index, child));
            waiting.push(Waiting {
                survives: fate == Fate::Part && Fate::of(child) != Fate::Delete,
                bytes: child.number("bytes"),
                order,
            });
        }
        if let Some(more) = unlisted(index, node, &children, fate) {
            tiles.push(more);
        }
    }
    tiles.extend(rest.into_iter().map(|((parent, fate), nodes)| Tile {
        parent,
        name: Untrusted::default(),
        kind: Untrusted::default(),
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
fn cost(node: Report) -> usize {
    let rows = match node.list("children").is_empty() {
        true => 1,
        false => 6,
    };
    let texts = [node.text("name"), node.text("to")];
    let by = node.texts("by");
    let texts = texts.into_iter().chain(by).map(|text| text.json().len());
    rows * ROW + texts.sum::<usize>()
}

fn single(parent: usize, node: Report<'_>) -> Tile<'_> {
    Tile {
        parent,
        name: node.text("name"),
        kind: node.text("kind"),
        bytes: node.number("bytes"),
        files: node.number("files"),
        fate: Fate::of(node),
        by: node.texts("by"),
        to: node.given("to"),
        in_use: node.holds("in_use"),
        folded: 0,
    }
}

/// What a directory holds beyond the children that the report names. Of a
/// directory that is kept in part it is not known whether it stays.
fn unlisted<'a>(
    parent: usize,
    node: Report<'a>,
    children: &[Report],
    fate: Fate,
) -> Option<Tile<'a>> {
    let left = |field| node.number(field).saturating_sub(sum(children, field));
    let (bytes, files) = (left("bytes"), left("files"));
    (!children.is_empty() && bytes > 0).then(|| Tile {
        parent,
        name: Untrusted::default(),
        kind: Untrusted::default(),
        bytes,
        files,
        fate,
        by: Vec::new(),
        to: None,
        in_use: false,
        folded: files.max(1),
    })
}

fn sum(nodes: &[Report], field: &str) -> u64 {
    nodes
        .iter()
        .map(|node| node.number(field))
        .fold(0, u64::saturating_add)
}

/// The policies that all of the nodes have in common.
fn shared<'a>(nodes: &[Report<'a>]) -> Vec<Untrusted<'a>> {
    let mut nodes = nodes.iter().map(|node| node.texts("by"));
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
pub fn json(tiles: &[Tile]) -> Markup {
    let mut kinds = Numbered::default();
    let mut by = Numbered::default();
    let rows: Vec<String> = tiles
        .iter()
        .map(|tile| {
            let names: Vec<String> = tile.by.iter().map(|name| name.json()).collect();
            format!(
                "[{},{},{},{},{},{},{},{}{}{}]",
                tile.parent,
                tile.name.json(),
                kinds.number(tile.kind.json()),
                tile.bytes,
                tile.files,
                tile.fate as usize,
                by.number(format!("[{}]", names.join(","))),
                tile.folded,
                match tile.to {
                    Some(to) => format!(",{}", to.json()),
                    None if tile.in_use => ",null".to_owned(),
                    None => String::new(),
                },
                if tile.in_use { ",true" } else { "" },
            )
        })
        .collect();
    // Escaped for a script element, where entities are none.
    PreEscaped(format!(
        "{{\"kinds\":[{}],\"by\":[{}],\"rows\":[\n{}\n]}}",
        kinds.texts.join(","),
        by.texts.join(","),
        rows.join(",\n"),
    ))
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
