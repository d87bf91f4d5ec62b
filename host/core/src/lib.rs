//! What all of switch-root is built on: paths and how they are shown, sizes and places,
//! `extensions.yaml` and os-release, what is preserved, and how policies fail.
//!
//! Nothing here runs WebAssembly, asks a network or mounts anything, and nothing here
//! depends on another crate of the project.

pub mod architecture;
#[cfg(feature = "tools")]
pub mod child;
pub mod command_line;
pub mod contract;
#[cfg(feature = "tools")]
pub mod error;
pub mod escape;
pub mod extensions;
pub mod failure;
pub mod file;
pub mod file_kind;
#[cfg(feature = "tools")]
pub mod interrupt;
pub mod judged;
pub mod keep;
pub mod layer_rules;
mod lenient;
pub mod limits;
pub mod locations;
pub mod os_release;
pub mod outcome;
#[cfg(feature = "tools")]
pub mod output;
pub mod parameters;
pub mod path;
pub mod plan;
pub mod preserved;
pub mod program_note;
#[cfg(feature = "tools")]
pub mod progress;
#[cfg(feature = "tools")]
pub mod reading;
pub mod report;
pub mod resolve;
pub mod tables;
pub mod text;
pub mod walk;
pub mod yaml;
