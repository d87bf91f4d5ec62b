//! OCI image layouts: `index.json`, and the blobs that it leads to.

use std::io::Read;
use std::path::Path;

use oci_spec::image::{Descriptor, ImageIndex};
use serde::Deserialize;
use switch_root_core::error::{Attempt, Error, Kind, Result};
use switch_root_core::escape;

use super::digest;
use super::document::{Document, LIMIT, json, oversized};
use super::files::{Archive, Files, Folder, Holds};
use super::index::choose;
use super::platform::Platform;
use super::resolve::resolve;
use super::store::{Image, Store, fetch};

switch_root_core::outcomes! {
    /// Why there is no layout.
    pub enum NoLayout in "manifests" {
        /// Another file or folder was named.
        "SR-O78" DockerSave { place: String } = "{place} is what `docker save` writes, not an OCI archive; name it docker-archive:{place}",
        "SR-O79" NoMarker { place: String } = "{place} is not an OCI image layout: it has no file `oci-layout`",
        /// A tool of another time has made it.
        "SR-O71" Version { what: String, version: String } = "{what} is of version {version}; 1.0.0 is read",
        /// The digest is that of a manifest or an index.
        "SR-O72" NoDigest { place: String, digest: String } = "{place} holds nothing with the digest {digest}",
    }
}

/// By which images in a layout are named.
pub(super) const NAME: &str = "org.opencontainers.image.ref.name";
/// The same by the standard, and by containerd.
const NAMES: [&str; 2] = [NAME, "io.containerd.image.name"];
/// Names that an error lists.
const LISTED: usize = 20;

/// A layout.
pub(super) struct Layout<F> {
    files: F,
}

/// `oci-layout`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Marker {
    image_layout_version: String,
}

impl Layout<Folder> {
    /// The layout in a folder.
    ///
    /// # Errors
    /// See [`Layout::new`].
    pub(super) fn folder(path: &Path) -> Result<Self> {
        Self::new(Folder(path.to_owned()))
    }
}

impl Layout<Archive> {
    /// The layout in a tar archive.
    ///
    /// # Errors
    /// See [`Archive::open`] and [`Layout::new`].
    pub(super) fn archive(path: &Path) -> Result<Self> {
        let archive = Archive::open(path)?;
        if !archive.has("oci-layout") && archive.has("manifest.json") {
            let place = archive.place();
            return Err(Error::input(NoLayout::DockerSave { place }));
        }
        Self::new(archive)
    }
}

impl<F: Files> Layout<F> {
    /// # Errors
    /// It is no layout, or one of a version that is not known.
    pub(super) fn new(files: F) -> Result<Self> {
        if !files.has("oci-layout") {
            let place = files.place();
            return Err(Error::new(Kind::NotFound, NoLayout::NoMarker { place }));
        }
        let what = format!("oci-layout of {}", files.place());
        let marker: Marker = json(&files.read("oci-layout")?, &what)?;
        if !marker.image_layout_version.starts_with("1.") {
            let version = escape::message(&marker.image_layout_version, 100);
            return Err(Error::input(NoLayout::Version { what, version }));
        }
        Ok(Self { files })
    }

    /// The image of that name; where there is one alone, it needs no name.
    ///
    /// # Errors
    /// There is none, or several; see [`resolve`].
    pub(super) fn resolve(&self, name: Option<&str>, platform: &Platform) -> Result<Image> {
        resolve(self, self.start(name, platform)?, platform)
    }

    /// What has that digest, whether or not it has a name by now.
    fn by_digest(&self, digest: &str) -> Result<Document> {
        let digest = digest::parse(digest)?;
        let blob = path(digest.as_ref())?;
        if !self.files.has(&blob) {
            let none = NoLayout::NoDigest {
                place: self.files.place(),
                digest: digest.to_string(),
            };
            return Err(Error::new(Kind::NotFound, none));
        }
        let bytes = self.files.read(&blob)?;
        digest::verify(&bytes, &digest, &format!("the manifest {digest}"))?;
        Ok(Document {
            bytes,
            // It says so itself, or is known by what it holds.
            media_type: None,
            digest: digest.to_string(),
        })
    }

    /// What is there of that name: see [`Self::resolve`].
    pub(super) fn start(&self, name: Option<&str>, platform: &Platform) -> Result<Document> {
        if let Some(digest) = name.and_then(|name| name.strip_prefix('@')) {
            return self.by_digest(digest);
        }
        let what = format!("index.json of {}", self.files.place());
        let index: ImageIndex = json(&self.files.read("index.json")?, &what)?;
        let entries = index.manifests();
        let found: Vec<Descriptor> = entries
            .iter()
            .filter(|entry| name.is_none_or(|name| names(entry).any(|other| other == name)))
            .cloned()
            .collect();
        let listed = || {
            let mut names: Vec<&str> = entries.iter().flat_map(names).collect();
            names.sort_unstable();
            names.dedup();
            let more = names.len().saturating_sub(LISTED);
            names.truncate(LISTED);
            let names = escape::message(&names.join(", "), 2000);
            match more {
                0 => names,
                _ => format!("{names} and {more} more"),
            }
        };
        let descriptor = match (&*found, name) {
            ([], Some(name)) => {
                let others = Holds::Others {
                    place: self.files.place(),
                    name: escape::message(name, 200),
                    names: listed(),
                };
                return Err(Error::new(Kind::NotFound, others));
            }
            ([], None) => {
                let place = self.files.place();
                return Err(Error::new(Kind::NotFound, Holds::Nothing { place }));
            }
            ([only], _) => only,
            // An image may have several names.
            ([first, others @ ..], _)
                if others.iter().all(|other| other.digest() == first.digest()) =>
            {
                first
            }
            // Several of one name, or of none, are one image for several platforms.
            (several, Some(_)) => choose(several, platform)?.0,
            (several, None) if several.iter().all(|entry| names(entry).next().is_none()) => {
                choose(several, platform)?.0
            }
            _ => {
                return Err(Error::input(Holds::Several {
                    place: self.files.place(),
                    names: listed(),
                }));
            }
        };
        fetch(self, descriptor)
    }
}

fn names(descriptor: &Descriptor) -> impl Iterator<Item = &str> {
    let annotations = descriptor.annotations().as_ref();
    NAMES
        .iter()
        .filter_map(move |key| annotations?.get(*key).map(String::as_str))
}

impl<F: Files> Store for Layout<F> {
    fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let digest = descriptor.digest();
        let (reader, size) = self.files.open(&path(digest.as_ref())?)?;
        if size > LIMIT {
            return Err(oversized(digest.as_ref()));
        }
        let mut bytes = Vec::new();
        reader
            .take(LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                let path = digest.to_string();
                Error::system(Attempt::Read { path }, &error)
            })?;
        Ok(bytes)
    }

    fn blob(&self, key: &str, _size: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(self.files.open(&path(key)?)?.0)
    }
}

/// Where a blob is.
pub(super) fn path(digest: &str) -> Result<String> {
    // One whose algorithm is known is in hexadecimal, so no part of a path.
    let digest = digest::parse(digest)?;
    Ok(format!("blobs/{}/{}", digest.algorithm(), digest.digest()))
}
