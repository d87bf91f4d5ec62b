//! What a component imports and exports, read before anything of it is compiled: compiling
//! a large one takes longer than a boot waits, and what no host runs shall be refused for
//! that, and not for a deadline.

use switch_root_core::failure::{Failure, Kind};
use switch_root_core::file;
use wasmparser::{ComponentTypeRef, Parser, Payload};

use crate::contract::{self, Import};

/// Refuses what its names alone exclude: other imports than the contract's, another version
/// of it, or no question. What cannot be read is passed over: the compiler refuses it, in
/// its own words. So are the functions of an interface, which it knows the types of.
///
/// # Errors
/// It is no component; or as of [`contract::questions`].
pub fn check_names(wasm: &[u8]) -> Result<(), Failure> {
    file::check_component(wasm).map_err(|reason| Failure::load(Kind::NotAPolicy, reason))?;
    let mut imports = Vec::new();
    let mut exports = Vec::new();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        let Ok(payload) = payload else { return Ok(()) };
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            // What is inside imports from what is around it.
            _ if depth > 1 => {}
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let Ok(import) = import else { return Ok(()) };
                    imports.push(Import {
                        name: import.name.name,
                        functions: match import.ty {
                            ComponentTypeRef::Instance(_) => Some(Vec::new()),
                            _ => None,
                        },
                    });
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    let Ok(export) = export else { return Ok(()) };
                    exports.push(export.name.name);
                }
            }
            _ => {}
        }
    }
    contract::questions(&imports, &exports).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The default policy, which is a component of the contract.
    const DEFAULT: &[u8] = include_bytes!("default.wasm");

    #[test]
    fn a_component_of_the_contract_passes_by_its_names() {
        check_names(DEFAULT).unwrap();
    }

    #[test]
    fn foreign_names_are_refused_before_anything_is_compiled() {
        // The same bytes with another name of the same length: nothing else is looked at.
        let renamed = |from: &str, to: &str| {
            assert_eq!(from.len(), to.len());
            let mut wasm = DEFAULT.to_vec();
            while let Some(at) = wasm
                .windows(from.len())
                .position(|part| part == from.as_bytes())
            {
                wasm[at..at + to.len()].copy_from_slice(to.as_bytes());
            }
            check_names(&wasm).unwrap_err()
        };
        let failure = renamed(
            "switch-root:policy/types@0.1.0",
            "wasi:clocks/wall-clock@0.2.000",
        );
        assert_eq!(failure.kind, Kind::Imports, "{}", failure.message);
        let failure = renamed("@0.1.0", "@0.9.0");
        assert_eq!(failure.kind, Kind::Version, "{}", failure.message);
    }

    #[test]
    fn what_cannot_be_read_is_left_to_the_compiler() {
        for length in [0, 7, 8, 9, DEFAULT.len() / 2, DEFAULT.len() - 1] {
            let cut = &DEFAULT[..length];
            if let Err(failure) = check_names(cut) {
                assert_eq!(failure.kind, Kind::NotAPolicy, "{length}");
            }
        }
    }
}
