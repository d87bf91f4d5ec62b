//! The policy that is embedded in switch-root, `00-default`.
//!
//! It keeps what tells a running system which extensions it was booted with, and admits the
//! extensions that say of themselves that they work with the operating system at hand.

mod compatibility;
mod preservation;

use switch_root_policy::register;

/// The policy: a name for its answers, without a value.
pub struct DefaultPolicy;

register!(DefaultPolicy: preservation, compatibility);

/// Small, and as fast as the one of the standard library for the many short names of a directory.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();
