//! Ending early when the user asks for it, with everything cleaned up: long
//! work asks [`check`] now and then, and ends with an error like any other, so
//! that what it was making goes the way that it goes on errors.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{Error, Kind, Result};

crate::outcomes! {
    /// That the user ended the program.
    pub enum Interrupted in "system" {
        /// By Ctrl-C, or by another signal that asks a program to end.
        "SR-U23" ByUser = "interrupted; nothing was left half-written",
    }
}

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// The flag that a signal handler sets.
pub fn flag() -> Arc<AtomicBool> {
    FLAG.get_or_init(Arc::default).clone()
}

/// Ends the work where the user has interrupted it.
///
/// # Errors
/// [`Kind::Interrupted`].
pub fn check() -> Result<()> {
    if FLAG.get().is_some_and(|flag| flag.load(Ordering::Relaxed)) {
        return Err(Error::new(Kind::Interrupted, Interrupted::ByUser));
    }
    Ok(())
}
