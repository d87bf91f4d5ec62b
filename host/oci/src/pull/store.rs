//! Where images are kept, and what is read from there and checked.

use std::io::{self, Read};

use oci_spec::image::{Descriptor, Digest};
use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::progress::Task;

use super::digest::{self, Checked};
use super::document::{Document, LIMIT, oversized};

switch_root_core::outcomes! {
    /// Why a blob is not held in memory.
    pub enum TooLarge in "manifests" {
        /// Something else is in the place of a policy or a configuration.
        "SR-O70" Blob { what: String, size: u64, limit: u64 } = "{what} has {size} bytes, and at most {limit} are read",
    }
}

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
        let what = what.to_owned();
        return Err(Error::input(TooLarge::Blob { what, size, limit }));
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
            Err(error) => {
                let path = what.to_owned();
                return Err(Error::of_copy(Attempt::Read { path }, &error));
            }
        }
    }
}
