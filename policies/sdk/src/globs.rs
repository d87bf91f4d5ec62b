//! A set of patterns for paths, which knows where it is worth descending.

mod component;
mod parse;

use crate::{Decision, Entry, path};
use component::Component;

pub use parse::PatternError;

/// Patterns for absolute paths. What matches one of them survives, a directory with everything
/// below it.
///
/// | in a pattern | stands for |
/// |---|---|
/// | `*` | any number of bytes of one name, none included, a leading dot included |
/// | `?` | one byte of a name |
/// | `[a-z_]`, `[!a-z_]` | one byte that is, or is not, one of these |
/// | `**`, as a whole component | any number of whole components, none included |
/// | `\` | makes the byte after it stand for itself |
///
/// `/srv/**` is `/srv` with all that is in it, and so is `/srv`; `/**/*.conf` is each such file
/// at any depth. Names are bytes in no encoding, so a character outside of ASCII is as many `?`
/// as it has bytes.
///
/// The set walks by itself: [`review`](Globs::review) answers [`Decision::Descend`] only for
/// directories in which a pattern can still match, so the host does not read the others.
#[derive(Clone, Debug)]
pub struct Globs {
    patterns: Vec<Vec<Component>>,
}

impl Globs {
    /// Reads the patterns.
    ///
    /// # Errors
    ///
    /// The first pattern that can't be read, the position in it and what is wrong. The error
    /// turns into a `String` by `?`.
    pub fn new<P: AsRef<[u8]>>(
        patterns: impl IntoIterator<Item = P>,
    ) -> Result<Self, PatternError> {
        let patterns = patterns.into_iter();
        let mut parsed = Vec::with_capacity(patterns.size_hint().0);
        for pattern in patterns {
            parsed.push(parse::pattern(pattern.as_ref())?);
        }
        Ok(Globs { patterns: parsed })
    }

    /// Answers for a whole directory: what a [`Preservation`](crate::Preservation) policy
    /// returns. `directory` is the absolute path that the host gave.
    pub fn review(&self, directory: &[u8], entries: &[Entry]) -> Vec<Decision> {
        let here = self.in_directory(directory);
        entries.iter().map(|entry| here.decide(entry)).collect()
    }

    /// Answers for one entry of `directory`: [`Decision::Keep`] if a pattern matches it or a
    /// directory above it, [`Decision::Descend`] if it is a directory with nothing mounted on
    /// it and a pattern can match below it, [`Decision::Delete`] otherwise.
    ///
    /// For many entries of one directory [`in_directory`](Globs::in_directory) is cheaper.
    pub fn decide(&self, directory: &[u8], entry: &Entry) -> Decision {
        self.in_directory(directory).decide(entry)
    }

    /// Matches the path of a directory against all patterns, so that only names are left to be
    /// matched for its entries.
    pub fn in_directory(&self, directory: &[u8]) -> InDirectory<'_> {
        let mut here = InDirectory {
            all: false,
            anywhere_below: false,
            names: Vec::new(),
        };
        let mut positions = Vec::new();
        let mut advanced = Vec::new();
        for pattern in &self.patterns {
            positions.clear();
            add(pattern, 0, &mut positions);
            for name in path::components(directory) {
                // A pattern that matched a directory above has decided already.
                if positions.last() == Some(&pattern.len()) {
                    break;
                }
                advanced.clear();
                for &position in &positions {
                    match &pattern[position] {
                        Component::AnyDepth => add(pattern, position, &mut advanced),
                        component if component.matches(name) => {
                            add(pattern, position + 1, &mut advanced);
                        }
                        _ => {}
                    }
                }
                core::mem::swap(&mut positions, &mut advanced);
            }
            here.collect(pattern, &positions);
        }
        here
    }
}

/// Adds `position` to `positions`, with those that it reaches because `**` may stand for
/// nothing. They are added in ascending order and once each: a position leads to itself or to
/// the next one, so those that ascending positions lead to ascend too.
fn add(pattern: &[Component], mut position: usize, positions: &mut Vec<usize>) {
    loop {
        if positions.last().is_none_or(|&last| last < position) {
            positions.push(position);
        }
        match pattern.get(position) {
            Some(Component::AnyDepth) => position += 1,
            _ => return,
        }
    }
}

/// What a set of patterns makes of the entries of one directory.
#[derive(Clone, Debug)]
pub struct InDirectory<'a> {
    /// A pattern matches the directory or one above it: everything in it stays.
    all: bool,
    /// A pattern can match below each of its directories.
    anywhere_below: bool,
    /// The components that the name of an entry can match, each with whether the entry is
    /// kept then: no more is to come in the pattern.
    names: Vec<(&'a Component, bool)>,
}

impl<'a> InDirectory<'a> {
    fn collect(&mut self, pattern: &'a [Component], positions: &[usize]) {
        for &position in positions {
            match pattern.get(position) {
                None => self.all = true,
                Some(Component::AnyDepth) => self.anywhere_below = true,
                Some(component) => {
                    let rest = &pattern[position + 1..];
                    let complete = rest.iter().all(|next| matches!(next, Component::AnyDepth));
                    self.names.push((component, complete));
                }
            }
        }
    }

    /// Whether a pattern can match anything in the directory. Where none can, every entry is
    /// answered with [`Decision::Delete`].
    pub fn can_match(&self) -> bool {
        self.all || self.anywhere_below || !self.names.is_empty()
    }

    /// Answers for one entry, as [`Globs::decide`] does. Allocates nothing.
    pub fn decide(&self, entry: &Entry) -> Decision {
        if self.all {
            return Decision::Keep;
        }
        let mut below = self.anywhere_below;
        for (component, complete) in &self.names {
            if component.matches(&entry.name) {
                if *complete {
                    return Decision::Keep;
                }
                below = true;
            }
        }
        if below && entry.can_descend() {
            Decision::Descend
        } else {
            Decision::Delete
        }
    }
}

#[cfg(test)]
mod tests;
