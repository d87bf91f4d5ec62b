//! What a component imports and exports, read before anything of it is compiled: compiling
//! a large one takes longer than a boot waits, and what no host runs shall be refused for
//! that, and not for a deadline.

use switch_root_core::failure::{Failure, Kind};
use switch_root_core::{escape, file};
use wasmparser::{ComponentTypeRef, Parser, Payload};

use crate::contract::{self, Import};

/// The most of what the reader says of a file that is repeated, in bytes.
const SHOWN: usize = 1000;

/// What a component, or a core module, says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// It imports what has this name.
    Import {
        /// The whole name; of a core module, that of the module it imports from.
        name: &'a str,
        /// Whether that is an interface.
        is_interface: bool,
    },
    /// It exports what has this name.
    Export(&'a str),
    /// A custom section: its name, and what is in it.
    Custom(&'a str, &'a [u8]),
}

/// Reads what a component, or a core module, says of itself, in its own order. What is inside
/// of it is passed over: that imports from what is around it. Nothing is validated.
///
/// # Errors
/// It cannot be read any further, for this reason; what comes before was taken.
pub fn read<'a>(wasm: &'a [u8], mut take: impl FnMut(Item<'a>)) -> Result<(), String> {
    let broken = |error: wasmparser::BinaryReaderError| escape::message(&error.to_string(), SHOWN);
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.map_err(broken)? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ if depth > 1 => {}
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    take(Item::Import {
                        name: import.map_err(broken)?.module,
                        is_interface: true,
                    });
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    take(Item::Export(export.map_err(broken)?.name));
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section {
                    let import = import.map_err(broken)?;
                    take(Item::Import {
                        name: import.name.name,
                        is_interface: matches!(import.ty, ComponentTypeRef::Instance(_)),
                    });
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section {
                    take(Item::Export(export.map_err(broken)?.name.name));
                }
            }
            Payload::CustomSection(section) => {
                take(Item::Custom(section.name(), section.data()));
            }
            _ => {}
        }
    }
    Ok(())
}

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
    let whole = read(wasm, |item| match item {
        Item::Import { name, is_interface } => imports.push(Import {
            name,
            functions: is_interface.then(Vec::new),
        }),
        Item::Export(name) => exports.push(name),
        Item::Custom(..) => {}
    });
    match whole {
        Ok(()) => contract::questions(&imports, &exports).map(drop),
        Err(_) => Ok(()),
    }
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
