//! What aliases refer to, within limits.

use std::collections::HashMap;

use super::malformed::Malformed;
use super::node::{Kind, Node, Position};

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
    /// They are too large: those in each other are kept as often.
    pub(super) fn keep(
        &mut self,
        anchor: usize,
        node: &Node,
        at: Position,
    ) -> Result<(), Malformed> {
        if anchor == 0 {
            return Ok(());
        }
        let weight = Self::weight(node);
        self.kept += weight;
        if self.kept > EXPANDED {
            return Err(Malformed::LargeAnchors { at });
        }
        let measured = (node.clone(), weight, Self::depth(node));
        self.nodes.insert(anchor, measured);
        Ok(())
    }

    /// What an alias stands for, where so many collections in each other have room.
    ///
    /// # Errors
    /// What is wrong with the alias at this place.
    pub(super) fn expand(
        &mut self,
        anchor: usize,
        room: usize,
        at: Position,
    ) -> Result<Kind, Malformed> {
        let (node, weight, own) = self
            .nodes
            .get(&anchor)
            .ok_or(Malformed::WithinItself { at })?;
        if *own > room {
            return Err(Malformed::TooDeep { at });
        }
        self.expanded += weight;
        if self.expanded > EXPANDED {
            return Err(Malformed::LargeAliases { at });
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
