//! Which system extensions may be activated: none whose name another one has, too.

use switch_root_policy::{Compatibility, Extension, HostFacts, Verdict};

use crate::Policy;

impl Compatibility for Policy {
    fn review(_host: &HostFacts, extensions: &[Extension]) -> Result<Vec<Verdict>, String> {
        let verdict = |one: &Extension| {
            let mut others = extensions.iter().filter(|other| other.image != one.image);
            match others.find(|other| other.name == one.name) {
                Some(other) => Verdict::Incompatible(format!(
                    "{} is also the name of {}",
                    one.name, other.image
                )),
                None => Verdict::Abstain,
            }
        };
        Ok(extensions.iter().map(verdict).collect())
    }
}
