//! By which method something is asked, and what is sent with it.

use std::cell::Cell;
use std::io::{self, Read};

use switch_root_core::progress::Task;
use ureq::http::Response;
use ureq::{Agent, Body, RequestBuilder, SendBody};

/// A method with its body.
#[derive(Clone)]
pub(in crate::pull) enum Method<'q> {
    /// Gets what is there.
    Get,
    /// Asks whether something is there.
    Head,
    /// Posts nothing: begins an upload.
    Post,
    /// Posts a form.
    Form(Vec<(&'q str, &'q str)>),
    /// Puts bytes there.
    Put(&'q Upload<'q>),
}

/// Bytes that are put somewhere, with who is told how far that is.
pub(in crate::pull) struct Upload<'a> {
    bytes: &'a [u8],
    task: &'a dyn Task,
    /// Bytes that were told: an upload that begins anew is not told twice.
    told: Cell<usize>,
}

impl<'a> Upload<'a> {
    /// Nothing of it is sent yet.
    pub(in crate::pull) fn new(bytes: &'a [u8], task: &'a dyn Task) -> Self {
        Self {
            bytes,
            task,
            told: Cell::new(0),
        }
    }

    /// Tells that all of it is there.
    pub(in crate::pull) fn complete(&self) {
        self.tell(self.bytes.len());
    }

    fn tell(&self, sent: usize) {
        let before = self.told.replace(sent.max(self.told.get()));
        self.task.advance(sent.saturating_sub(before) as u64);
    }
}

/// Reads an upload from its beginning.
struct Sending<'u> {
    upload: &'u Upload<'u>,
    at: usize,
}

impl Read for Sending<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.upload.bytes[self.at..]).read(buffer)?;
        self.at += read;
        self.upload.tell(self.at);
        Ok(read)
    }
}

impl Method<'_> {
    /// Whether it changes something, so that a redirect is not followed: what is
    /// sent is for the host that was asked.
    pub(super) fn sends(&self) -> bool {
        !matches!(self, Self::Get | Self::Head)
    }

    /// Sends it, and gives the answer, whatever its status.
    pub(super) fn send<'h>(
        &self,
        agent: &Agent,
        url: &str,
        headers: impl Iterator<Item = (&'static str, &'h str)>,
    ) -> Result<Response<Body>, ureq::Error> {
        match self {
            Self::Get => with(agent.get(url), headers).call(),
            Self::Head => with(agent.head(url), headers).call(),
            Self::Post => with(agent.post(url), headers).send_empty(),
            Self::Form(form) => with(agent.post(url), headers).send_form(form.iter().copied()),
            Self::Put(upload) => {
                // Not every registry takes a body whose length it is not told first.
                let length = upload.bytes.len().to_string();
                let mut body = Sending { upload, at: 0 };
                with(agent.put(url), headers)
                    .header("content-length", length)
                    .send(SendBody::from_reader(&mut body))
            }
        }
    }
}

fn with<'h, Body>(
    request: RequestBuilder<Body>,
    headers: impl Iterator<Item = (&'static str, &'h str)>,
) -> RequestBuilder<Body> {
    headers.fold(request, |request, (name, value)| {
        request.header(name, value)
    })
}
