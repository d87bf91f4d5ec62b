//! What becomes of each directory and file, as a tree with sums.

use std::collections::{HashMap, HashSet};

use initramfs::tree::{Id, Sum, Tree};
use serde::Serialize;
use switch_root_core::file_kind::FileKind;
use switch_root_core::keep::Keep;
use switch_root_core::path::{self, Path};
use switch_root_core::preserved::{HOST, Survivor};

/// What becomes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It survives, with everything below it.
    Keep,
    /// The same, and it is bound in the new root.
    Carry,
    /// A directory that survives for the sake of some of what is in it.
    Part,
    /// It is deleted, with everything below it.
    Delete,
}

impl Fate {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::Carry => "carry",
            Self::Part => "part",
            Self::Delete => "delete",
        }
    }
}

/// A file or directory, and what becomes of it.
#[derive(Clone, Debug, Serialize)]
pub struct Branch {
    /// Its name; `/` for the root.
    pub name: Path,
    /// What it is.
    pub kind: &'static str,
    /// Bytes of all files at and below it; of a file of several names, at one of them.
    pub bytes: u64,
    /// How many files there are at and below it; all that is no directory.
    pub files: u64,
    /// What becomes of it.
    pub fate: Fate,
    /// By whose word it survives: names of policies, or `host`.
    pub by: Vec<String>,
    /// Where it is bound in the new root.
    pub to: Option<Path>,
    /// Its memory is not freed with its name, since a loop device uses it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_use: bool,
    /// What is in it, by name, where there is something to tell.
    pub children: Vec<Branch>,
}

/// How much of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// What is kept, and the directories above it.
    pub kept: Sum,
    /// What is bound in the new root.
    pub carried: Sum,
    /// What is deleted.
    pub deleted: Sum,
    /// Of that, what loop devices use: its memory is not freed.
    pub in_use: Sum,
    /// Everything.
    pub total: Sum,
}

/// What is decided of a place by what is above it.
#[derive(Clone)]
struct Decided<'a> {
    keep: Option<&'a Keep>,
    fate: Fate,
    by: Vec<String>,
}

/// What the branches are made of.
pub struct Branches<'a> {
    tree: &'a Tree,
    keep: &'a Keep,
    survivors: HashMap<&'a [u8], &'a Survivor>,
    /// Directories with survivors below them.
    told: HashSet<&'a [u8]>,
    in_use: HashSet<Id>,
    /// Files of several names, one of which survives.
    alive: HashSet<Id>,
    full: bool,
}

/// Sums so far.
#[derive(Default)]
struct Count {
    summary: Summary,
    seen: HashSet<Id>,
}

impl<'a> Branches<'a> {
    pub fn new(
        tree: &'a Tree,
        keep: &'a Keep,
        survivors: &'a [Survivor],
        in_use: &[Vec<u8>],
        full: bool,
    ) -> Self {
        let paths = || survivors.iter().map(|survivor| survivor.path.0.as_slice());
        let mut branches = Self {
            tree,
            keep,
            survivors: paths().zip(survivors).collect(),
            told: paths().flat_map(above).collect(),
            in_use: in_use.iter().filter_map(|path| tree.find(path)).collect(),
            alive: HashSet::new(),
            full,
        };
        branches.alive = branches.alive();
        branches
    }

    /// Files of several names, one of which survives: none of their bytes is freed.
    fn alive(&self) -> HashSet<Id> {
        let mut alive = HashSet::new();
        let mut todo = vec![(Id::ROOT, Some(self.keep))];
        while let Some((id, keep)) = todo.pop() {
            let Some(keep) = keep else { continue };
            if *keep == Keep::Whole && self.tree.node(id).nlink > 1 {
                alive.insert(id);
            }
            let children = self.tree.children(id);
            todo.extend(children.map(|(name, id)| (id, keep.child(name))));
        }
        alive
    }

    /// The root with everything below it, and the sums.
    pub fn build(&self) -> (Branch, Summary) {
        let mut count = Count::default();
        let decided = self.root();
        let root = self.branch(b"/", b"/", Id::ROOT, &decided, &mut count);
        (root, count.summary)
    }

    /// What becomes of a path, without links in it: fate, by whose word, and where it is
    /// bound.
    pub fn fate(&self, path: &[u8]) -> (Fate, Vec<String>, Option<Path>) {
        let mut decided = self.root();
        let mut here = b"/".to_vec();
        for name in path.split(|byte| *byte == b'/') {
            if !name.is_empty() {
                here = path::join(&here, name);
                decided = self.below(&decided, name, &here);
            }
        }
        (decided.fate, decided.by, self.target(path))
    }

    fn target(&self, path: &[u8]) -> Option<Path> {
        let carried = self.survivors.get(path)?.carried_to.as_ref()?;
        Some(carried.target.clone())
    }

    fn root(&self) -> Decided<'a> {
        let whole = *self.keep == Keep::Whole;
        let mut decided = Decided {
            keep: Some(self.keep),
            fate: if whole { Fate::Keep } else { Fate::Part },
            by: Vec::new(),
        };
        if whole {
            decided.by.push(HOST.into());
        }
        decided
    }

    fn below(&self, above: &Decided<'a>, name: &[u8], path: &[u8]) -> Decided<'a> {
        let keep = above.keep.and_then(|keep| keep.child(name));
        let mut decided = Decided {
            keep,
            fate: match keep {
                None => Fate::Delete,
                Some(Keep::Part(_)) => Fate::Part,
                // The directory above may be bound, and this with it.
                Some(Keep::Whole) if above.fate == Fate::Carry => Fate::Carry,
                Some(Keep::Whole) => Fate::Keep,
            },
            by: match keep {
                Some(Keep::Whole) => above.by.clone(),
                _ => Vec::new(),
            },
        };
        if let Some(survivor) = self.survivors.get(path) {
            decided.by = survivor.by.clone();
            if survivor.carried_to.is_some() {
                decided.fate = Fate::Carry;
            }
        }
        decided
    }

    /// Trees are not so deep that this could be too deep; see [`Tree::read`].
    fn branch(
        &self,
        name: &[u8],
        path: &[u8],
        id: Id,
        decided: &Decided<'a>,
        count: &mut Count,
    ) -> Branch {
        let node = self.tree.node(id);
        let mut sum = self.count(id, decided.fate, count);
        let told = self.full || path == b"/" || self.told.contains(path);
        let mut children = Vec::new();
        if told {
            for (name, id) in self.tree.children(id) {
                let path = path::join(path, name);
                let below = self.below(decided, name, &path);
                let child = self.branch(name, &path, id, &below, count);
                sum.files += child.files;
                sum.bytes += child.bytes;
                children.push(child);
            }
        } else {
            // Nothing below has a fate of its own.
            let mut todo: Vec<Id> = self.tree.children(id).map(|(_, id)| id).collect();
            while let Some(id) = todo.pop() {
                sum += self.count(id, decided.fate, count);
                todo.extend(self.tree.children(id).map(|(_, id)| id));
            }
        }
        Branch {
            name: name.into(),
            kind: node.kind.word(),
            bytes: sum.bytes,
            files: sum.files,
            fate: decided.fate,
            by: decided.by.clone(),
            to: self.target(path),
            in_use: decided.fate == Fate::Delete && self.in_use.contains(&id),
            children,
        }
    }

    /// Counts one node.
    fn count(&self, id: Id, fate: Fate, count: &mut Count) -> Sum {
        let mut own = if fate == Fate::Delete && self.alive.contains(&id) {
            // Another name of it keeps its bytes.
            Sum {
                bytes: 0,
                ..self.tree.own(id, &mut HashSet::new())
            }
        } else {
            self.tree.own(id, &mut count.seen)
        };
        let summary = &mut count.summary;
        summary.total += own;
        *match fate {
            Fate::Keep | Fate::Part => &mut summary.kept,
            Fate::Carry => &mut summary.carried,
            Fate::Delete => &mut summary.deleted,
        } += own;
        if fate == Fate::Delete && self.in_use.contains(&id) {
            summary.in_use += own;
        }
        if self.tree.node(id).kind == FileKind::Directory {
            own.bytes = 0;
        }
        own
    }
}

/// The directories above a path, without the root.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = (1..path.len()).filter(|at| path[*at] == b'/');
    ends.map(|end| &path[..end])
}

#[cfg(test)]
mod tests {
    use initramfs::tree::Node;
    use switch_root_core::preserved::Carry;

    use super::*;

    fn survivor(path: &[u8], to: Option<&[u8]>) -> Survivor {
        Survivor {
            path: path.into(),
            kind: FileKind::Regular,
            by: vec!["policy".into()],
            carried_to: to.map(|target| Carry {
                target: target.into(),
                real: target.into(),
                make: false,
            }),
            note: None,
            code: None,
        }
    }

    #[test]
    fn every_byte_is_counted_once_and_where_it_stays() {
        let mut tree = Tree::new();
        let mut file = |path: &[u8], size| tree.insert(path, Node::file(0o644, size)).unwrap();
        file(b"/a/deleted", 1);
        file(b"/rootfs.sqsh", 10);
        file(b"/z/kept", 100);
        file(b"/z/carried/x", 1000);
        let survivors = [
            survivor(b"/z/carried", Some(b"/etc/x")),
            survivor(b"/z/kept", None),
        ];
        // Deleted by its first name, and kept by its second.
        tree.alias(b"/z/kept", b"/a/linked");
        let keep = Keep::new(survivors.iter().map(|survivor| survivor.path.0.as_slice()));
        let in_use = [b"/rootfs.sqsh".to_vec()];
        let branches = Branches::new(&tree, &keep, &survivors, &in_use, false);
        let (root, summary) = branches.build();
        let sum = |files, directories, bytes| Sum {
            files,
            directories,
            bytes,
        };
        assert_eq!(
            summary,
            Summary {
                kept: sum(1, 2, 100),
                carried: sum(1, 1, 1000),
                deleted: sum(3, 1, 11),
                in_use: sum(1, 0, 10),
                total: sum(5, 4, 1111),
            }
        );
        assert_eq!((root.bytes, root.files), (1111, 5));
        let names: Vec<_> = root
            .children
            .iter()
            .map(|child| {
                (
                    child.name.to_string(),
                    child.fate,
                    child.bytes,
                    child.in_use,
                )
            })
            .collect();
        assert_eq!(
            names,
            [
                ("a".to_owned(), Fate::Delete, 1, false),
                ("rootfs.sqsh".to_owned(), Fate::Delete, 10, true),
                ("z".to_owned(), Fate::Part, 1100, false),
            ]
        );
        // Nothing is told of what has one fate as a whole.
        assert!(root.children[0].children.is_empty());
        let below = branches.fate(b"/z/carried/x");
        assert_eq!(below, (Fate::Carry, vec!["policy".to_owned()], None));
        assert_eq!(branches.fate(b"/a").0, Fate::Delete);
    }
}
