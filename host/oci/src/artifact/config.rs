//! The configuration of a Wasm artifact: what is in it, for who has not fetched it.

use std::time::{Duration, UNIX_EPOCH};

use oci_spec::image::ImageManifest;
use policy::bindings::PACKAGE;
use policy::description::Description;
use serde::{Deserialize, Serialize};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;

use super::push::Push;
use crate::pull::essence;

switch_root_core::outcomes! {
    /// Why the configuration of an artifact is not written or taken.
    pub enum Unfit in "artifacts" {
        /// The time comes from `SOURCE_DATE_EPOCH`.
        "SR-O83" TooLate { time: u64 } = "the time {time} is after the year 9999, which no artifact can be made in; it is seconds since 1970",
        /// This is a fault of ours. Report it.
        "SR-O84" Unwritten { error: serde_json::Error } = "cannot write the configuration: {error}",
        /// The tool that pushed the policy writes something else than others read.
        "SR-O85" Malformed { digest: String, why: String } = "the configuration {digest} is malformed: {why}",
        "SR-O86" Architecture { architecture: String } = "its configuration is for the architecture `{architecture}`, not for wasm",
        "SR-O87" Layers = "its configuration names other layers than its manifest; push the policy again",
    }
}

/// What configurations are.
pub(super) const MEDIA_TYPE: &str = "application/vnd.wasm.config.v0+json";
/// What all of them are for.
pub(super) const ARCHITECTURE: &str = "wasm";
/// What the format wants of components, whether or not they use WASI.
pub(super) const OS: &str = "wasip2";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'w> {
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<&'w str>,
    architecture: &'w str,
    os: &'w str,
    layer_digests: [String; 1],
    component: Component<'w>,
}

#[derive(Serialize)]
struct Component<'w> {
    exports: &'w [String],
    imports: &'w [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
}

/// As much of a configuration as is held against its artifact.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    architecture: String,
    layer_digests: Vec<String>,
}

/// Writes the configuration of a component.
///
/// # Errors
/// The time is after the year 9999.
pub(super) fn write(push: &Push<'_>, description: &Description) -> Result<Vec<u8>> {
    const YEAR_10000: u64 = 253_402_300_800;
    if push.created >= YEAR_10000 {
        return Err(Error::input(Unfit::TooLate { time: push.created }));
    }
    let created = UNIX_EPOCH + Duration::from_secs(push.created);
    let written = Written {
        // The format has it optional in words, and its readers want it.
        created: humantime::format_rfc3339_seconds(created).to_string(),
        author: description.metadata.authors.as_deref(),
        architecture: ARCHITECTURE,
        os: OS,
        layer_digests: [::policy::engine::digest(push.wasm)],
        component: Component {
            exports: &description.exports,
            imports: &description.imports,
            target: target(description),
        },
    };
    serde_json::to_vec(&written).map_err(|error| Error::input(Unfit::Unwritten { error }))
}

/// The world that a component is made for, where it answers one question alone: the
/// contract has no world of several.
fn target(description: &Description) -> Option<String> {
    let mut questions = description.questions();
    let (only, None) = (questions.next()?, questions.next()) else {
        return None;
    };
    let (name, version) = only.strip_prefix(PACKAGE)?.split_once('@')?;
    Some(format!("{PACKAGE}{name}-policy@{version}"))
}

/// Checks that a configuration is of the artifact that it came with. Older forms of
/// artifacts have configurations that say nothing.
///
/// # Errors
/// It is of something else, or malformed.
pub(super) fn check(manifest: &ImageManifest, config: &[u8]) -> Result<()> {
    if essence(manifest.config().media_type().as_ref()) != MEDIA_TYPE {
        return Ok(());
    }
    let digest = manifest.config().digest();
    let read: Read = serde_json::from_slice(config).map_err(|error| {
        Error::input(Unfit::Malformed {
            digest: digest.to_string(),
            why: escape::message(&error.to_string(), 200),
        })
    })?;
    if read.architecture != ARCHITECTURE {
        let architecture = escape::message(&read.architecture, 100);
        return Err(Error::input(Unfit::Architecture { architecture }));
    }
    let layers = manifest.layers().iter();
    if !layers
        .map(|layer| layer.digest().as_ref())
        .eq(read.layer_digests.iter().map(String::as_str))
    {
        return Err(Error::input(Unfit::Layers));
    }
    Ok(())
}
