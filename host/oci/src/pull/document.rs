//! Manifests and indexes: from what an image is named by to its layers.

use std::collections::HashMap;
use std::io::{self, Read};

use oci_spec::image::{Descriptor, Digest, ImageIndex, ImageManifest};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use switch_root_core::progress::Task;

use super::configuration;
use super::digest::{self, Checked};
use super::platform::Platform;

/// Bytes of a manifest, an index or a configuration.
pub(super) const LIMIT: u64 = 4 << 20;
/// Indexes in each other.
const NESTING: usize = 4;

/// What may be asked of a registry for an image's name, and is understood here.
pub(super) const MANIFESTS: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// A layer, in the words of the store that it is in.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// What the store knows it by: a digest or the name of a member.
    pub(super) key: String,
    /// Bytes as they are stored.
    pub(super) size: u64,
    /// Of the bytes as they are stored.
    pub(super) digest: Option<Digest>,
    /// Of the archive without compression.
    pub(super) diff_id: Option<Digest>,
    /// Where else it is: layers that may not be given on stay where they are from.
    pub(super) urls: Vec<String>,
}

/// What is to be unpacked.
pub(super) struct Image {
    /// What names it: its manifest's digest; its configuration's where there is
    /// no manifest.
    pub(super) digest: String,
    /// The lowest first.
    pub(super) layers: Vec<Layer>,
}

/// Where images are kept.
pub(super) trait Store: Sync {
    /// The bytes of a manifest or an index, at most [`LIMIT`]; not verified.
    fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>>;
    /// Reads what is known by `key`, of `size` bytes; not verified.
    fn blob(&self, key: &str, size: u64) -> Result<Box<dyn Read + Send + '_>>;
    /// The same of a layer, which may also be elsewhere.
    fn layer(&self, layer: &Layer) -> Result<Box<dyn Read + Send + '_>> {
        self.blob(&layer.key, layer.size)
    }
    /// Who may have given what is read, for errors; nothing where the image's name
    /// says it already.
    fn givers(&self) -> Option<String> {
        None
    }
}

/// A manifest or an index before it is read.
pub(super) struct Document {
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
    /// What it was said to be, where it was.
    pub(super) media_type: Option<String>,
    /// What names it.
    pub(super) digest: String,
}

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
    Err(Error::input(format!(
        "the image has more than {NESTING} indexes in each other"
    )))
}

/// Gets a manifest or an index, and checks it.
pub(super) fn fetch(store: &dyn Store, descriptor: &Descriptor) -> Result<Document> {
    if descriptor.size() > LIMIT {
        return Err(oversized(descriptor.digest().as_ref()));
    }
    digest::parse(descriptor.digest().as_ref())?;
    let bytes = store.manifest(descriptor)?;
    digest::verify(
        &bytes,
        descriptor.digest(),
        &format!("the manifest {}", descriptor.digest()),
    )?;
    Ok(Document {
        bytes,
        media_type: Some(descriptor.media_type().to_string()),
        digest: descriptor.digest().to_string(),
    })
}

/// A manifest that is too large.
pub(super) fn oversized(what: &str) -> Error {
    Error::input(format!(
        "the manifest {} is larger than {LIMIT} bytes, which no manifest is",
        escape::message(what, 200)
    ))
}

enum Parsed {
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

fn read(document: &Document) -> Result<Parsed> {
    let probe: Probe = json(&document.bytes, &document.digest)?;
    if probe.manifests.is_some() && probe.layers.is_some() {
        return Err(Error::input(format!(
            "the manifest {} is an index and an image at once, so readers differ about it",
            document.digest
        )));
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
        other => Err(Error::input(format!(
            "the manifest {} is of the media type `{}`, which is not an image",
            document.digest,
            escape::message(other.unwrap_or("unknown"), 200)
        ))),
    }
}

fn schema1(document: &Document) -> Error {
    Error::input(format!(
        "the manifest {} is of Docker's schema 1, which has no digests of its layers as they are and is not read; push the image again with a tool of today",
        document.digest
    ))
}

/// Parses a document of an image.
pub(super) fn json<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        Error::input(format!(
            "{} is malformed: {}",
            escape::message(what, 200),
            escape::message(&error.to_string(), 200)
        ))
    })
}

/// A media type without parameters, such as `charset=utf-8`, in small letters.
pub(crate) fn essence(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Whether an entry of an index is something that is attached to images, such as an
/// attestation or a signature.
fn is_attached(entry: &Descriptor) -> bool {
    let nowhere = |platform: &oci_spec::image::Platform| platform.os().to_string() == "unknown";
    let annotated = |annotations: &HashMap<String, String>| {
        annotations.contains_key("vnd.docker.reference.type")
    };
    entry.platform().as_ref().is_some_and(nowhere)
        || entry.annotations().as_ref().is_some_and(annotated)
}

/// The entry of an index for a platform, and whether it says that it is.
pub(super) fn choose<'a>(
    entries: &'a [Descriptor],
    platform: &Platform,
) -> Result<(&'a Descriptor, bool)> {
    let images = || entries.iter().filter(|entry| !is_attached(entry));
    let distance = |entry: &&Descriptor| {
        let there = entry.platform().as_ref()?;
        platform.distance(&there.into())
    };
    let fitting = images().filter_map(|entry| Some((distance(&entry)?, entry)));
    if let Some((_, found)) = fitting.min_by_key(|(distance, _)| *distance) {
        return Ok((found, true));
    }
    // What it is for, its configuration says. What is an artifact is that of an image,
    // where there is one.
    let unsaid = || images().filter(|entry| entry.platform().is_none());
    let mut plain = unsaid().filter(|entry| entry.artifact_type().is_none());
    let mut all = unsaid();
    match (plain.next(), plain.next(), all.next(), all.next()) {
        (Some(only), None, ..) | (None, _, Some(only), None) => return Ok((only, false)),
        _ => {}
    }
    let mut there: Vec<String> = images()
        .filter_map(|entry| entry.platform().as_ref())
        .map(|platform| escape::message(&Platform::from(platform).to_string(), 60))
        .collect();
    there.truncate(30);
    Err(Error::new(
        Kind::NotFound,
        match there.len() {
            0 => format!("the image has nothing for the platform {platform}, nor for any other"),
            _ => format!(
                "the image has nothing for the platform {platform}; it is there for {}",
                there.join(", ")
            ),
        },
    ))
}

/// What layers of images are, each also with the compression behind it.
const LAYERS: [&str; 4] = [
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
];

/// How layers are compressed, in the words of both standards.
const COMPRESSIONS: [&str; 5] = ["", "+gzip", "+zstd", ".gzip", ".zstd"];

fn is_layer(media_type: &str) -> bool {
    let mut layers = LAYERS.iter();
    let compression = layers.find_map(|layer| media_type.strip_prefix(layer));
    compression.is_some_and(|compression| COMPRESSIONS.contains(&compression))
}

fn layers(manifest: &ImageManifest) -> Result<Vec<Layer>> {
    manifest
        .layers()
        .iter()
        .map(|layer| {
            let text = essence(layer.media_type().as_ref());
            if text == "application/wasm" || text.ends_with(".wasm.content.layer.v1+wasm") {
                return Err(Error::input(
                    "it is a component of WebAssembly and no container image; a policy is pulled with `srctl policy pull`",
                ));
            }
            if !is_layer(&text) {
                return Err(Error::input(format!(
                    "the layer {} is of the media type `{}`, which is not unpacked",
                    layer.digest(),
                    escape::message(&text, 200)
                )));
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

/// All of a blob that is small enough to be held, checked. `what` is how errors call
/// it.
///
/// # Errors
/// It is larger than `limit` bytes; it is not what its descriptor says; what the
/// store says.
pub(super) fn whole(
    store: &dyn Store,
    descriptor: &Descriptor,
    what: &str,
    limit: u64,
    task: &dyn Task,
) -> Result<Vec<u8>> {
    let size = descriptor.size();
    if size > limit {
        return Err(Error::input(format!(
            "{what} has {size} bytes, and at most {limit} are read"
        )));
    }
    let digest = digest::parse(descriptor.digest().as_ref())?;
    let blob = store.blob(digest.as_ref(), size)?;
    let mut checked = Checked::new(blob, digest, Some(size), what.to_owned())?;
    let mut bytes = Vec::new();
    let mut part = [0; 64 << 10];
    loop {
        match checked.read(&mut part) {
            Ok(0) => return Ok(bytes),
            Ok(read) => {
                bytes.extend_from_slice(&part[..read]);
                task.advance(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::of_copy(format!("cannot read {what}"), &error)),
        }
    }
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

    #[test]
    fn what_is_attached_to_an_image_is_not_the_image() {
        let entry = |other: serde_json::Value| {
            let mut entry = serde_json::json!({
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": digest::sha256(other.to_string().as_bytes()),
                "size": 2,
            });
            if let (Some(entry), Some(other)) = (entry.as_object_mut(), other.as_object()) {
                entry.extend(other.clone());
            }
            serde_json::from_value::<Descriptor>(entry).unwrap()
        };
        let image = entry(serde_json::json!({}));
        let other = entry(serde_json::json!({"annotations": {"x": "y"}}));
        let arm = entry(serde_json::json!({"platform": {"os": "linux", "architecture": "arm64"}}));
        let attached = [
            serde_json::json!({"platform": {"os": "unknown", "architecture": "unknown"}}),
            serde_json::json!({"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}),
            serde_json::json!({"artifactType": "application/vnd.dev.sigstore.bundle"}),
        ]
        .map(entry);
        let platform: Platform = "linux/amd64".parse().unwrap();
        let chosen = |entries: &[&Descriptor]| {
            let entries: Vec<Descriptor> = entries.iter().map(|it| (*it).clone()).collect();
            choose(&entries, &platform).map(|(entry, said)| (entry.clone(), said))
        };
        for one in &attached {
            assert_eq!(chosen(&[one, &image]).unwrap(), (image.clone(), false));
        }
        assert_eq!(chosen(&[&attached[0]]).unwrap_err().kind, Kind::NotFound);
        assert_eq!(chosen(&[&attached[1]]).unwrap_err().kind, Kind::NotFound);
        // An artifact that stands alone is what is wanted.
        let artifact = attached[2].clone();
        assert_eq!(chosen(&[&artifact]).unwrap(), (artifact, false));
        assert_eq!(chosen(&[&arm, &image]).unwrap(), (image.clone(), false));
        let error = chosen(&[&arm, &image, &other]).unwrap_err().to_string();
        assert!(error.contains("it is there for linux/arm64"), "{error}");
    }
}
