//! Imports that no policy may have, and the way out of them.

use policy::bindings::PACKAGE;
use switch_root_core::error::{Error, Result};

use crate::language::Language;

switch_root_core::outcomes! {
    /// Why what was built is not a policy.
    pub(crate) enum NoPolicy in "policies" {
        /// The policy's interfaces are checked as a boot does. The reason follows.
        "SR-T37" Refused { name: String } = "{name} is no policy",
        /// Nothing but the contract may be imported. The sentence ends with where such imports come
        /// from.
        "SR-T38" Foreign { imports: String, advice: &'static str } = "it imports {imports}; a policy may import nothing but {PACKAGE}log: {advice}",
        /// Export one of the two: `srctl policy new` begins projects that do.
        "SR-T39" NoQuestion = "it answers no question: it exports neither {PACKAGE}preservation nor {PACKAGE}compatibility",
    }
}

/// Refuses what imports anything but the contract, and says where such imports come from.
pub(super) fn refuse_foreign(foreign: &[String], language: Language) -> Result<()> {
    if foreign.is_empty() {
        return Ok(());
    }
    let advice = match language {
        Language::Rust => {
            "find the crate that they come from with `cargo tree --target wasm32-unknown-unknown`, and do without it or without the feature that makes it use a system or JavaScript"
        }
        Language::C => {
            "they come from functions of the C library that need a system: those of stdio.h (snprintf too), time.h, unistd.h, and exit; do without them"
        }
        Language::JavaScript | Language::Python => {
            "leave in wit/world.wit no import but those that the worlds of the contract bring"
        }
    };
    const SHOWN: usize = 8;
    let more = match foreign.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let names = foreign[..foreign.len().min(SHOWN)].join(", ");
    let names = switch_root_core::escape::message(&names, 1024);
    Err(Error::input(NoPolicy::Foreign {
        imports: format!("{names}{more}"),
        advice,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_many_imports_are_listed() {
        let many: Vec<_> = (0..20).map(|n| format!("a:b/c{n}")).collect();
        let error = refuse_foreign(&many, Language::C).unwrap_err().to_string();
        assert!(error.contains("a:b/c7 and 12 more; "), "{error}");
    }
}
