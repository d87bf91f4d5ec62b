//! Components and near-components that the host has to refuse, each for a reason of its own.
//! They are made from the text of the contract, `wit/policy.wit`, so they are wrong in one
//! respect only.

use anyhow::{Context, Result, ensure};
use wit_component::StringEncoding;
use wit_parser::{ManglingAndAbi, Resolve, WorldId};
use workshop::component::encode;

/// The version that the contract has, as its package statement ends.
const VERSION: &str = "package switch-root:policy@0.1.0;";

/// A policy that answers `preservation` and also imports WASI's environment and file
/// system.
///
/// # Errors
///
/// If `contract` is not the text of the contract.
pub fn importing_wasi(contract: &str) -> Result<Vec<u8>> {
    let mut resolve = Resolve::default();
    push(&mut resolve, contract)?;
    let world = "
        package switch-root:refused;

        package wasi:cli@0.2.0 {
            interface environment {
                get-environment: func() -> list<tuple<string, string>>;
            }
        }

        package wasi:filesystem@0.2.0 {
            interface types {
                remove-directory-at: func(descriptor: u32, path: string) -> result;
            }
        }

        world importing-wasi {
            import switch-root:policy/log@0.1.0;
            import wasi:cli/environment@0.2.0;
            import wasi:filesystem/types@0.2.0;
            export switch-root:policy/preservation@0.1.0;
        }";
    let package = resolve.push_str("refused.wit", world)?;
    let world = resolve.select_world(&[package], Some("importing-wasi"))?;
    dummy_component(&resolve, world)
}

/// A policy that answers `preservation` of version 0.2.0 of the contract, which is the same
/// but for its version.
///
/// # Errors
///
/// If `contract` is not the text of the contract.
pub fn of_another_version(contract: &str) -> Result<Vec<u8>> {
    ensure!(
        contract.contains(VERSION),
        "the contract does not say {VERSION:?}: its version changed, so change this too"
    );
    let contract = contract.replace(VERSION, &VERSION.replace("0.1.0", "0.2.0"));
    let mut resolve = Resolve::default();
    let world = preservation_world(&mut resolve, &contract)?;
    dummy_component(&resolve, world)
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

fn push(resolve: &mut Resolve, contract: &str) -> Result<wit_parser::PackageId> {
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
    use super::*;
    use workshop::component::interfaces;

    const CONTRACT: &str = include_str!("../../../wit/policy.wit");

    #[test]
    fn refused_components_are_wrong_in_one_respect() {
        let wasi = interfaces(&importing_wasi(CONTRACT).unwrap()).unwrap();
        for expected in ["wasi:cli/environment@0.2.0", "wasi:filesystem/types@0.2.0"] {
            assert!(
                wasi.imports.iter().any(|import| import == expected),
                "{wasi:?}"
            );
        }
        assert_eq!(wasi.exports, ["switch-root:policy/preservation@0.1.0"]);

        let other = interfaces(&of_another_version(CONTRACT).unwrap()).unwrap();
        assert_eq!(other.exports, ["switch-root:policy/preservation@0.2.0"]);

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
