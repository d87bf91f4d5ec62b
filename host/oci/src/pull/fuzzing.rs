//! What the fuzzer drives of pulling: what registries and folders answer.

use std::io::{self, Read};
use std::path::Path;

use oci_spec::image::Descriptor;
use switch_root_core::error::Result;
use ureq::http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};

use super::challenge::{self, Challenge};
use super::digest;
use super::docker_archive::DockerArchive;
use super::docker_config::DockerConfig;
use super::document::Document;
use super::platform::Platform;
use super::resolve::resolve;
use super::store::{Layer, Store};
use crate::unpack::unread;

/// A store in which the same bytes stand behind every name.
struct Everywhere<'a>(&'a [u8]);

impl Store for Everywhere<'_> {
    fn manifest(&self, _: &Descriptor) -> Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }

    fn blob(&self, _: &str, _: u64) -> Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(self.0))
    }
}

/// The digests and sizes of the layers that a manifest or an index leads to, where
/// everything that it names holds `behind`.
///
/// # Errors
/// There is no image; see [`resolve`].
pub fn image(
    document: &[u8],
    media_type: Option<&str>,
    behind: &[u8],
    platform: &Platform,
) -> Result<Vec<(String, u64)>> {
    let start = Document {
        bytes: document.to_vec(),
        media_type: media_type.map(str::to_owned),
        digest: digest::sha256(document),
    };
    let image = resolve(&Everywhere(behind), start, platform)?;
    let layers = image.layers.into_iter();
    Ok(layers.map(|layer| (layer.key, layer.size)).collect())
}

/// The layers of an image in an archive of images, as `docker save` writes it or with an
/// OCI layout, and how many bytes are read of each.
///
/// # Errors
/// It is no such archive, holds no such image, or does not hold all of it.
pub fn archived(
    path: &Path,
    name: Option<&str>,
    platform: &Platform,
) -> Result<Vec<(String, u64)>> {
    let archive = DockerArchive::open(path)?;
    let image = archive.resolve(name, platform)?;
    let read = |layer: Layer| {
        let mut blob = archive.blob(&layer.key, layer.size)?;
        let bytes = io::copy(&mut blob, &mut io::sink()).map_err(|error| unread(&error))?;
        Ok((layer.key, bytes))
    };
    image.layers.into_iter().map(read).collect()
}

/// Where a token is to be had, for whom and for what, as a header asks for it.
pub fn challenge(header: &[u8]) -> Option<(String, Option<String>, Option<String>)> {
    let mut headers = HeaderMap::new();
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_bytes(header).ok()?);
    match challenge::choose(&headers)? {
        Challenge::Basic => None,
        Challenge::Bearer {
            realm,
            service,
            scope,
        } => Some((realm, service, scope)),
    }
}

/// Whether a file of Docker's settings has credentials for a registry.
///
/// # Errors
/// It is malformed.
pub fn docker_config(path: &Path, host: &str) -> Result<bool> {
    let mut config = DockerConfig::read(path)?;
    // No program is started.
    config.forget_helpers();
    config.credentials(host, "a/b").map(|found| found.is_some())
}
