//! Policies in registries: OCI artifacts as the CNCF's Wasm working group lays them
//! out ("Wasm OCI Artifact layout"), so that other tools for WebAssembly read ours,
//! and we theirs.
//!
//! What is signed is the component, so its signature travels as an annotation. The
//! settings of a policy are the operator's, and do not travel at all.

pub(crate) mod config;
pub(crate) mod manifest;
mod push;
pub(crate) mod signature;

use policy::description;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::limits::fixed;
use switch_root_core::outcome::Message;

use crate::access::Access;
use crate::pull::Platform;
use crate::pull::artifacts::{self, Choice, Parcel};
use crate::reference::{ImageRef, Source};

pub use policy::description::Description;
pub use push::Push;
pub use signature::check_signature;

switch_root_core::outcomes! {
    /// Why an artifact is not a policy.
    pub enum Unusable in "artifacts" {
        /// What the artifact is said to be and what it holds differ. Push the policy again, with
        /// `srctl policy push`.
        "SR-O80" Unfit { image: String } = "cannot use {image}",
        /// Another artifact was named, or the component was not built with the policy SDK.
        "SR-O81" NotAPolicy { name: String, reason: String } = "{name} {reason}",
    }
}

/// What was pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The digest of the artifact: of its manifest.
    pub digest: String,
    /// What names this very artifact: see [`pinned`].
    pub pinned: String,
    /// What the component says of itself.
    pub description: Description,
}

/// A policy that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The component.
    pub wasm: Vec<u8>,
    /// The digest of what the reference leads to.
    pub digest: String,
    /// What names this very artifact: see [`pinned`].
    pub pinned: String,
    /// The signature that came with it. It is not verified.
    pub signature: Option<String>,
    /// The name that its file should have: a plain one that ends in `.wasm`.
    pub file_name: String,
    /// What the component says of itself.
    pub description: Description,
}

/// Pushes a policy.
///
/// # Errors
/// It is no component that can be a policy (nothing is sent then); the registry
/// does not take it.
pub fn push(push: &Push<'_>, to: &ImageRef, access: &Access<'_>) -> Result<Pushed> {
    let shown = escape::message(push.name, 300);
    let description = check(push.wasm, &shown)?;
    let config = config::write(push, &description)?;
    let manifest = manifest::write(push, &config, &description)?;
    let parcel = Parcel {
        manifest: &manifest,
        media_type: manifest::MANIFEST,
        blobs: [&config, push.wasm],
    };
    let digest = parcel.digest();
    artifacts::send(to, &parcel, access)?;
    Ok(Pushed {
        pinned: pinned(to, &digest),
        digest,
        description,
    })
}

/// Pulls a policy: by its digest, or by a tag, which has to lead to the digest
/// `expected` where there is one.
///
/// # Errors
/// The tag leads elsewhere; it is no Wasm artifact, or one that holds something
/// else than a policy; something is not what its digest says; it cannot be fetched.
pub fn pull(from: &ImageRef, expected: Option<&str>, access: &Access<'_>) -> Result<Policy> {
    let choice = Choice {
        platform: Platform {
            os: config::OS.to_owned(),
            architecture: config::ARCHITECTURE.to_owned(),
            variant: None,
        },
        expected,
        limit: fixed::POLICY_FILE,
        layer: manifest::layer,
    };
    let received = artifacts::receive(from, &choice, access)?;
    let shown = escape::message(&from.text, 300);
    config::check(&received.manifest, &received.config).map_err(|error| {
        error.within(Unusable::Unfit {
            image: shown.clone(),
        })
    })?;
    let description = check(&received.layer, &format!("the file in {shown}"))?;
    let signature = manifest::signature(&received.manifest);
    if let Some(signature) = signature {
        check_signature(signature).map_err(|reason| {
            let of = |reason: &str| format!("the signature that came with {shown} {reason}");
            Error::input(Message::from(reason).reworded(of))
        })?;
    }
    Ok(Policy {
        pinned: pinned(from, &received.digest),
        digest: received.digest,
        signature: signature.map(str::to_owned),
        file_name: manifest::file_name(&received.manifest)
            .unwrap_or_else(|| name_of_reference(from)),
        description,
        wasm: received.layer,
    })
}

fn check(wasm: &[u8], name: &str) -> Result<Description> {
    let checked = description::describe(wasm)
        .and_then(|description| description.check_policy().map(|()| description));
    checked.map_err(|reason| {
        let name = name.to_owned();
        Error::input(Unusable::NotAPolicy { name, reason })
    })
}

/// What names an artifact by its digest, wherever its tag leads later.
fn pinned(image: &ImageRef, digest: &str) -> String {
    match &image.source {
        Source::Registry(reference) => {
            format!(
                "{}/{}@{digest}",
                reference.registry(),
                reference.repository()
            )
        }
        Source::Layout { folder, .. } => format!("oci:{}:@{digest}", folder.to_string_lossy()),
        Source::OciArchive { file, .. } => {
            format!("oci-archive:{}:@{digest}", file.to_string_lossy())
        }
        Source::DockerArchive { .. } => image.text.clone(),
    }
}

/// The name of a file for what does not bring one.
fn name_of_reference(image: &ImageRef) -> String {
    let last = match &image.source {
        Source::Registry(reference) => reference.repository().rsplit('/').next(),
        Source::Layout { name, .. } | Source::OciArchive { name, .. } => {
            name.as_deref().filter(|name| !name.starts_with('@'))
        }
        Source::DockerArchive { .. } => None,
    };
    let name = format!("{}.wasm", last.unwrap_or_default());
    match manifest::is_plain(&name) {
        true => name,
        false => "policy.wasm".to_owned(),
    }
}
