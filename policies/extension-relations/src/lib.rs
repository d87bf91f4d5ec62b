//! A policy that holds extensions to what they say of each other: which others they require,
//! and beside which they do not work. README.md beside this crate is its manual.

mod relations;

use switch_root_policy::{Compatibility, Extension, HostFacts, Verdict, register};

/// The policy: a name for its answers, without a value.
pub struct ExtensionRelations;

impl Compatibility for ExtensionRelations {
    /// Objects to each extension whose relations do not hold, and abstains from the others: to
    /// fit to the other extensions is not to fit to the operating system.
    fn review(_host: &HostFacts, extensions: &[Extension]) -> Result<Vec<Verdict>, String> {
        Ok(relations::objections(extensions)
            .into_iter()
            .map(|objection| objection.map_or(Verdict::Abstain, Verdict::Incompatible))
            .collect())
    }
}

register!(ExtensionRelations: compatibility);
