//! Manifests and indexes as they are written.

use oci_spec::image::{ImageIndex, ImageManifest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

switch_root_core::outcomes! {
    /// Why a manifest or an index is not read.
    pub enum Unread in "manifests" {
        /// Something else is in the place of a manifest.
        "SR-O65" Oversized { what: String, most: u64 } = "the manifest {what} is larger than {most} bytes, which no manifest is",
        /// The tool that pushed the image writes what others do not read, or read otherwise. Push it
        /// again with another one.
        "SR-O66" Ambiguous { digest: String } = "the manifest {digest} is an index and an image at once, so readers differ about it",
        "SR-O67" MediaType { digest: String, media_type: String } = "the manifest {digest} is of the media type `{media_type}`, which is not an image",
        "SR-O68" Schema1 { digest: String } = "the manifest {digest} is of Docker's schema 1, which has no digests of its layers as they are and is not read; push the image again with a tool of today",
        "SR-O69" Malformed { what: String, why: String } = "{what} is malformed: {why}",
    }
}

/// Bytes of a manifest, an index or a configuration.
pub(super) const LIMIT: u64 = 4 << 20;

/// What may be asked of a registry for an image's name, and is understood here.
pub(super) const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A manifest or an index before it is read.
pub(super) struct Document {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// What it was said to be, where it was.
    pub(super) media_type: Option<String>,
    /// What names it.
    pub(super) digest: String,
}

/// A manifest that is too large.
pub(super) fn oversized(what: &str) -> Error {
    Error::input(Unread::Oversized {
        what: escape::message(what, 200),
        most: LIMIT,
    })
}

/// What a document turned out to be.
pub(super) enum Parsed {
    Image(Box<ImageManifest>),
    Index(Box<ImageIndex>),
}

/// Enough of a document to know what it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Probe {
    schema_version: Option<u64>,
    media_type: Option<String>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    layers: Option<serde::de::IgnoredAny>,
}

/// Whether something can be a manifest or an index at all. A mirror that has none may
/// answer with a page for people.
pub(super) fn is_manifest(bytes: &[u8]) -> bool {
    serde_json::from_slice::<Probe>(bytes).is_ok()
}

/// Reads a document by its media type.
///
/// # Errors
/// It is malformed, or of a type that is not read.
pub(super) fn read(document: &Document) -> Result<Parsed> {
    let probe: Probe = json(&document.bytes, &document.digest)?;
    if probe.manifests.is_some() && probe.layers.is_some() {
        let digest = document.digest.clone();
        return Err(Error::input(Unread::Ambiguous { digest }));
    }
    let media_type = probe.media_type.as_deref().map(essence).or_else(|| {
        // `text/plain` and the like say nothing about it.
        let said = essence(document.media_type.as_deref()?);
        said.starts_with("application/vnd.").then_some(said)
    });
    match media_type.as_deref() {
        _ if probe.schema_version == Some(1) => Err(schema1(document)),
        Some(
            "application/vnd.docker.distribution.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v1+prettyjws",
        ) => Err(schema1(document)),
        Some(
            "application/vnd.oci.image.index.v1+json"
            | "application/vnd.docker.distribution.manifest.list.v2+json",
        ) => Ok(Parsed::Index(json(&document.bytes, &document.digest)?)),
        Some(
            "application/vnd.oci.image.manifest.v1+json"
            | "application/vnd.docker.distribution.manifest.v2+json",
        ) => Ok(Parsed::Image(json(&document.bytes, &document.digest)?)),
        None if probe.manifests.is_some() => {
            Ok(Parsed::Index(json(&document.bytes, &document.digest)?))
        }
        None if probe.layers.is_some() => {
            Ok(Parsed::Image(json(&document.bytes, &document.digest)?))
        }
        other => Err(Error::input(Unread::MediaType {
            digest: document.digest.clone(),
            media_type: escape::message(other.unwrap_or("unknown"), 200),
        })),
    }
}

fn schema1(document: &Document) -> Error {
    let digest = document.digest.clone();
    Error::input(Unread::Schema1 { digest })
}

/// Parses a document of an image.
pub(super) fn json<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::input(Unread::Malformed {
            what: escape::message(what, 200),
            why: escape::message(&error.to_string(), 200),
        })
    })
}

/// A media type without parameters, such as `charset=utf-8`, in small letters.
pub(crate) fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_read_without_their_parameters() {
        for (written, read) in [
            ("application/json", "application/json"),
            ("Application/JSON; charset=utf-8", "application/json"),
            (" a/b ;x=y;z", "a/b"),
            ("", ""),
        ] {
            assert_eq!(essence(written), read);
        }
    }
}
