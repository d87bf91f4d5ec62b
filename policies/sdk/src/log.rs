//! Messages for the operator, which the host writes to its own log under the policy's name.
//!
//! There is a function and a macro for each level: `log::info("text")` costs the component
//! next to nothing, `log::info!("{count} files")` brings the formatting code of the standard
//! library with it (about 10 KB). The message of a panic is logged too, at `error`, unless the
//! feature `panics` is left out; a policy without that and without messages does not import the
//! host's log.
//!
//! The host caps messages in count and in size, escapes control characters, and reports what
//! it dropped. In a native build, which is where a policy's tests run, they go to stderr.

use crate::bindings::preservation::switch_root::policy::log::Level;

/// Something went wrong.
pub fn error(message: &str) {
    write(Level::Error, message);
}

/// Something is not as it should be.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// What an operator would like to read at each boot.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// What helps to find out why.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

#[cfg(target_family = "wasm")]
fn write(level: Level, message: &str) {
    crate::bindings::preservation::switch_root::policy::log::log(level, message);
}

#[cfg(not(target_family = "wasm"))]
fn write(level: Level, message: &str) {
    eprintln!("{level:?}: {message}");
}

/// Like [`error()`](fn@error), with the arguments of [`format!`].
#[doc(inline)]
pub use crate::__log_error as error;

/// Like [`warn()`](fn@warn), with the arguments of [`format!`].
#[doc(inline)]
pub use crate::__log_warn as warn;

/// Like [`info()`](fn@info), with the arguments of [`format!`].
#[doc(inline)]
pub use crate::__log_info as info;

/// Like [`debug()`](fn@debug), with the arguments of [`format!`].
#[doc(inline)]
pub use crate::__log_debug as debug;

#[doc(hidden)]
#[macro_export]
macro_rules! __log_error {
    ($($argument:tt)+) => { $crate::log::error(&::std::format!($($argument)+)) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_warn {
    ($($argument:tt)+) => { $crate::log::warn(&::std::format!($($argument)+)) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_info {
    ($($argument:tt)+) => { $crate::log::info(&::std::format!($($argument)+)) };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __log_debug {
    ($($argument:tt)+) => { $crate::log::debug(&::std::format!($($argument)+)) };
}
