//! The list of extensions in a machine configuration.

use crate::configuration::Configured;

/// The keys that lead to the list.
pub(super) const PATH: [&str; 3] = ["machine", "install", "extensions"];

/// The images that it names, in their order.
pub(super) fn images(extensions: &[Configured]) -> Vec<&str> {
    let images = extensions.iter();
    images
        .map(|extension| extension.image.text.as_str())
        .collect()
}
