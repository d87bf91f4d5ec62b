//! The names of entries, as an archive spells them.

use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

switch_root_core::outcomes! {
    /// Why a layer has no place for an entry.
    pub enum Misnamed in "unpacking" {
        /// No tool writes such names: the image was made to write to other places. Do not use it.
        "SR-Y83" TooLong { name: String } = "the layer has an entry `{name}`, whose name is longer than Linux takes",
        "SR-Y84" Zero { name: String } = "the layer has an entry `{name}`, whose name holds a zero byte",
        "SR-Y85" Outside { name: String } = "the layer has an entry `{name}`, which points outside of the image with `..`",
    }
}

/// Bytes of a name or a link's target, as Linux has it.
pub(super) const LENGTH: usize = 4096;

/// The components of an entry's name; none for the root. A `/` in front means
/// the image's root.
///
/// # Errors
/// The name points outside or is no name.
pub(super) fn components(name: &[u8]) -> Result<Vec<&[u8]>> {
    let shown = || escape::message(&escape::path(name), 300);

    if name.len() >= LENGTH {
        return Err(Error::input(Misnamed::TooLong { name: shown() }));
    }
    if name.contains(&0) {
        return Err(Error::input(Misnamed::Zero { name: shown() }));
    }
    let path: Vec<&[u8]> = name
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && part != b".")
        .collect();
    if path.contains(&&b".."[..]) {
        return Err(Error::input(Misnamed::Outside { name: shown() }));
    }
    Ok(path)
}
