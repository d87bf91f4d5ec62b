//! The names of entries, as an archive spells them.

use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

/// Bytes of a name or a link's target, as Linux has it.
pub(super) const LENGTH: usize = 4096;

/// The components of an entry's name; none for the root. A `/` in front means
/// the image's root.
///
/// # Errors
/// The name points outside or is no name.
pub(super) fn components(name: &[u8]) -> Result<Vec<&[u8]>> {
    let wrong = |what: &str| {
        Err(Error::input(format!(
            "the layer has an entry `{}`, {what}",
            escape::message(&escape::path(name), 300)
        )))
    };
    if name.len() >= LENGTH {
        return wrong("whose name is longer than Linux takes");
    }
    if name.contains(&0) {
        return wrong("whose name holds a zero byte");
    }
    let path: Vec<&[u8]> = name
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && part != b".")
        .collect();
    if path.contains(&&b".."[..]) {
        return wrong("which points outside of the image with `..`");
    }
    Ok(path)
}
