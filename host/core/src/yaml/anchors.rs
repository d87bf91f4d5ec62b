//! What aliases refer to, within limits.

use std::collections::HashMap;

use super::node::{Kind, Node};

/// What aliases may expand to in all, and what they may refer to, as [`Anchors::weight`]
/// counts it: more than any text holds that is not made to do harm.
const EXPANDED: usize = 1 << 20;

/// What aliases refer to.
#[derive(Default)]
pub(super) struct Anchors {
    /// By their numbers: the node, its weight and its depth.
    nodes: HashMap<usize, (Node, usize, usize)>,
    kept: usize,
    expanded: usize,
}

impl Anchors {
    /// Keeps a node that has an anchor, which is any number but 0.
    ///
    /// # Errors
    /// What is wrong, as a sentence has it: those in each other are kept as often.
    pub(super) fn keep(&mut self, anchor: usize, node: &Node) -> Result<(), &'static str> {
        if anchor == 0 {
            return Ok(());
        }
        let weight = Self::weight(node);
        self.kept += weight;
        if self.kept > EXPANDED {
            return Err("what has anchors is more than 1 MiB in all, which is not read");
        }
        let measured = (node.clone(), weight, Self::depth(node));
        self.nodes.insert(anchor, measured);
        Ok(())
    }

    /// What an alias stands for, where so many collections in each other have room.
    ///
    /// # Errors
    /// What is wrong, as a sentence has it.
    pub(super) fn expand(&mut self, anchor: usize, room: usize) -> Result<Kind, &'static str> {
        let (node, weight, own) = self
            .nodes
            .get(&anchor)
            .ok_or("the alias refers to something that it is in itself")?;
        if *own > room {
            return Err("nested too deeply");
        }
        self.expanded += weight;
        if self.expanded > EXPANDED {
            return Err("the aliases stand for more than 1 MiB in all, which is not read");
        }
        Ok(node.kind.clone())
    }

    /// Its texts and keys in bytes, and one for each node.
    fn weight(node: &Node) -> usize {
        1 + match &node.kind {
            Kind::Alias => 0,
            Kind::Scalar { text, .. } => text.len(),
            Kind::Sequence(nodes) => nodes.iter().map(Self::weight).sum(),
            Kind::Mapping(entries) => entries
                .iter()
                .map(|(key, node)| key.text.len() + Self::weight(node))
                .sum(),
        }
    }

    /// The collections in each other, itself included.
    fn depth(node: &Node) -> usize {
        let deepest = |depths: &mut dyn Iterator<Item = usize>| 1 + depths.max().unwrap_or(0);
        match &node.kind {
            Kind::Alias | Kind::Scalar { .. } => 0,
            Kind::Sequence(nodes) => deepest(&mut nodes.iter().map(Self::depth)),
            Kind::Mapping(entries) => {
                deepest(&mut entries.iter().map(|(_, node)| Self::depth(node)))
            }
        }
    }
}
