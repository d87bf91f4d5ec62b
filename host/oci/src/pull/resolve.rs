//! From what an image is named by to its layers.

use oci_spec::image::ImageManifest;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

use super::configuration;
use super::digest;
use super::document::{Document, Parsed, essence, read};
use super::index::choose;
use super::platform::Platform;
use super::store::{Image, Layer, Store, fetch};

switch_root_core::outcomes! {
    /// Why an image is not one that is unpacked.
    pub enum Unfit in "manifests" {
        /// No tool writes such images.
        "SR-O46" Nesting { most: usize } = "the image has more than {most} indexes in each other",
        /// Something else is under that name.
        "SR-O47" Component = "it is a component of WebAssembly and no container image; a policy is pulled with `srctl policy pull`",
        "SR-O48" MediaType { digest: String, media_type: String } = "the layer {digest} is of the media type `{media_type}`, which is not unpacked",
    }
}

/// Indexes in each other.
const NESTING: usize = 4;

/// What layers of images are, each also with the compression behind it.
const LAYERS: [&str; 4] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
];

/// How layers are compressed, in the words of both standards.
const COMPRESSIONS: [&str; 5] = ["", "+gzip", "+zstd", ".gzip", ".zstd"];

/// Follows indexes to the platform's manifest.
///
/// # Errors
/// There is no image for the platform ([`Kind::NotFound`]); a document is not
/// what its digest says, malformed, or of an unknown type; what the store says.
pub(super) fn resolve(store: &dyn Store, start: Document, platform: &Platform) -> Result<Image> {
    let found = manifest(store, start, platform)?;
    if !found.chosen {
        configuration::check(store, &found.manifest, platform)?;
    }
    Ok(Image {
        digest: found.digest,
        layers: layers(&found.manifest)?,
    })
}

/// A manifest that indexes have led to.
pub(super) struct Found {
    /// Its digest.
    pub(super) digest: String,
    /// What it says.
    pub(super) manifest: Box<ImageManifest>,
    /// An index says that it is for the platform.
    chosen: bool,
}

/// Follows indexes to the platform's manifest, whatever that is of.
///
/// # Errors
/// See [`resolve`].
pub(super) fn manifest(store: &dyn Store, start: Document, platform: &Platform) -> Result<Found> {
    let mut document = start;
    let mut chosen = false;
    for _ in 0..NESTING {
        match read(&document)? {
            Parsed::Image(manifest) => {
                return Ok(Found {
                    digest: document.digest,
                    manifest,
                    chosen,
                });
            }
            Parsed::Index(index) => {
                let (descriptor, by_platform) = choose(index.manifests(), platform)?;
                chosen |= by_platform;
                document = fetch(store, descriptor)?;
            }
        }
    }
    Err(Error::input(Unfit::Nesting { most: NESTING }))
}

fn layers(manifest: &ImageManifest) -> Result<Vec<Layer>> {
    manifest
        .layers()
        .iter()
        .map(|layer| {
            let text = essence(layer.media_type().as_ref());
            if text == "application/wasm" || text.ends_with(".wasm.content.layer.v1+wasm") {
                return Err(Error::input(Unfit::Component));
            }
            if !is_layer(&text) {
                return Err(Error::input(Unfit::MediaType {
                    digest: layer.digest().to_string(),
                    media_type: escape::message(&text, 200),
                }));
            }
            Ok(Layer {
                key: layer.digest().to_string(),
                size: layer.size(),
                digest: Some(digest::parse(layer.digest().as_ref())?),
                diff_id: None,
                urls: layer.urls().clone().unwrap_or_default(),
            })
        })
        .collect()
}

fn is_layer(media_type: &str) -> bool {
    let mut layers = LAYERS.iter();
    let compression = layers.find_map(|layer| media_type.strip_prefix(layer));
    compression.is_some_and(|compression| COMPRESSIONS.contains(&compression))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_known_by_their_media_types() {
        for layer in [
            "application/vnd.oci.image.layer.v1.tar",
            "application/vnd.oci.image.layer.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ] {
            assert!(is_layer(layer), "{layer}");
        }
        for other in ["application/vnd.oci.image.layer.v1.tar+bzip2", "text/html"] {
            assert!(!is_layer(other), "{other}");
        }
    }
}
