//! Blobs of registries, over connections that break.

use std::io::{self, Read};
use std::sync::atomic::Ordering;

use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE};
use ureq::http::{HeaderMap, Response};
use ureq::{Body, BodyReader};

use super::client::Wanted;
use super::document::essence;
use super::repository::{Repository, all_failed, order};
use super::transport::{Failure, io_reason, origin, parse, pause, unreachable};

switch_root_core::outcomes! {
    /// Why a blob is not received.
    pub enum NotReceived in "registries" {
        /// A proxy or a firewall answers in the registry's place, perhaps.
        "SR-Q75" Page { host: String, digest: String } = "{host} answers for the blob {digest} with a page of HTML; it may be one to log in at",
        /// What answers does not keep to the protocol. Try again, or without the proxy between.
        "SR-Q76" UnsaidPart { host: String, digest: String } = "{host} answers for the blob {digest} with a part of it, and does not say which",
        "SR-Q77" OtherPart { host: String, digest: String, start: u64, total: String, wanted: u64, size: u64 } = "{host} answers for the blob {digest} with the bytes from {start} on of {total}, where those from {wanted} on of {size} were asked for",
        "SR-Q78" OtherSize { host: String, digest: String, length: u64, size: u64 } = "{host} answers for the blob {digest} with {length} bytes, {size} were expected",
        /// The network is bad. Try again.
        "SR-Q79" Broken { host: String, digest: String, attempts: u32, got: u64, size: u64, why: String } = "the connection to {host} broke within the blob {digest}, and {attempts} further attempts brought nothing: {got} of {size} bytes were received ({why})",
    }
}

/// Attempts in a row, at one endpoint, that bring no byte.
const ATTEMPTS: u32 = 5;
/// Places outside of the registry that are tried.
const URLS: usize = 5;

/// Where a blob may be.
enum Place {
    /// An endpoint, by its position.
    Endpoint(usize),
    /// Somewhere else, of which the manifest says that it is there.
    Url(String),
}

/// Reads a blob to its end, whatever connections that takes: where one breaks,
/// the next goes on from there, and where an endpoint fails, another does.
pub(super) struct Blob<'r> {
    repository: &'r Repository<'r>,
    digest: String,
    size: u64,
    got: u64,
    /// Places that were not given up, the next one last.
    ahead: Vec<Place>,
    failures: Vec<Error>,
    attempts: u32,
    open: Option<BodyReader<'static>>,
    done: bool,
}

impl<'r> Blob<'r> {
    /// Nothing is asked before the first byte is wanted. `urls` are asked where no
    /// endpoint has it.
    pub(super) fn new(
        repository: &'r Repository<'r>,
        digest: &str,
        size: u64,
        urls: &[String],
    ) -> Self {
        let good = repository.good.load(Ordering::Relaxed);
        let endpoints = order(good, repository.endpoints.len()).map(Place::Endpoint);
        let urls = urls.iter().take(URLS).cloned().map(Place::Url);
        let mut ahead: Vec<Place> = endpoints.chain(urls).collect();
        ahead.reverse();
        Self {
            repository,
            digest: digest.to_owned(),
            size,
            got: 0,
            ahead,
            failures: Vec::new(),
            attempts: 0,
            open: None,
            done: false,
        }
    }

    /// Opens it at the byte that is wanted next; `None` is one more attempt
    /// that brought nothing.
    fn reopen(&mut self) -> Result<Option<BodyReader<'static>>> {
        let Some(place) = self.ahead.last() else {
            return Err(all_failed(std::mem::take(&mut self.failures)));
        };
        let client = self.repository.client;
        let patience = &self.repository.patience;
        let answered = match place {
            Place::Endpoint(position) => {
                let wanted = Wanted {
                    repository: self.repository.name(),
                    path: &format!("blobs/{}", self.digest),
                    accept: None,
                    offset: self.got,
                };
                client.get(&self.repository.endpoints[*position], &wanted, patience)
            }
            Place::Url(url) => {
                let own = self.repository.endpoints.last();
                client.get_elsewhere(own, url, self.got, patience)
            }
        };
        match answered.and_then(|response| self.position(&self.host(place), response)) {
            Ok(reader) => return Ok(Some(reader)),
            Err(error) if error.kind == Kind::Interrupted => return Err(error),
            // It was there a moment ago.
            Err(error) if error.kind == Kind::Unreachable && self.got > 0 => {
                self.failed(&error.to_string())?;
            }
            Err(error) => self.give_up(error),
        }
        Ok(None)
    }

    /// One more attempt has failed; waits for the next.
    fn failed(&mut self, why: &str) -> Result<()> {
        self.open = None;
        self.repository.client.stop().check()?;
        self.attempts += 1;
        match self.ahead.last() {
            Some(place) if self.attempts > ATTEMPTS => {
                let error = self.broken(&self.host(place), why);
                self.give_up(error);
                Ok(())
            }
            _ => self.repository.client.stop().sleep(pause(self.attempts)),
        }
    }

    /// Who is asked at a place, for errors.
    fn host(&self, place: &Place) -> String {
        match place {
            Place::Endpoint(position) => self.repository.endpoints[*position].host.clone(),
            Place::Url(url) => match parse(url).and_then(|url| origin(&url)) {
                Ok((_, host)) => host,
                Err(_) => escape::message(url, 200),
            },
        }
    }

    /// The place has failed for good.
    fn give_up(&mut self, error: Error) {
        self.failures.push(error);
        self.ahead.pop();
        self.attempts = 0;
    }

    /// Makes an answer one that begins where it should.
    fn position(&self, host: &str, response: Response<Body>) -> Result<BodyReader<'static>> {
        let corrupt = |why: NotReceived| Error::new(Kind::Corrupt, why);
        let (host_name, digest) = (host.to_owned(), self.digest.clone());

        let headers = response.headers();
        let status = response.status().as_u16();
        let media_type = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        if media_type.is_some_and(|it| essence(it) == "text/html") {
            return Err(corrupt(NotReceived::Page {
                host: host_name,
                digest,
            }));
        }
        if status == 206 {
            let Some((start, total)) = content_range(headers) else {
                return Err(corrupt(NotReceived::UnsaidPart {
                    host: host_name,
                    digest,
                }));
            };
            if start != self.got || total.is_some_and(|total| total != self.size) {
                return Err(corrupt(NotReceived::OtherPart {
                    host: host_name,
                    digest,
                    start,
                    total: total.map_or_else(|| "*".to_owned(), |total| total.to_string()),
                    wanted: self.got,
                    size: self.size,
                }));
            }
            return Ok(response.into_body().into_reader());
        }
        if let Some(length) = number(headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()))
            && length != self.size
        {
            return Err(corrupt(NotReceived::OtherSize {
                host: host_name,
                digest,
                length,
                size: self.size,
            }));
        }
        let mut reader = response.into_body().into_reader();
        // Who does not know how to go on begins anew.
        let mut again = self.got;
        let mut buffer = [0; 64 << 10];
        while again > 0 {
            self.repository.client.stop().check()?;
            let want = buffer
                .len()
                .min(usize::try_from(again).unwrap_or(usize::MAX));
            let why = match reader.read(&mut buffer[..want]) {
                Ok(0) => Failure::EndedEarly,
                Ok(read) => {
                    again -= read as u64;
                    continue;
                }
                Err(error) => io_reason(&error),
            };
            return Err(unreachable(host, why));
        }
        Ok(reader)
    }

    fn broken(&self, host: &str, why: &str) -> Error {
        let broken = NotReceived::Broken {
            host: host.to_owned(),
            digest: self.digest.clone(),
            attempts: ATTEMPTS,
            got: self.got,
            size: self.size,
            why: escape::message(why, 300),
        };
        Error::new(Kind::Unreachable, broken)
    }
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.done && !buffer.is_empty() {
            let Some(reader) = &mut self.open else {
                self.open = self.reopen()?;
                continue;
            };
            let why = match reader.read(buffer) {
                // Also where the connection ends badly: all of it is there.
                Ok(0) | Err(_) if self.got >= self.size => {
                    self.done = true;
                    break;
                }
                Ok(0) => Failure::EndedEarly,
                Ok(read) => {
                    self.got += read as u64;
                    self.attempts = 0;
                    return Ok(read);
                }
                Err(error) => io_reason(&error),
            };
            self.failed(&why.to_string())?;
        }
        Ok(0)
    }
}

/// `bytes 5-9/10` as 5 and 10; the length may be `*`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    Some((start.trim().parse().ok()?, total))
}

fn number(text: Option<&str>) -> Option<u64> {
    text?.trim().parse().ok()
}
