//! What `docker save` writes: a tar archive with `manifest.json`, or, by newer
//! tools, with an OCI image layout.

use std::io::Read;
use std::path::Path;

use oci_spec::distribution::Reference;
use oci_spec::image::Descriptor;
use serde::Deserialize;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;

use super::configuration::Configuration;
use super::digest;
use super::document::json;
use super::files::{Archive, Files, Holds};
use super::layout::Layout;
use super::platform::Platform;
use super::store::{Image, Layer, Store};

switch_root_core::outcomes! {
    /// Why a file is no archive of images.
    pub enum NoArchive in "manifests" {
        /// `docker save` and `skopeo copy` write such archives.
        "SR-O60" NoImages { place: String } = "{place} is not an archive of images: it has neither `manifest.json` nor `index.json`",
        /// The tool that made the archive writes what others do not read. Make it with another one.
        "SR-O61" Layers { what: String, digests: usize, layers: usize } = "{what} has the digests of {digests} layers, manifest.json has {layers}",
    }
}

/// An archive of images.
pub(super) enum DockerArchive {
    /// With `manifest.json`.
    Docker(Archive),
    /// With `index.json` alone.
    Oci(Layout<Archive>),
}

/// One image of `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Entry {
    fn tags(&self) -> &[String] {
        self.repo_tags.as_deref().unwrap_or_default()
    }

    /// Whether a name means it: `busybox` is `docker.io/library/busybox:latest`.
    fn is(&self, name: &str) -> bool {
        let whole = |name: &str| name.parse::<Reference>().map(|name| name.whole()).ok();
        let wanted = whole(name);
        self.tags()
            .iter()
            .any(|tag| tag == name || (wanted.is_some() && whole(tag) == wanted))
    }
}

impl DockerArchive {
    /// # Errors
    /// The file cannot be read, or is no such archive.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let archive = Archive::open(path)?;
        if archive.has("manifest.json") {
            return Ok(Self::Docker(archive));
        }
        if archive.has("index.json") {
            return Ok(Self::Oci(Layout::new(archive)?));
        }
        let place = archive.place();
        Err(Error::input(NoArchive::NoImages { place }))
    }

    /// The image of that name; where there is one alone, it needs no name.
    ///
    /// # Errors
    /// There is none, or several; it is for another platform; a document is
    /// malformed.
    pub(super) fn resolve(&self, name: Option<&str>, platform: &Platform) -> Result<Image> {
        let archive = match self {
            Self::Oci(layout) => return layout.resolve(name, platform),
            Self::Docker(archive) => archive,
        };
        let what = format!("manifest.json of {}", archive.place());
        let entries: Vec<Entry> = json(&archive.read("manifest.json")?, &what)?;
        let entry = choose(&entries, name, archive.place())?;
        let bytes = archive.read(&entry.config)?;
        let what = format!(
            "the configuration {} of {}",
            escape::message(&entry.config, 200),
            archive.place()
        );
        // It is named by its digest, but not by all tools.
        if let Some(digest) = named_digest(&entry.config) {
            digest::verify(&bytes, &digest::parse(&digest)?, &what)?;
        }
        let configuration: Configuration = json(&bytes, &what)?;
        configuration.check(platform)?;
        let diff_ids = &configuration.rootfs.diff_ids;
        if diff_ids.len() != entry.layers.len() {
            return Err(Error::input(NoArchive::Layers {
                what,
                digests: diff_ids.len(),
                layers: entry.layers.len(),
            }));
        }
        let layers = entry
            .layers
            .iter()
            .zip(diff_ids)
            .map(|(layer, diff_id)| {
                Ok(Layer {
                    key: layer.clone(),
                    size: archive.open(layer)?.1,
                    digest: None,
                    diff_id: Some(digest::parse(diff_id)?),
                    urls: Vec::new(),
                })
            })
            .collect::<Result<_>>()?;
        Ok(Image {
            digest: digest::sha256(&bytes),
            layers,
        })
    }
}

fn choose<'a>(entries: &'a [Entry], name: Option<&str>, place: String) -> Result<&'a Entry> {
    let tags = || {
        let tags: Vec<&str> = entries
            .iter()
            .flat_map(Entry::tags)
            .map(String::as_str)
            .collect();
        escape::message(&tags.join(", "), 1000)
    };
    match (name, entries) {
        (None, [only]) => Ok(only),
        (None, []) => Err(Error::new(Kind::NotFound, Holds::Nothing { place })),
        (None, _) => Err(Error::input(Holds::Several {
            place,
            names: tags(),
        })),
        (Some(name), _) => entries.iter().find(|entry| entry.is(name)).ok_or_else(|| {
            let others = Holds::Others {
                place,
                name: escape::message(name, 200),
                names: tags(),
            };
            Error::new(Kind::NotFound, others)
        }),
    }
}

/// The digest that a name has: `HEX.json` or `blobs/sha256/HEX`.
fn named_digest(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".json").unwrap_or(name);
    let hex = stem.strip_prefix("blobs/sha256/").unwrap_or(stem);
    let is_hex = hex.len() == 64
        && hex
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    is_hex.then(|| format!("sha256:{hex}"))
}

impl Store for DockerArchive {
    fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        match self {
            Self::Docker(archive) => archive.read(descriptor.digest().as_ref()),
            Self::Oci(layout) => layout.manifest(descriptor),
        }
    }

    fn blob(&self, key: &str, size: u64) -> Result<Box<dyn Read + Send + '_>> {
        match self {
            Self::Docker(archive) => Ok(archive.open(key)?.0),
            Self::Oci(layout) => layout.blob(key, size),
        }
    }
}
