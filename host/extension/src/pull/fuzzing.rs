//! What the fuzzer drives of pulling: what registries and folders answer.

use std::io::Read;
use std::path::Path;

use oci_spec::image::Descriptor;
use ureq::http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};

use super::challenge::{self, Challenge};
use super::digest;
use super::docker_config::DockerConfig;
use super::document::{self, Document, Store};
use super::platform::Platform;
use crate::error::Result;

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
/// There is no image; see [`document::resolve`].
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
    let image = document::resolve(&Everywhere(behind), start, platform)?;
    let layers = image.layers.into_iter();
    Ok(layers.map(|layer| (layer.key, layer.size)).collect())
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
    config.credentials(host).map(|found| found.is_some())
}
