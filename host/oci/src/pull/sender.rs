//! Putting blobs and manifests into a repository of a registry.

use oci_spec::distribution::Reference;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use switch_root_core::progress::{Silent, Task};
use ureq::Body;
use ureq::http::Response;
use ureq::http::header::LOCATION;

use super::client::{Client, Order, Patience};
use super::endpoint::{self, Endpoint};
use super::transport::{Method, Upload, follow, origin, parse};

switch_root_core::outcomes! {
    /// Why a registry is not sent what is pushed.
    pub enum NotSent in "registries" {
        /// Push again, over another network.
        "SR-Q80" Changed { host: String, what: String, kept: String, digest: String } = "the registry {host} keeps {what} as {kept}, and {digest} was sent; it was changed on the way, so do not use what is there",
        /// What answers does not keep to the protocol of registries.
        "SR-Q81" NoLocation { host: String } = "the registry {host} begins an upload and does not say where it goes",
        "SR-Q82" NoUrl { host: String } = "the registry {host} sends an upload to what is no URL",
        /// What is pushed, and who pushes it, is for that registry alone.
        "SR-Q83" Elsewhere { host: String, scheme: String, place: String } = "the registry {host} sends the upload to {scheme}://{place}, which is another place and not followed; where both are the same registry, its configuration has to say by which name it is reached",
    }
}

/// One repository, at its registry. Mirrors are never written to.
pub(super) struct Sender<'a> {
    client: &'a Client<'a>,
    repository: &'a str,
    endpoint: Endpoint,
    patience: Patience,
}

impl<'a> Sender<'a> {
    /// Nothing is asked yet.
    pub(super) fn new(client: &'a Client<'a>, reference: &'a Reference) -> Self {
        Self {
            client,
            repository: reference.repository(),
            endpoint: endpoint::own(client.transport(), reference),
            patience: Patience::default(),
        }
    }

    /// Puts a blob there, unless it is there already.
    ///
    /// # Errors
    /// The registry does not take it.
    pub(super) fn blob(&self, digest: &str, bytes: &[u8], task: &dyn Task) -> Result<()> {
        let upload = Upload::new(bytes, task);
        let what = format!("the blob {digest}");
        let there = self.order(
            &what,
            self.url(&format!("blobs/{digest}")),
            Method::Head,
            // Who does not know the question is sent the blob.
            &[200, 404, 405],
        )?;
        if there.status().as_u16() != 200 {
            let uploads = self.url("blobs/uploads/");
            let begun = self.order(&what, uploads.clone(), Method::Post, &[202])?;
            let mut url = self.place(&uploads, &begun)?;
            url.push(if url.contains('?') { '&' } else { '?' });
            url.push_str("digest=");
            url.push_str(digest);
            self.order(&what, url, Method::Put(&upload), &[201, 204])?;
        }
        upload.complete();
        Ok(())
    }

    /// Puts a manifest there under a tag or its digest.
    ///
    /// # Errors
    /// The registry does not take it, or keeps it as something else.
    pub(super) fn manifest(
        &self,
        name: &str,
        bytes: &[u8],
        digest: &str,
        media_type: &str,
    ) -> Result<()> {
        let upload = Upload::new(bytes, &Silent);
        let what = format!("the manifest {name}");
        let order = Order {
            media_type: Some(media_type),
            ..self.new_order(
                &what,
                self.url(&format!("manifests/{name}")),
                Method::Put(&upload),
                // Some answer as to any other request.
                &[201, 200],
            )
        };
        let answer = self.client.push(&self.endpoint, order, &self.patience)?;
        let kept = answer.headers().get("docker-content-digest");
        match kept.and_then(|kept| kept.to_str().ok()) {
            Some(kept) if kept != digest => {
                let changed = NotSent::Changed {
                    host: self.endpoint.host.clone(),
                    what,
                    kept: escape::message(kept, 200),
                    digest: digest.to_owned(),
                };
                Err(Error::new(Kind::Corrupt, changed))
            }
            _ => Ok(()),
        }
    }

    fn url(&self, path: &str) -> String {
        self.endpoint.url(&format!("{}/{path}", self.repository))
    }

    fn order(
        &self,
        what: &str,
        url: String,
        method: Method<'_>,
        expected: &[u16],
    ) -> Result<Response<Body>> {
        let order = self.new_order(what, url, method, expected);
        self.client.push(&self.endpoint, order, &self.patience)
    }

    fn new_order<'o>(
        &'o self,
        what: &'o str,
        url: String,
        method: Method<'o>,
        expected: &'o [u16],
    ) -> Order<'o> {
        Order {
            repository: self.repository,
            what,
            url,
            media_type: matches!(method, Method::Put(_)).then_some("application/octet-stream"),
            method,
            expected,
        }
    }

    /// Where an upload goes that was begun. It has to stay at the registry: it is
    /// sent the policy, and who pushes it.
    fn place(&self, asked: &str, begun: &Response<Body>) -> Result<String> {
        let host = || self.endpoint.host.clone();
        let no_url = || Error::input(NotSent::NoUrl { host: host() });
        let asked = parse(asked)?;
        let here = origin(&asked)?;
        let location = begun.headers().get(LOCATION);
        let location = location
            .and_then(|location| location.to_str().ok())
            .ok_or_else(|| Error::input(NotSent::NoLocation { host: host() }))?;
        let url = follow(&asked, location).map_err(|_| no_url())?;
        // Such a URL may be as good as a password, so it is not shown.
        let there = parse(&url)
            .and_then(|url| origin(&url))
            .map_err(|_| no_url())?;
        if explicit(&there) == explicit(&here) {
            return Ok(url);
        }
        Err(Error::input(NotSent::Elsewhere {
            host: host(),
            scheme: there.0,
            place: escape::message(&there.1, 200),
        }))
    }
}

/// An origin with its port.
fn explicit((scheme, host): &(String, String)) -> (String, String) {
    let port = if scheme == "https" { ":443" } else { ":80" };
    let bare = host.strip_suffix(port).unwrap_or(host);
    (scheme.clone(), bare.to_owned())
}
