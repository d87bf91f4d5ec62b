//! The manifest of a Wasm artifact, and what is read of those of others.

use std::collections::BTreeMap;

use oci_spec::image::{Descriptor, ImageManifest};
use policy::description::Description;
use serde::Serialize;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::outcome::Message;

use super::config;
use super::push::Push;
use super::signature::check_signature;
use crate::pull::essence;

switch_root_core::outcomes! {
    /// Why an artifact is not one of a policy.
    pub enum NotWasm in "artifacts" {
        /// `wac` composes components.
        "SR-O90" Several { count: usize } = "it is a Wasm artifact of {count} layers, and one of a policy has a single one; compose the components into one",
        /// Something else is under that name.
        "SR-O91" Other { what: &'static str, of: String, layers: String } = "it is no Wasm artifact but {what} (of the type `{of}`, with layers of {layers}); policies are put there with `srctl policy push`",
        /// This is a fault of ours. Report it.
        "SR-O92" Unwritten { error: serde_json::Error } = "cannot write the manifest: {error}",
    }
}

/// What manifests are.
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What layers are.
const LAYER: &str = "application/wasm";
/// What layers of older tools are, and of registries that do not take newer types.
const OLDER_LAYERS: [&str; 2] = [
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
];

const TITLE: &str = "org.opencontainers.image.title";
/// Where a signature travels.
const SIGNATURE: &str = "io.switch-root.policy.signature";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'w> {
    schema_version: u8,
    media_type: &'w str,
    config: Named<'w>,
    layers: [Named<'w>; 1],
    /// In an order of their own: the same content is to have the same digest.
    annotations: BTreeMap<&'w str, &'w str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Named<'w> {
    media_type: &'w str,
    digest: String,
    size: usize,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<&'w str, &'w str>,
}

impl<'w> Named<'w> {
    fn new(media_type: &'w str, bytes: &[u8]) -> Self {
        Self {
            media_type,
            digest: ::policy::engine::digest(bytes),
            size: bytes.len(),
            annotations: BTreeMap::new(),
        }
    }
}

/// Writes the manifest of a component.
///
/// # Errors
/// The signature is none.
pub(super) fn write(push: &Push<'_>, config: &[u8], description: &Description) -> Result<Vec<u8>> {
    let metadata = &description.metadata;
    let mut annotations: BTreeMap<&str, &str> = [
        ("org.opencontainers.image.authors", &metadata.authors),
        (
            "org.opencontainers.image.description",
            &metadata.description,
        ),
        ("org.opencontainers.image.licenses", &metadata.licenses),
        ("org.opencontainers.image.revision", &metadata.revision),
        ("org.opencontainers.image.source", &metadata.source),
        ("org.opencontainers.image.url", &metadata.homepage),
        ("org.opencontainers.image.version", &metadata.version),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key, value.as_deref()?)))
    .collect();
    annotations.insert(TITLE, push.name);
    if let Some(signature) = push.signature {
        check_signature(signature)
            .map_err(Message::from)
            .map_err(|reason| {
                Error::input(reason.reworded(|reason| format!("the signature {reason}")))
            })?;
        annotations.insert(SIGNATURE, signature);
    }
    let mut layer = Named::new(LAYER, push.wasm);
    // By which ORAS and its like name the file that they write.
    layer.annotations.insert(TITLE, push.name);
    let written = Written {
        schema_version: 2,
        media_type: MANIFEST,
        config: Named::new(config::MEDIA_TYPE, config),
        layers: [layer],
        annotations,
    };
    serde_json::to_vec(&written).map_err(|error| Error::input(NotWasm::Unwritten { error }))
}

/// The layer with the component.
///
/// # Errors
/// It is no Wasm artifact, or one of several components: a sentence that says what
/// it is.
pub(super) fn layer(manifest: &ImageManifest) -> Result<Descriptor> {
    let of = manifest.config().media_type().as_ref();
    let is_wasm = |layer: &Descriptor| {
        let is = essence(layer.media_type().as_ref());
        is == LAYER || (OLDER_LAYERS.contains(&&*is) && essence(of) != config::MEDIA_TYPE)
    };
    match &**manifest.layers() {
        [only] if is_wasm(only) => Ok(only.clone()),
        layers if layers.len() > 1 && layers.iter().all(is_wasm) => {
            Err(Error::input(NotWasm::Several {
                count: layers.len(),
            }))
        }
        layers => {
            let mut types: Vec<&str> = layers
                .iter()
                .map(|layer| layer.media_type().as_ref())
                .collect();
            types.dedup();
            types.truncate(4);
            let of = manifest.artifact_type().as_ref().map_or(of, AsRef::as_ref);
            Err(Error::input(NotWasm::Other {
                what: kind(of),
                of: escape::message(of, 200),
                layers: match types.is_empty() {
                    true => "nothing".to_owned(),
                    false => format!("`{}`", escape::message(&types.join("`, `"), 600)),
                },
            }))
        }
    }
}

/// What is known of what people may name by mistake.
fn kind(of: &str) -> &'static str {
    match of {
        "application/vnd.oci.image.config.v1+json"
        | "application/vnd.docker.container.image.v1+json" => {
            "a container image, such as one of an extension"
        }
        "application/vnd.cncf.helm.config.v1+json" => "a Helm chart",
        _ => "an artifact of another kind",
    }
}

/// The signature that an artifact brings.
pub(super) fn signature(manifest: &ImageManifest) -> Option<&str> {
    let annotations = manifest.annotations().as_ref()?;
    annotations.get(SIGNATURE).map(String::as_str)
}

/// The name that an artifact wants its file to have, where that is a plain one.
pub(super) fn file_name(manifest: &ImageManifest) -> Option<String> {
    let of_layers = manifest.layers().iter().map(|layer| layer.annotations());
    let mut all = of_layers.chain([manifest.annotations()]);
    let name = all.find_map(|annotations| annotations.as_ref()?.get(TITLE))?;
    is_plain(name).then(|| name.clone())
}

/// Whether a name can stand for a file of a policy: it names no other place, is not
/// hidden, and nothing on its way has to quote it.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    name.len() <= 200
        && name.len() > ".wasm".len()
        && name.ends_with(".wasm")
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(plain)
}
