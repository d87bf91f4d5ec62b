//! Images of registries.

use std::io::Read;

use oci_spec::image::Descriptor;
use switch_root_core::error::Result;

use super::digest;
use super::platform::Platform;
use super::repository::Repository;
use super::resolve;
use super::resume::Blob;
use super::store::{Image, Layer, Store};

impl Repository<'_> {
    /// The image that the reference names.
    ///
    /// # Errors
    /// See [`resolve::resolve`].
    pub(super) fn resolve(&self, platform: &Platform) -> Result<Image> {
        let start = match self.reference.digest() {
            Some(digest) => self.by_digest(digest)?,
            None => self.by_tag()?,
        };
        resolve::resolve(self, start, platform)
    }
}

impl Store for Repository<'_> {
    fn manifest(&self, descriptor: &Descriptor) -> Result<Vec<u8>> {
        let digest = descriptor.digest();
        self.document(digest.as_ref(), |document| {
            let what = format!("the manifest {digest}");
            digest::verify(&document.bytes, digest, &what)?;
            Ok(document)
        })
        .map(|document| document.bytes)
    }

    fn blob(&self, key: &str, size: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(Blob::new(self, key, size, &[])))
    }

    fn layer(&self, layer: &Layer) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(Blob::new(
            self,
            &layer.key,
            layer.size,
            &layer.urls,
        )))
    }

    fn givers(&self) -> Option<String> {
        let hosts: Vec<&str> = self.endpoints.iter().map(|one| one.host.as_str()).collect();
        (hosts.len() > 1).then(|| hosts.join(" or "))
    }
}
