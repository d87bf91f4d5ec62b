//! Components and near-components that the host has to refuse, each for a reason of its own, and
//! those of other versions of the contract, some of which it has to run. They are made from the
//! text of the contract, `wit/policy.wit`, so they are wrong in one respect only.

use anyhow::{Context, Result, ensure};
use toolkit::component::encode;
use wit_component::StringEncoding;
use wit_parser::{ManglingAndAbi, PackageId, Resolve, WorldId};

/// The version that the contract has.
const VERSION: &str = "0.1.0";

/// What the contract says of the function that policies may call.
const LOG: &str = "    log: func(level: level, message: string);";

/// A policy that answers `preservation` and also imports WASI's environment and file
/// system.
///
/// # Errors
///
/// If `contract` is not the text of the contract.
pub fn importing_wasi(contract: &str) -> Result<Vec<u8>> {
    in_world(
        contract,
        "package wasi:cli@0.2.0 {
            interface environment {
                get-environment: func() -> list<tuple<string, string>>;
            }
        }

        package wasi:filesystem@0.2.0 {
            interface types {
                remove-directory-at: func(descriptor: u32, path: string) -> result;
            }
        }

        world refused {
            import switch-root:policy/log@0.1.0;
            import wasi:cli/environment@0.2.0;
            import wasi:filesystem/types@0.2.0;
            export switch-root:policy/preservation@0.1.0;
        }",
    )
}

/// A policy that answers `preservation` of another version of the contract, which is the same
/// but for its version.
///
/// # Errors
///
/// If `contract` is not the text of the contract.
pub fn of_version(contract: &str, version: &str) -> Result<Vec<u8>> {
    let contract = replace(contract, VERSION, version)?;
    let mut resolve = Resolve::default();
    let world = preservation_world(&mut resolve, &contract)?;
    dummy_component(&resolve, world)
}

/// The policy `component` as if it had been built against version 0.1.1 of the contract without
/// using what may be new in it. It still answers as it did.
///
/// # Errors
///
/// If `component` does not name version 0.1.0 of the contract.
pub fn later(component: &[u8]) -> Result<Vec<u8>> {
    // Names of the same length: nothing else in the component changes.
    let (from, to) = (format!("@{VERSION}"), "@0.1.1");
    let from = from.as_bytes();
    let mut later = component.to_vec();
    let mut found = false;
    for at in 0..component.len() {
        if component[at..].starts_with(from) {
            later[at..at + from.len()].copy_from_slice(to.as_bytes());
            found = true;
        }
    }
    ensure!(found, "the component names no version {VERSION}");
    wasmparser::Validator::new()
        .validate_all(&later)
        .context("validating the component with other names")?;
    Ok(later)
}

/// A policy of version 0.1.1 of the contract that calls a function which that version added.
///
/// # Errors
///
/// If `contract` is not the text of the contract.
pub fn calling_later(contract: &str) -> Result<Vec<u8>> {
    let contract = replace(contract, &format!("policy@{VERSION};"), "policy@0.1.1;")?;
    let added =
        format!("{LOG}\n\n    @since(version = 0.1.1)\n    log-more: func(message: string);");
    let contract = replace(&contract, LOG, &added)?;
    let mut resolve = Resolve::default();
    let world = preservation_world(&mut resolve, &contract)?;
    dummy_component(&resolve, world)
}

/// A policy that answers `preservation` of this version, and calls `log` of version 0.2.0.
///
/// # Errors
///
/// If `contract` is not the text of the contract.
pub fn importing_other_log(contract: &str) -> Result<Vec<u8>> {
    in_world(
        contract,
        "package switch-root:policy@0.2.0 {
            interface log {
                log: func(message: string);
            }
        }

        world refused {
            import switch-root:policy/log@0.2.0;
            export switch-root:policy/preservation@0.1.0;
        }",
    )
}

/// A policy for hosts of two versions: it answers `preservation` of this one and of 0.2.0. The
/// host runs it; like all that is made here it traps when it is asked.
///
/// # Errors
///
/// If `contract` is not the text of the contract.
pub fn of_two_versions(contract: &str) -> Result<Vec<u8>> {
    in_world(
        contract,
        "package switch-root:policy@0.2.0 {
            interface preservation {
                review: func();
            }
        }

        world refused {
            export switch-root:policy/preservation@0.2.0;
            export switch-root:policy/preservation@0.1.0;
        }",
    )
}

/// The core module of a policy that answers `preservation`: what a compiler makes before it
/// is turned into a component.
///
/// # Errors
///
/// If `contract` is not the text of the contract.
pub fn core_module(contract: &str) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    let world = preservation_world(&mut resolve, contract)?;
    dummy_module(&resolve, world)
}

/// The first half of a component.
pub fn truncated(component: &[u8]) -> Vec<u8> {
    component[..component.len() / 2].to_vec()
}

/// A component of the world `refused`, which stands in `text` behind the packages that it needs
/// beside the contract.
fn in_world(contract: &str, text: &str) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    push(&mut resolve, contract)?;
    let text = format!("package switch-root:refused;\n\n{text}");
    let package = resolve.push_str("refused.wit", &text)?;
    let world = resolve.select_world(&[package], Some("refused"))?;
    dummy_component(&resolve, world)
}

fn replace(contract: &str, from: &str, to: &str) -> Result<String> {
    ensure!(
        contract.contains(from),
        "the contract does not say {from:?}: it changed, so change this too"
    );
    Ok(contract.replace(from, to))
}

fn push(resolve: &mut Resolve, contract: &str) -> Result<PackageId> {
    resolve
        .push_str("policy.wit", contract)
        .context("reading the text of the contract")
}

fn preservation_world(resolve: &mut Resolve, contract: &str) -> Result<WorldId> {
    let package = push(resolve, contract)?;
    resolve.select_world(&[package], Some("preservation-policy"))
}

/// A module with the imports and exports of the world, and a trap in each function.
fn dummy_module(resolve: &Resolve, world: WorldId) -> Result<Vec<u8>> {
    let mut module = wit_component::dummy_module(
        resolve,
        world,
        ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync),
    );
    wit_component::embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)?;
    Ok(module)
}

fn dummy_component(resolve: &Resolve, world: WorldId) -> Result<Vec<u8>> {
    Ok(encode(&dummy_module(resolve, world)?)?)
}

#[cfg(test)]
mod tests {
    use toolkit::component::{Interfaces, interfaces};

    use super::*;

    const CONTRACT: &str = include_str!("../../../wit/policy.wit");

    fn of(component: Result<Vec<u8>>) -> Interfaces {
        interfaces(&component.unwrap()).unwrap()
    }

    fn imports(component: &Interfaces, expected: &str) {
        let found = component.imports.iter().any(|import| import == expected);
        assert!(found, "{component:?}");
    }

    #[test]
    fn refused_components_are_wrong_in_one_respect() {
        let wasi = of(importing_wasi(CONTRACT));
        imports(&wasi, "wasi:cli/environment@0.2.0");
        imports(&wasi, "wasi:filesystem/types@0.2.0");
        assert_eq!(wasi.exports, ["switch-root:policy/preservation@0.1.0"]);
        for version in ["0.2.0", "1.0.0", "0.1.0-rc.1"] {
            let other = of(of_version(CONTRACT, version));
            assert_eq!(
                other.exports,
                [format!("switch-root:policy/preservation@{version}")]
            );
        }
        let later = of(calling_later(CONTRACT));
        imports(&later, "switch-root:policy/log@0.1.1");
        assert_eq!(later.exports, ["switch-root:policy/preservation@0.1.1"]);
        let other = of(importing_other_log(CONTRACT));
        imports(&other, "switch-root:policy/log@0.2.0");
        assert_eq!(other.exports, ["switch-root:policy/preservation@0.1.0"]);
        let mut two = of(of_two_versions(CONTRACT));
        two.exports.sort();
        assert_eq!(
            two.exports,
            [
                "switch-root:policy/preservation@0.1.0",
                "switch-root:policy/preservation@0.2.0"
            ]
        );
        let module = core_module(CONTRACT).unwrap();
        assert!(wasmparser::Parser::is_core_wasm(&module));
        let component = encode(&module).unwrap();
        assert_eq!(
            interfaces(&component).unwrap().exports,
            ["switch-root:policy/preservation@0.1.0"]
        );
        assert!(interfaces(&truncated(&component)).is_err());
        assert!(encode(&component).is_err());
    }
}
