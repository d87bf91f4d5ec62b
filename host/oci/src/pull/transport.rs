//! One request and its answer: connections, redirects, and what a failure is
//! called. Knows nothing of registries but how their hosts are reached.

pub(crate) mod failure;
mod method;
mod timeouts;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use failure::{is_break, reason};
use switch_root_core::error::{Error, Kind, Result, Words};
use switch_root_core::escape;
use switch_root_core::outcome::Message;
use timeouts::{CONNECT, SILENCE};
use ureq::http::header::LOCATION;
use ureq::http::{Response, Uri};
use ureq::tls::Certificate;
use ureq::{Agent, Body};

use super::stop::Stop;
use super::{proxy, trust};
use crate::registries::{Host, Registries};

switch_root_core::outcomes! {
    /// Why a text is not asked.
    pub enum NotAUrl in "registries" {
        /// Registries, mirrors and manifests name URLs. Correct the one that is named.
        "SR-Q50" Malformed { url: String } = "`{url}` is not a URL",
        "SR-Q51" NoHost { url: String } = "`{url}` is not a URL with http or https and a host",
    }
}

switch_root_core::outcomes! {
    /// Why a redirect is not followed: what follows the name of the host in a sentence.
    pub enum Redirects in "registries" {
        /// What answers is not the registry, or is set up wrongly.
        "SR-Q46" Sent = "it redirects what is sent to it, which is not followed",
        "SR-Q47" NoUrl = "it redirects to what is no URL",
        "SR-Q48" WithoutTls = "it redirects to plain HTTP, which is not followed: from HTTPS never, and to this machine itself only where the registry is on it; --plain-http HOST allows it",
        "SR-Q49" TooOften = "it redirects more than five times in a row",
    }
}

pub(super) use failure::{Failure, io_reason};
pub(super) use method::{Method, Upload};

/// Answers that name another place, in a row.
const REDIRECTS: usize = 5;
/// Times that a request is sent again where the connection breaks.
const AGAIN: u32 = 3;

/// Names that one registry goes by.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// What a host may be called in settings.
pub(super) fn aliases(host: &str) -> Vec<&str> {
    match DOCKER_HUB.contains(&host) {
        true => DOCKER_HUB.to_vec(),
        false => vec![host],
    }
}

/// A lock whose holder cannot leave anything half-done.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is asked.
#[derive(Clone)]
pub(super) struct Question<'q> {
    /// Where, with scheme.
    pub(super) url: String,
    /// Goes to that host alone, wherever the answer is.
    pub(super) authorization: Option<String>,
    /// The other headers.
    pub(super) headers: Vec<(&'static str, String)>,
    /// By which method, and with which body.
    pub(super) method: Method<'q>,
}

/// What is answered.
pub(super) struct Answer {
    /// With any status but those of redirects.
    pub(super) response: Response<Body>,
    /// The host that has answered, where it is not the one that was asked.
    pub(super) elsewhere: Option<String>,
}

/// Connections to all hosts.
pub(super) struct Transport<'a> {
    registries: &'a Registries,
    stop: &'a Stop,
    system: OnceLock<Vec<Certificate<'static>>>,
    agents: Mutex<HashMap<(String, String), Asking>>,
}

/// What asks a host.
#[derive(Clone)]
struct Asking {
    agent: Agent,
    /// The proxy that it asks by, for errors.
    proxy: Option<String>,
}

impl<'a> Transport<'a> {
    /// Without any connection yet.
    pub(super) fn new(registries: &'a Registries, stop: &'a Stop) -> Self {
        Self {
            registries,
            stop,
            system: OnceLock::new(),
            agents: Mutex::default(),
        }
    }

    /// Ends all requests; further ones fail.
    pub(super) fn shutdown(&self) {
        for asking in lock(&self.agents).values() {
            asking.agent.clone().shutdown();
        }
    }

    /// What all of it goes by.
    pub(super) fn registries(&self) -> &'a Registries {
        self.registries
    }

    /// What is set for a host.
    pub(super) fn settings(&self, host: &str) -> Option<&'a Host> {
        aliases(host)
            .into_iter()
            .find_map(|name| self.registries.hosts.get(name))
    }

    /// Whether a host may be spoken to without TLS.
    pub(super) fn plain(&self, host: &str) -> bool {
        let tls = self.settings(host).is_some_and(|settings| {
            settings.ca.is_some() || settings.identity.is_some() || settings.insecure_skip_verify
        });
        self.registries.plain_http.iter().any(|name| name == host) || (is_loopback(host) && !tls)
    }

    /// Whether a host that was reached by a scheme may have us ask another one, each
    /// given as scheme and host: by HTTPS always. By plain HTTP, this machine itself is
    /// asked only where the first host is on it: what listens there trusts whoever can
    /// reach it, and that is not a registry elsewhere. Any other host is asked so only
    /// where the first one was.
    pub(super) fn may_lead(&self, from: (&str, &str), to: (&str, &str)) -> bool {
        let configured = self.registries.plain_http.iter().any(|name| name == to.1);
        to.0 == "https"
            || configured
            || match is_loopback(to.1) {
                true => is_loopback(from.1) && self.plain(to.1),
                false => from.0 == "http",
            }
    }

    /// Asks, and follows redirects. A connection that breaks before the answer
    /// is tried again.
    ///
    /// # Errors
    /// [`Kind::Unreachable`]; [`Kind::Interrupted`]; the settings of the host are
    /// wrong.
    pub(super) fn ask(&self, question: &Question<'_>) -> Result<Answer> {
        let asked = origin(&parse(&question.url)?)?;
        let mut url = question.url.clone();
        for _ in 0..=REDIRECTS {
            let uri = parse(&url)?;
            let at = origin(&uri)?;
            let authorization = question.authorization.as_ref().filter(|_| at == asked);
            let response = self.send(&at, &url, question, authorization)?;
            let status = response.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer {
                    response,
                    elsewhere: (at != asked).then_some(at.1),
                });
            }
            if question.method.sends() {
                return Err(unreachable(&at.1, Redirects::Sent));
            }
            let location = response
                .headers()
                .get(LOCATION)
                .and_then(|location| location.to_str().ok())
                .unwrap_or_default();
            url = follow(&uri, location)?;
            // Such a URL is often as good as a password, so it is not shown.
            let next = parse(&url)
                .and_then(|url| origin(&url))
                .map_err(|_| unreachable(&at.1, Redirects::NoUrl))?;
            if !self.may_lead((&at.0, &at.1), (&next.0, &next.1)) {
                return Err(unreachable(&at.1, Redirects::WithoutTls));
            }
        }
        Err(unreachable(&asked.1, Redirects::TooOften))
    }

    fn send(
        &self,
        at: &(String, String),
        url: &str,
        question: &Question<'_>,
        authorization: Option<&String>,
    ) -> Result<Response<Body>> {
        let Asking { agent, proxy } = self.asking(at)?;
        let mut failures = 0;
        loop {
            self.stop.check()?;
            let headers = question
                .headers
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .chain(authorization.map(|value| ("authorization", value.as_str())));
            let error = match question.method.send(&agent, url, headers) {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            failures += 1;
            if failures > AGAIN || !is_break(&error) {
                self.stop.check()?;
                let why = Message::from(reason(&error));
                return Err(match proxy {
                    None => unreachable(&at.1, why),
                    Some(proxy) => {
                        unreachable(&at.1, why.reworded(|why| format!("by {proxy}: {why}")))
                    }
                });
            }
            self.stop.sleep(pause(failures))?;
        }
    }

    fn asking(&self, at: &(String, String)) -> Result<Asking> {
        let (scheme, host) = at;
        let mut agents = lock(&self.agents);
        // Under the lock: what is made after the shutdown would not be ended.
        self.stop.check()?;
        if let Some(asking) = agents.get(at) {
            return Ok(asking.clone());
        }
        let proxy = match is_loopback(host) {
            true => None,
            false => proxy::choose(scheme, host, |name| std::env::var(name).ok())?,
        };
        let system = self.system.get_or_init(trust::system);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("switch-root/", env!("CARGO_PKG_VERSION")))
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .timeout_recv_response(Some(SILENCE))
            .tls_config(trust::tls(host, self.settings(host), system)?)
            .proxy(proxy.as_ref().map(|chosen| chosen.proxy.clone()));
        let asking = Asking {
            agent: config.build().new_agent(),
            proxy: proxy.map(|chosen| chosen.shown),
        };
        agents.insert(at.clone(), asking.clone());
        Ok(asking)
    }
}

/// How long to wait before the next attempt: a quarter of a second, doubled
/// each time, up to four seconds.
pub(super) fn pause(failures: u32) -> Duration {
    Duration::from_millis(250 << failures.clamp(1, 5) >> 1)
}

/// A failure to talk to a host.
pub(super) fn unreachable(host: &str, why: impl Words) -> Error {
    let host = escape::message(host, 200);
    let why = why.message();
    Error::new(
        Kind::Unreachable,
        why.reworded(|why| format!("cannot reach {host}: {why}")),
    )
}

/// Whether a host, with or without port, is this machine: an address of it that is written
/// out, or `localhost`. Other names are not resolved for that: the answer could be another one
/// when the host is asked.
pub(super) fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_here = |address: Ipv4Addr| address.is_loopback() || address.octets()[0] == 0;
    let named = name.trim_end_matches('.').to_ascii_lowercase();
    named == "localhost"
        || named.ends_with(".localhost")
        || match name.parse() {
            Ok(IpAddr::V4(address)) => is_here(address),
            Ok(IpAddr::V6(address)) => {
                address.is_loopback()
                    || address.is_unspecified()
                    || address.to_ipv4_mapped().is_some_and(is_here)
            }
            Err(_) => numeric(&named).is_some_and(is_here),
        }
}

/// The address that the resolver takes a name for which is made of one to four numbers,
/// decimal, octal or hexadecimal: inet_aton(3).
fn numeric(name: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| match part.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None if part.len() > 1 && part.starts_with('0') => u32::from_str_radix(part, 8),
        None => part.parse(),
    };
    let parts = name.split('.').map(|part| number(part).ok());
    let parts: Vec<u32> = parts.collect::<Option<_>>()?;
    let (last, above) = parts.split_last()?;
    let room = 4_u32.checked_sub(u32::try_from(above.len()).ok()?)?;
    let fits = room > 0 && above.iter().all(|part| *part < 256);
    let fits = fits && (room == 4 || u64::from(*last) < 1 << (8 * room));
    fits.then(|| {
        let high = (0..).zip(above).map(|(at, part)| part << (24 - 8 * at));
        Ipv4Addr::from(high.fold(*last, |address, part| address | part))
    })
}

pub(super) fn parse(url: &str) -> Result<Uri> {
    url.parse().map_err(|_| {
        let url = escape::message(url, 300);
        Error::input(NotAUrl::Malformed { url })
    })
}

/// Scheme, and host with its port where that is said.
pub(super) fn origin(uri: &Uri) -> Result<(String, String)> {
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme @ ("http" | "https")), Some(authority)) => {
            // A name and a password in a URL are not for errors.
            let host = authority.as_str().rsplit('@').next().unwrap_or_default();
            Ok((scheme.to_owned(), host.to_ascii_lowercase()))
        }
        _ => {
            let url = escape::message(&uri.to_string(), 300);
            Err(Error::input(NotAUrl::NoHost { url }))
        }
    }
}

/// The URL that a `Location` names, as it was read at another one: see RFC 3986, 5.2.
pub(super) fn follow(at: &Uri, location: &str) -> Result<String> {
    let (scheme, host) = origin(at)?;
    let wrong = || Err(unreachable(&host, Redirects::NoUrl));
    let location = location.split('#').next().unwrap_or_default().trim();
    if location.starts_with("http://") || location.starts_with("https://") {
        return Ok(location.to_owned());
    }
    if let Some(rest) = location.strip_prefix("//") {
        return Ok(format!("{scheme}://{rest}"));
    }
    let (path, query) = match location.find('?') {
        Some(mark) => location.split_at(mark),
        None => (location, ""),
    };
    let path = match path {
        "" if query.is_empty() => return wrong(),
        "" => at.path().to_owned(),
        path if path.starts_with('/') => path.to_owned(),
        // Of another scheme.
        path if path
            .split('/')
            .next()
            .is_some_and(|first| first.contains(':')) =>
        {
            return wrong();
        }
        path => {
            let folder = at.path().rfind('/').map_or("", |end| &at.path()[..end]);
            without_dots(&format!("{folder}/{path}"))
        }
    };
    Ok(format!("{scheme}://{host}{path}{query}"))
}

/// A path without `.` and `..`, which begins with a slash.
fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let mut last = "";
    for part in path.split('/').skip(1) {
        last = part;
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    // What a dot stands for is a directory.
    if matches!(last, "." | "..") {
        parts.push("");
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use switch_root_core::outcome::Outcomes;

    use super::*;

    #[test]
    fn a_host_that_is_not_reached_has_the_code_of_the_reason() {
        let error = unreachable("r.example", Failure::Refused);
        assert_eq!(error.code, Some(Failure::Refused.code()));
        assert_eq!(
            error.to_string(),
            "cannot reach r.example: the connection was refused: nothing listens there"
        );
    }

    #[test]
    fn this_machine_is_known_by_all_its_names() {
        for host in [
            "localhost",
            "LOCALHOST:5000",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]:5000",
            "[::1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "127.0.0.1.example",
            "localhost.example",
            // Names that usually resolve to it, and are not taken for it.
            "ip6-localhost",
            "localhost.localdomain",
            "128.0.0.1",
            "[::2]:1",
            "",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_host_with_tls_settings_is_not_spoken_to_without() {
        let mut registries = Registries {
            plain_http: vec!["plain.example:5000".into()],
            ..Registries::default()
        };
        registries.hosts.insert(
            "localhost:5001".into(),
            Host {
                insecure_skip_verify: true,
                ..Host::default()
            },
        );
        let stop = Stop::default();
        let transport = Transport::new(&registries, &stop);
        assert!(transport.plain("localhost:5000"));
        assert!(transport.plain("plain.example:5000"));
        assert!(!transport.plain("localhost:5001"));
        assert!(!transport.plain("plain.example"));
    }

    #[test]
    fn nobody_elsewhere_has_this_machine_ask_itself() {
        let mut registries = Registries::default();
        registries.plain_http.push("127.0.0.1:81".into());
        registries.plain_http.push("lan.example".into());
        let stop = Stop::default();
        let transport = Transport::new(&registries, &stop);
        let (https, http) = ("https", "http");
        let away = (https, "ghcr.io");
        for to in [
            "localhost:80",
            "a.localhost.:80",
            "127.0.0.1:8001",
            "[::1]:1",
            "127.1.2.3",
            "0.0.0.0:1",
            "[::]:1",
            "[::ffff:127.0.0.1]:1",
            "127.1:1",
            "2130706433",
            "0x7f.1",
            "0177.0.0.1",
            "0:80",
        ] {
            assert!(!transport.may_lead(away, (http, to)), "{to}");
            assert!(
                !transport.may_lead((http, "lan.example"), (http, to)),
                "{to}"
            );
            assert!(
                transport.may_lead((http, "localhost:5000"), (http, to)),
                "{to}"
            );
            assert!(
                transport.may_lead((https, "localhost:5000"), (http, to)),
                "{to}"
            );
            assert!(transport.may_lead(away, (https, to)), "{to}");
        }
        assert!(
            transport.may_lead(away, (http, "127.0.0.1:81")),
            "it is configured"
        );
        assert!(
            transport.may_lead(away, (http, "lan.example")),
            "it is configured"
        );
        assert!(!transport.may_lead(away, (http, "b.example")));
        assert!(transport.may_lead((http, "lan.example"), (http, "b.example")));
    }

    #[test]
    fn redirects_are_read_as_they_are_written() {
        let at: Uri = "https://A.example:1/v2/a/blobs/x?old=1".parse().unwrap();
        let follow = |location| follow(&at, location);
        for (location, url) in [
            ("/x?y", "https://a.example:1/x?y"),
            ("//b/x", "https://b/x"),
            ("http://b/x#y", "http://b/x"),
            ("y/z?u=/v:w", "https://a.example:1/v2/a/blobs/y/z?u=/v:w"),
            ("./y", "https://a.example:1/v2/a/blobs/y"),
            ("../uploads/", "https://a.example:1/v2/a/uploads/"),
            ("../..", "https://a.example:1/v2/"),
            ("../../../../../y", "https://a.example:1/y"),
            ("?new=2", "https://a.example:1/v2/a/blobs/x?new=2"),
        ] {
            assert_eq!(follow(location).unwrap(), url);
        }
        for location in ["", "#x", "ftp://b/", "file:///etc/passwd", "data:x"] {
            assert_eq!(follow(location).unwrap_err().kind, Kind::Unreachable);
        }
    }
}
