//! The contract of `wit/` as Rust types and calls, generated at compile time.
//!
//! One world per question: a component is bound only to the interfaces that it
//! exports, so that a policy with one opinion is as good as a policy with all.
#![allow(missing_docs)] // The documentation of these items is that of wit/policy.wit.

/// What the names of the contract's interfaces begin with.
pub const PACKAGE: &str = "switch-root:policy/";

/// The question which paths survive, and the types of all questions.
pub mod preservation {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "preservation-policy",
        imports: { default: trappable },
        additional_derives: [Clone, PartialEq, serde::Serialize, serde::Deserialize],
    });
}

/// The question which extensions are compatible.
pub mod compatibility {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "compatibility-policy",
        with: {
            "switch-root:policy/types": super::preservation::switch_root::policy::types,
            "switch-root:policy/log": super::preservation::switch_root::policy::log,
        },
    });
}

/// Settings, for the policies that have some.
pub mod settings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "configurable-policy",
        with: {
            "switch-root:policy/log": super::preservation::switch_root::policy::log,
        },
    });
}

pub use preservation::switch_root::policy::{log, types};
