//! What wit-bindgen makes of the contract: one module for each world.
//!
//! A world is what a component promises as a whole, and a policy promises only the questions
//! that it answers. So there is one world for each question, and the statement "this component
//! exports that interface" is part of the macro that [`register!`](crate::register) invokes in
//! the policy's own crate, never of this library.

#![allow(
    missing_docs,
    clippy::undocumented_unsafe_blocks,
    reason = "the code is generated; its documentation is the contract's"
)]

/// The world of policies that answer `preservation`. The types and the log of the other worlds
/// are the ones of this module.
pub mod preservation {
    wit_bindgen::generate!({
        path: "wit",
        world: "preservation-policy",
        pub_export_macro: true,
        export_macro_name: "export_preservation",
        generate_unused_types: true,
        additional_derives: [PartialEq, Eq],
    });
}

/// The world of policies that answer `compatibility`.
pub mod compatibility {
    wit_bindgen::generate!({
        path: "wit",
        world: "compatibility-policy",
        pub_export_macro: true,
        export_macro_name: "export_compatibility",
        with: {
            "switch-root:policy/log@0.1.0": crate::bindings::preservation::switch_root::policy::log,
            "switch-root:policy/types@0.1.0": crate::bindings::preservation::switch_root::policy::types,
        },
    });
}

/// The world of policies that have settings.
pub mod settings {
    wit_bindgen::generate!({
        path: "wit",
        world: "configurable-policy",
        pub_export_macro: true,
        export_macro_name: "export_settings",
        with: {
            "switch-root:policy/log@0.1.0": crate::bindings::preservation::switch_root::policy::log,
        },
    });
}
