//! Configurations of images: which platform they are for, and what their layers are
//! without compression.

use oci_spec::image::ImageManifest;
use serde::Deserialize;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use switch_root_core::progress::Silent;

use super::document::{LIMIT, essence, json};
use super::platform::{Platform, Unfit};
use super::store::{Store, whole};

/// What of an image's configuration matters here.
#[derive(Deserialize)]
pub(super) struct Configuration {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    variant: Option<String>,
    /// Digests of the layers without compression.
    #[serde(default)]
    pub(super) rootfs: RootFs,
}

/// See [`Configuration`].
#[derive(Default, Deserialize)]
pub(super) struct RootFs {
    /// The lowest first.
    #[serde(default)]
    pub(super) diff_ids: Vec<String>,
}

impl Configuration {
    /// # Errors
    /// The image is for another platform. One that does not say is for any.
    pub(super) fn check(&self, platform: &Platform) -> Result<()> {
        let there = Platform::new(&self.os, &self.architecture, self.variant.as_deref());
        if there.os.is_empty() || there.architecture.is_empty() || platform.takes(&there) {
            return Ok(());
        }
        let others = Unfit::Others {
            platform: platform.to_string(),
            there: escape::message(&there.to_string(), 100),
        };
        Err(Error::new(Kind::NotFound, others))
    }
}

/// Checks what an image is for that no index has told: its configuration says it.
///
/// # Errors
/// It is for another platform; the configuration is malformed or cannot be read.
pub(super) fn check(
    store: &dyn Store,
    manifest: &ImageManifest,
    platform: &Platform,
) -> Result<()> {
    let descriptor = manifest.config();
    let known = [
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",
    ];
    if !known.contains(&essence(descriptor.media_type().as_ref()).as_str()) {
        return Ok(());
    }
    let what = format!("the configuration {}", descriptor.digest());
    let bytes = whole(store, descriptor, &what, LIMIT, &Silent)?;
    json::<Configuration>(&bytes, &what)?.check(platform)
}
