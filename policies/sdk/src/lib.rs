//! What a switch-root policy written in Rust is made with.
//!
//! switch-root hands a Linux machine over from its initramfs to its real root, and asks
//! policies before it acts. A policy is a type without values that implements the trait of
//! each question that it answers, and one line that registers it:
//!
//! ```
//! use switch_root_policy::{Decision, Entry, Globs, Preservation, register};
//!
//! struct KeepSshKeys;
//!
//! impl Preservation for KeepSshKeys {
//!     fn review(directory: &[u8], entries: &[Entry]) -> Result<Vec<Decision>, String> {
//!         Ok(Globs::new(["/etc/ssh/ssh_host_*", "/root/.ssh"])?.review(directory, entries))
//!     }
//! }
//!
//! register!(KeepSshKeys: preservation);
//! ```
//!
//! The crate of a policy has `crate-type = ["cdylib"]`. It is compiled for
//! `wasm32-unknown-unknown`, with nothing but the imports of the contract, and the module is
//! then turned into a component.
//!
//! | question | trait | name in [`register!`] |
//! |---|---|---|
//! | Which paths of the initramfs survive? | [`Preservation`] | `preservation` |
//! | May these system extensions be activated? | [`Compatibility`] | `compatibility` |
//! | (takes the settings of the sidecar file) | [`Settings`] | `settings` |
//!
//! The functions of the traits have no `self`: the host may throw an instance away between
//! any two calls, so a policy keeps nothing from one call to the next. The settings are the
//! exception, since they are given anew to each instance; [`Configuration`] holds them.
//!
//! Everything but the registration works on the build machine too, so a policy's own tests
//! are plain `cargo test`.

pub mod constraint;
#[cfg(feature = "json")]
pub mod extra_info;
pub mod log;
pub mod path;
pub mod sentence;

mod configuration;
mod globs;
#[cfg(all(target_family = "wasm", feature = "panics"))]
mod panics;
mod policy;
mod selection;
mod types;

#[doc(hidden)]
pub mod bindings;

pub use configuration::Configuration;
pub use globs::{Globs, InDirectory, PatternError};
pub use policy::{Compatibility, Preservation, Settings};
pub use selection::Selection;
pub use types::{Decision, Entry, Extension, FileKind, HostFacts, Requirement, Verdict};

#[doc(hidden)]
pub use policy::Exported;
