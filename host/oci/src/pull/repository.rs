//! Asking a repository of a registry, at its endpoints in turn.

use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};

use oci_spec::distribution::Reference;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use ureq::Body;
use ureq::http::Response;
use ureq::http::header::CONTENT_TYPE;

use super::client::{Client, Patience, Wanted};
use super::digest;
use super::document::{Document, LIMIT, MANIFESTS, is_manifest, oversized};
use super::endpoint::{Endpoint, endpoints};
use super::transport::io_reason;

switch_root_core::outcomes! {
    /// Why no endpoint has what is wanted.
    pub enum NotFound in "registries" {
        /// Registry and mirrors are asked one after the other; each one's reason follows.
        "SR-Q70" All { count: usize, reasons: String } = "all {count} endpoints failed: {reasons}",
        "SR-Q71" NoEndpoints = "the registry has no endpoints",
        /// A proxy or a firewall answers in the registry's place, perhaps.
        "SR-Q72" NotAManifest { host: String, name: String, media_type: String } = "the registry {host} answers for the manifest {name} with what is no manifest (its media type is `{media_type}`); it may be a page to log in at, or not a registry",
        /// The connection broke. Try again.
        "SR-Q73" Unread { name: String, host: String, why: String } = "cannot read the manifest {name} from {host}: {why}",
    }
}

/// One repository, at its registry and its mirrors.
pub(super) struct Repository<'a> {
    pub(super) client: &'a Client<'a>,
    pub(super) reference: &'a Reference,
    pub(super) endpoints: Vec<Endpoint>,
    /// The endpoint that has answered last, which is asked first.
    pub(super) good: AtomicUsize,
    pub(super) patience: Patience,
}

impl<'a> Repository<'a> {
    /// # Errors
    /// The mirrors are configured wrongly.
    pub(super) fn new(client: &'a Client<'a>, reference: &'a Reference) -> Result<Self> {
        Ok(Self {
            client,
            reference,
            endpoints: endpoints(client.transport(), reference)?,
            good: AtomicUsize::new(0),
            patience: Patience::default(),
        })
    }

    /// What has a digest, which it is held against.
    pub(super) fn by_digest(&self, digest: &str) -> Result<Document> {
        let digest = digest::parse(digest)?;
        self.document(digest.as_ref(), |document| {
            let what = format!("the manifest {digest}");
            digest::verify(&document.bytes, &digest, &what)?;
            Ok(Document {
                digest: digest.to_string(),
                ..document
            })
        })
    }

    /// What the reference's tag leads to.
    pub(super) fn by_tag(&self) -> Result<Document> {
        // A reference without a digest has a tag.
        self.document(self.reference.tag().unwrap_or("latest"), Ok)
    }

    pub(super) fn name(&self) -> &str {
        self.reference.repository()
    }

    /// Asks the endpoints in their order, until one has what `check` takes.
    pub(super) fn document(
        &self,
        name: &str,
        check: impl Fn(Document) -> Result<Document>,
    ) -> Result<Document> {
        let path = format!("manifests/{name}");
        let mut failures = Vec::new();
        let first = self.good.load(Ordering::Relaxed);
        for position in order(first, self.endpoints.len()) {
            let endpoint = &self.endpoints[position];
            let wanted = Wanted {
                repository: self.name(),
                path: &path,
                accept: Some(MANIFESTS.join(", ")),
                offset: 0,
            };
            let found = self
                .client
                .get(endpoint, &wanted, &self.patience)
                .and_then(|response| {
                    read(endpoint, name, response)
                        // The connection may have been closed by us.
                        .or_else(|error| self.client.stop().check().and(Err(error)))
                })
                .and_then(|document| {
                    let giver = format!("the registry {}", endpoint.host);
                    check(document).map_err(|error| error.about(&giver))
                })
                .and_then(|document| manifest_of(endpoint, name, document));
            match found {
                Ok(document) => {
                    self.good.store(position, Ordering::Relaxed);
                    return Ok(document);
                }
                Err(error) if error.kind == Kind::Interrupted => return Err(error),
                Err(error) => failures.push(error),
            }
        }
        Err(all_failed(failures))
    }
}

/// The positions of endpoints, beginning with one.
pub(super) fn order(first: usize, count: usize) -> impl Iterator<Item = usize> {
    std::iter::once(first).chain((0..count).filter(move |&position| position != first))
}

/// What all endpoints said, where there is more than one.
pub(super) fn all_failed(mut failures: Vec<Error>) -> Error {
    match (failures.pop(), failures.is_empty()) {
        (Some(only), true) => only,
        (Some(last), false) => {
            let kind = last.kind;
            let told: Vec<String> = failures
                .iter()
                .chain([&last])
                .enumerate()
                .map(|(position, error)| format!("({}) {error}", position + 1))
                .collect();
            let all = NotFound::All {
                count: told.len(),
                reasons: told.join("; "),
            };
            Error::new(kind, all)
        }
        (None, _) => Error::input(NotFound::NoEndpoints),
    }
}

/// Refuses what is no manifest at all: a mirror may answer with a page for people.
fn manifest_of(endpoint: &Endpoint, name: &str, document: Document) -> Result<Document> {
    if is_manifest(&document.bytes) {
        return Ok(document);
    }
    let media_type = document.media_type.as_deref().unwrap_or_default();
    let other = NotFound::NotAManifest {
        host: endpoint.host.clone(),
        name: escape::message(name, 200),
        media_type: escape::message(media_type, 100),
    };
    Err(Error::new(Kind::Corrupt, other))
}

fn read(endpoint: &Endpoint, name: &str, response: Response<Body>) -> Result<Document> {
    let media_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|value| value.trim().to_owned());
    let mut bytes = Vec::new();
    response
        .into_body()
        .into_reader()
        .take(LIMIT + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| {
            let unread = NotFound::Unread {
                name: escape::message(name, 200),
                host: endpoint.host.clone(),
                why: io_reason(&error).to_string(),
            };
            Error::new(Kind::Unreachable, unread)
        })?;
    if bytes.len() as u64 > LIMIT {
        return Err(oversized(name));
    }
    Ok(Document {
        digest: digest::sha256(&bytes),
        bytes,
        media_type,
    })
}
