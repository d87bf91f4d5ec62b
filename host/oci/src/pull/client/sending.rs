//! Sending to a registry, and what its refusals mean there.

use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use ureq::Body;
use ureq::http::Response;

use super::super::endpoint::Endpoint;
use super::super::transport::{Answer, Method, Question};
use super::{Client, Patience, Right, reason, redirected, unauthorized};

switch_root_core::outcomes! {
    /// Why a registry does not take what is pushed.
    pub enum NotTaken in "registries" {
        /// Log in with Docker or Podman, as somebody who may write there.
        "SR-O40" ByWhoAsks { host: String, what: String, repository: String, status: u16, why: String, places: String } = "the registry {host} does not take {what} in {repository} from who asks (status {status}{why}); who pushes needs the right to write there, and credentials are looked for in {places}",
        /// Some registries make repositories of themselves, others do not.
        "SR-O41" NoPlace { host: String, what: String, repository: String, why: String } = "the registry {host} has no place for {what} in {repository} (status 404{why}); check the name, and make the repository there first where the registry wants that",
        "SR-O42" ReadOnly { host: String, what: String, repository: String, why: String } = "the registry {host} takes nothing (status 405{why} for {what} in {repository}); it may be a mirror or read-only, so push to the registry that it has its images from",
        "SR-O43" TooLarge { host: String, what: String, why: String } = "the registry {host} finds {what} too large (status 413{why}); its limit, or that of a proxy before it, has to be raised",
        /// A registry on this machine is asked without TLS.
        "SR-O44" Plain { host: String, what: String, repository: String } = "the registry {host} answers with the status 400 for {what} in {repository}; it was asked by plain HTTP and may want TLS, which settings such as tls.ca of that host turn on",
        /// The registry's own words follow, where it has any.
        "SR-O45" Other { host: String, status: u16, what: String, repository: String, why: String } = "the registry {host} answers with the status {status} for {what} in {repository}{why}; a registry that is to keep policies has to take OCI artifacts",
    }
}

/// What is to be done at a registry.
pub(in crate::pull) struct Order<'o> {
    /// `team/keep-paths`.
    pub(in crate::pull) repository: &'o str,
    /// What it is about, for errors: `the blob sha256:...`.
    pub(in crate::pull) what: &'o str,
    /// Where, at the endpoint's own host.
    pub(in crate::pull) url: String,
    /// How, and with which body.
    pub(in crate::pull) method: Method<'o>,
    /// What the body is.
    pub(in crate::pull) media_type: Option<&'o str>,
    /// The statuses that are answers to it; others are refusals.
    pub(in crate::pull) expected: &'o [u16],
}

impl Client<'_> {
    /// Does something at a registry.
    ///
    /// # Errors
    /// The registry refuses, with what to do; it cannot be reached.
    pub(in crate::pull) fn push(
        &self,
        endpoint: &Endpoint,
        order: Order<'_>,
        patience: &Patience,
    ) -> Result<Response<Body>> {
        let media_type = order.media_type.map(str::to_owned);
        let asks = matches!(order.method, Method::Head);
        let question = Question {
            url: order.url,
            authorization: None,
            headers: media_type
                .map(|it| ("content-type", it))
                .into_iter()
                .collect(),
            method: order.method,
        };
        let mut answer =
            self.authorized(endpoint, order.repository, Right::Push, question, patience)?;
        let status = answer.response.status().as_u16();
        // Storage that is redirected to may answer GET alone, and then says nothing about
        // what the registry has.
        if order.expected.contains(&status) || (asks && answer.elsewhere.is_some()) {
            return Ok(answer.response);
        }
        let what = escape::message(order.what, 300);
        Err(self.not_taken(endpoint, order.repository, what, status, &mut answer))
    }

    /// What an answer means that is not what was hoped for.
    fn not_taken(
        &self,
        endpoint: &Endpoint,
        repository: &str,
        what: String,
        status: u16,
        answer: &mut Answer,
    ) -> Error {
        let host = endpoint.host.clone();
        let repository = repository.to_owned();
        let why = reason(&mut answer.response);
        if let Some(elsewhere) = &answer.elsewhere {
            return redirected(&host, elsewhere, status, format!("{what}{why}"));
        }
        match status {
            401 | 403 => unauthorized(NotTaken::ByWhoAsks {
                places: self.keyring.places(&host),
                host,
                what,
                repository,
                status,
                why,
            }),
            404 => {
                let no_place = NotTaken::NoPlace {
                    host,
                    what,
                    repository,
                    why,
                };
                Error::new(Kind::NotFound, no_place)
            }
            405 => Error::input(NotTaken::ReadOnly {
                host,
                what,
                repository,
                why,
            }),
            413 => Error::input(NotTaken::TooLarge { host, what, why }),
            400 if endpoint.is_plain() && why.is_empty() => Error::input(NotTaken::Plain {
                host,
                what,
                repository,
            }),
            _ => Error::input(NotTaken::Other {
                host,
                status,
                what,
                repository,
                why,
            }),
        }
    }
}
