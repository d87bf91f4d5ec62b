//! Loads, limits and asks switch-root policies.
//!
//! A policy is a WebAssembly component that answers the questions of `wit/`:
//! which paths of the initramfs survive, and which system extensions are
//! compatible. This crate finds policies in their folders ([`folder`]), runs
//! them in an unprivileged child process ([`judge`], started by [`session`]),
//! holds their answers against the contract ([`answer`]) and gives back plain
//! values ([`preservation`], [`compatibility`]). It knows nothing of mounts,
//! and performs no system call on behalf of a policy.

pub mod account;
mod address_space;
pub mod answer;
pub mod bindings;
pub mod compatibility;
#[cfg(feature = "compile")]
pub mod component;
pub mod consequence;
pub mod contract;
#[cfg(feature = "tools")]
pub mod description;
pub mod engine;
mod filter;
pub mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod instance;
mod judge;
pub mod native;
pub mod outcomes;
mod owner;
pub mod preservation;
mod protocol;
#[cfg(all(test, feature = "compile"))]
mod published;
mod sandbox;
pub mod session;
pub mod sidecar;
pub mod source;
pub mod trust;

pub use bindings::log::Level;
