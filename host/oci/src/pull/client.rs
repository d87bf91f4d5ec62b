//! Talking to a registry: who asks, and what is done where it says no, later,
//! or nothing.

pub(crate) mod authentication;
pub(crate) mod sending;

use std::collections::HashMap;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use switch_root_core::error::{Error, Kind, Result, Words};
use switch_root_core::escape;
use ureq::Body;
use ureq::http::header::RETRY_AFTER;
use ureq::http::{HeaderMap, Response};

use super::credentials::Keyring;
use super::endpoint::Endpoint;
use super::stop::Stop;
use super::transport::{
    Answer, Method, Question, Transport, lock, origin, parse, pause, unreachable,
};
use crate::registries::{Credentials, Registries};

switch_root_core::outcomes! {
    /// Why a registry, or a place that it names, cannot be reached: what follows its name in a
    /// sentence.
    pub enum Unhelpful in "registries" {
        /// The manifest of the image is to be corrected, or the host allowed.
        "SR-O25" WithUser = "the manifest names it for a layer with a user, and nobody elsewhere is told who asks",
        "SR-O26" WithoutTls = "the manifest names it for a layer, by plain HTTP, which is not asked; --plain-http HOST allows it",
        /// The place has not, or does not give, what the manifest says to be there.
        "SR-O27" NoLayer { status: u16 } = "the manifest names it for a layer, and it answers with the status {status}",
        /// Wait, or ask those who run it.
        "SR-O28" Fails { status: u16 } = "it fails with the status {status}, also when asked again",
        "SR-O29" Redirects { elsewhere: String, status: u16, what: String } = "it redirects to {elsewhere}, which answers with the status {status} for {what}",
    }
}

switch_root_core::outcomes! {
    /// What a registry answers that does not help.
    pub enum Refused in "registries" {
        /// Registries give anonymous users less than others.
        "SR-O20" TooMany { host: String, seconds: f64, most: u64 } = "the registry {host} has had too many requests and asks to come back in {seconds} seconds; at most {most} seconds in all are waited for an image, so try again then, or log in for a higher limit",
        /// Some registries say so of what is not there, too: check the name. Otherwise log in with Docker
        /// or Podman, as somebody who may read it.
        "SR-O21" NotGiven { host: String, what: String, status: u16, why: String, places: String } = "the registry {host} does not give {what} to who asks (status {status}{why}); credentials are looked for in {places}",
        /// Names are those of the registry, without its host.
        "SR-O22" Missing { host: String, what: String, why: String } = "the registry {host} has no {what} (status 404{why}); check the name and the tag",
        /// A registry on this machine is asked without TLS.
        "SR-O23" Plain { host: String, what: String, why: String } = "the registry {host} answers with the status 400 for {what}{why}; it was asked by plain HTTP and may want TLS, which settings such as tls.ca of that host turn on",
        /// The registry's own words follow, where it has any.
        "SR-O24" Other { host: String, status: u16, what: String, why: String } = "the registry {host} answers with the status {status} for {what}{why}",
    }
}

pub(super) use sending::Order;

/// What is waited in all for servers that ask to come back later, for one image.
const PATIENCE: Duration = Duration::from_secs(60);
/// Answers of failing servers in a row that are followed by another attempt.
const ATTEMPTS: u32 = 3;
/// Bytes of an answer that says why not, or that holds a token.
const LIMIT: u64 = 256 << 10;

/// Talks to all registries.
pub(super) struct Client<'a> {
    transport: Transport<'a>,
    keyring: Keyring<'a>,
    /// What goes into `Authorization`, by host and repository.
    authorizations: Mutex<HashMap<(String, String), String>>,
    stop: &'a Stop,
}

/// What is left of the time that servers may ask for.
pub(super) struct Patience(Mutex<Duration>);

impl Default for Patience {
    fn default() -> Self {
        Self(Mutex::new(PATIENCE))
    }
}

/// What somebody wants to do in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// Read.
    Pull,
    /// Write, which takes reading: a registry is asked what it has before.
    Push,
}

impl Right {
    /// What a token is asked for: the repository of the challenge, which may be called
    /// something else there than here, and what is to be done in it. A challenge that
    /// names more would have the registry, or whoever answers for it, hold a token that
    /// is good for more.
    fn scope(self, challenge: Option<&str>, repository: &str) -> String {
        let mut named = challenge
            .unwrap_or_default()
            .split_ascii_whitespace()
            .filter_map(|scope| Some(scope.strip_prefix("repository:")?.rsplit_once(':')?.0));
        let first = named.clone().next();
        let name = named.find(|name| *name == repository).or(first);
        let actions = match self {
            Self::Pull => "pull",
            Self::Push => "pull,push",
        };
        format!("repository:{}:{actions}", name.unwrap_or(repository))
    }
}

/// What is wanted of a registry.
pub(super) struct Wanted<'w> {
    /// `library/busybox`.
    pub(super) repository: &'w str,
    /// Behind the repository: `manifests/latest`.
    pub(super) path: &'w str,
    /// Media types that are understood.
    pub(super) accept: Option<String>,
    /// From which byte on.
    pub(super) offset: u64,
}

impl<'a> Client<'a> {
    /// Without any connection or token yet. See [`super::Options`].
    pub(super) fn new(
        registries: &'a Registries,
        docker_config: Option<PathBuf>,
        stop: &'a Stop,
    ) -> Self {
        Self {
            transport: Transport::new(registries, stop),
            keyring: Keyring::new(registries, docker_config),
            authorizations: Mutex::default(),
            stop,
        }
    }

    /// How hosts are reached.
    pub(super) fn transport(&self) -> &Transport<'a> {
        &self.transport
    }

    /// What ends everything.
    pub(super) fn stop(&self) -> &'a Stop {
        self.stop
    }

    /// Ends all requests.
    pub(super) fn shutdown(&self) {
        self.transport.shutdown();
    }

    /// Gets something; the answer's status is 200 or 206.
    ///
    /// # Errors
    /// The kinds say whether another endpoint may know better: all but
    /// [`Kind::Interrupted`].
    pub(super) fn get(
        &self,
        endpoint: &Endpoint,
        wanted: &Wanted<'_>,
        patience: &Patience,
    ) -> Result<Response<Body>> {
        let mut headers = Vec::new();
        headers.extend(wanted.accept.clone().map(|accept| ("accept", accept)));
        if wanted.offset > 0 {
            headers.push(("range", format!("bytes={}-", wanted.offset)));
        }
        let question = Question {
            url: endpoint.url(&format!("{}/{}", wanted.repository, wanted.path)),
            authorization: None,
            headers,
            method: Method::Get,
        };
        let mut answer =
            self.authorized(endpoint, wanted.repository, Right::Pull, question, patience)?;
        match answer.response.status().as_u16() {
            200 | 206 => Ok(answer.response),
            status => Err(self.refused(endpoint, wanted, status, &mut answer)),
        }
    }

    /// Gets what an image's manifest says to be elsewhere, from a byte on: anybody may ask
    /// for that, so nobody is told who asks. `registry` has given the manifest.
    ///
    /// # Errors
    /// The URL is not one that the registry may name; it does not answer with 200 or 206.
    pub(super) fn get_elsewhere(
        &self,
        registry: Option<&Endpoint>,
        url: &str,
        offset: u64,
        patience: &Patience,
    ) -> Result<Response<Body>> {
        let parsed = parse(url)?;
        let (scheme, host) = origin(&parsed)?;
        let named = parsed
            .authority()
            .is_some_and(|at| at.as_str().contains('@'));
        if named {
            return Err(unreachable(&host, Unhelpful::WithUser));
        }
        let from = registry.map_or(("https", ""), Endpoint::origin);
        if !self.transport.may_lead(from, (&scheme, &host)) {
            return Err(unreachable(&host, Unhelpful::WithoutTls));
        }
        let question = Question {
            url: url.to_owned(),
            authorization: None,
            headers: match offset {
                0 => Vec::new(),
                offset => vec![("range", format!("bytes={offset}-"))],
            },
            method: Method::Get,
        };
        let answer = self.polite(&host, &question, patience)?;
        match answer.response.status().as_u16() {
            200 | 206 => Ok(answer.response),
            status => Err(unreachable(&host, Unhelpful::NoLayer { status })),
        }
    }

    /// Asks, and says who asks where the endpoint wants to know. The answer has any
    /// status.
    fn authorized(
        &self,
        endpoint: &Endpoint,
        repository: &str,
        right: Right,
        mut question: Question<'_>,
        patience: &Patience,
    ) -> Result<Answer> {
        let key = (endpoint.host.clone(), repository.to_owned());
        let mut asked_again = false;
        loop {
            question.authorization = match lock(&self.authorizations).get(&key) {
                Some(authorization) => Some(authorization.clone()),
                None => match self.keyring.configured(&endpoint.host) {
                    Some(Credentials::RegistryToken(token)) => Some(format!("Bearer {token}")),
                    _ => None,
                },
            };
            let answer = self.polite(&endpoint.host, &question, patience)?;
            let unknown = answer.response.status().as_u16() == 401;
            if !unknown || asked_again || answer.elsewhere.is_some() {
                return Ok(answer);
            }
            asked_again = true;
            let authorization = self.authorize(endpoint, repository, right, &answer, patience)?;
            lock(&self.authorizations).insert(key.clone(), authorization);
        }
    }

    /// Asks again where the server fails, and later where it wants that.
    fn polite(&self, host: &str, question: &Question<'_>, patience: &Patience) -> Result<Answer> {
        let mut failures = 0;
        let mut delays = 0;
        loop {
            let answer = self.transport.ask(question)?;
            let status = answer.response.status().as_u16();
            if status == 429 {
                delays += 1;
                let asked = retry_after(answer.response.headers());
                // The connection goes back before the wait.
                drop(answer);
                self.wait(host, asked.unwrap_or_else(|| pause(delays) * 2), patience)?;
            } else if (500..600).contains(&status) {
                failures += 1;
                if failures > ATTEMPTS {
                    let host = answer.elsewhere.as_deref().unwrap_or(host);
                    return Err(unreachable(host, Unhelpful::Fails { status }));
                }
                drop(answer);
                self.stop.sleep(pause(failures))?;
            } else {
                return Ok(answer);
            }
        }
    }

    fn wait(&self, host: &str, asked: Duration, patience: &Patience) -> Result<()> {
        // Who asks for no time at all is not asked in a circle.
        let asked = asked.max(Duration::from_millis(200));
        {
            let mut left = lock(&patience.0);
            let Some(rest) = left.checked_sub(asked) else {
                let too_many = Refused::TooMany {
                    host: escape::message(host, 200),
                    seconds: asked.as_secs_f64().ceil(),
                    most: PATIENCE.as_secs(),
                };
                return Err(Error::new(Kind::TooManyRequests, too_many));
            };
            *left = rest;
        }
        self.stop.sleep(asked)
    }

    /// What an answer that is neither good nor to be repeated means.
    fn refused(
        &self,
        endpoint: &Endpoint,
        wanted: &Wanted<'_>,
        status: u16,
        answer: &mut Answer,
    ) -> Error {
        let host = endpoint.host.clone();
        let what = format!(
            "{}/{}",
            wanted.repository,
            escape::message(wanted.path, 200)
        );
        let why = reason(&mut answer.response);
        if let Some(elsewhere) = &answer.elsewhere {
            return redirected(&host, elsewhere, status, format!("{what}{why}"));
        }
        match status {
            401 | 403 => unauthorized(Refused::NotGiven {
                places: self.keyring.places(&host),
                host,
                what,
                status,
                why,
            }),
            404 => Error::new(Kind::NotFound, Refused::Missing { host, what, why }),
            400 if endpoint.is_plain() => Error::input(Refused::Plain { host, what, why }),
            _ => Error::input(Refused::Other {
                host,
                status,
                what,
                why,
            }),
        }
    }
}

/// That a registry sends whoever asks to another place, which does not give or take it.
fn redirected(host: &str, elsewhere: &str, status: u16, what: String) -> Error {
    let elsewhere = escape::message(elsewhere, 200);
    unreachable(
        host,
        Unhelpful::Redirects {
            elsewhere,
            status,
            what,
        },
    )
}

fn unauthorized(message: impl Words) -> Error {
    Error::new(Kind::Unauthorized, message)
}

/// The time that an answer asks for.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let then = httpdate::parse_http_date(text).ok()?;
    Some(then.duration_since(SystemTime::now()).unwrap_or_default())
}

/// As much of an answer as is small; nothing where it breaks off.
fn body(response: &mut Response<Body>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let reader = response.body_mut().as_reader();
    match reader.take(LIMIT).read_to_end(&mut bytes) {
        Ok(_) => bytes,
        Err(_) => Vec::new(),
    }
}

/// Why a registry refuses, in its words and in parentheses; nothing where it
/// does not say.
fn reason(response: &mut Response<Body>) -> String {
    #[derive(Deserialize)]
    struct Reasons {
        errors: Vec<Reason>,
    }
    #[derive(Deserialize)]
    struct Reason {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let Ok(reasons) = serde_json::from_slice::<Reasons>(&body(response)) else {
        return String::new();
    };
    reasons.errors.first().map_or_else(String::new, |reason| {
        escape::message(&format!(", {}: {}", reason.code, reason.message), 300)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_repository_and_what_is_done_there() {
        let scope = |right: Right, challenge: Option<&str>| right.scope(challenge, "a/b");
        let pull = "repository:a/b:pull";
        let push = "repository:a/b:pull,push";
        for challenge in [
            None,
            Some(""),
            Some(pull),
            Some(push),
            Some("repository:a/b:*"),
            Some("repository:a/b:push,pull,delete"),
            Some("registry:catalog:*"),
            Some("x"),
            Some("repository:c/d:pull repository:a/b:pull registry:catalog:*"),
        ] {
            assert_eq!(scope(Right::Pull, challenge), pull, "{challenge:?}");
            assert_eq!(scope(Right::Push, challenge), push, "{challenge:?}");
        }
        // A registry may call the repository something else than we do.
        let other = Some("repository:of/push/b:pull,push,delete");
        assert_eq!(scope(Right::Pull, other), "repository:of/push/b:pull");
        assert_eq!(scope(Right::Push, other), "repository:of/push/b:pull,push");
    }

    #[test]
    fn the_time_to_come_back_is_seconds_or_a_date() {
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(asked("17"), Some(Duration::from_secs(17)));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        let later = SystemTime::now() + Duration::from_secs(100);
        let left = asked(&httpdate::fmt_http_date(later)).unwrap();
        assert!((90..=100).contains(&left.as_secs()), "{left:?}");
    }
}
