//! Reading ahead: layers are fetched and their digests computed in a thread of
//! their own, while those before are decompressed and written.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};

use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::progress::Task;

use super::digest::Checked;
use super::stop::{NOTICE, Stop};
use super::store::{Layer, Store};
use crate::unpack::unread;

/// Bytes that are handed over at a time.
const CHUNK: usize = 256 << 10;
/// Chunks that may wait: 8 MiB for each image that is pulled.
const CHUNKS: usize = 32;

/// What comes of the layers.
enum Piece {
    Bytes(Vec<u8>),
    /// A layer was complete, and what its digest says.
    End,
    Failed(Error),
}

/// The two ends. Where one is dropped, the other ends, too.
pub(super) fn channel(stop: &Stop) -> (Sender, Layers<'_>) {
    let (pieces, incoming) = sync_channel(CHUNKS);
    let (used, reusable) = sync_channel(CHUNKS);
    (
        Sender { pieces, reusable },
        Layers {
            incoming,
            used,
            stop,
            chunk: Vec::new(),
            at: 0,
            ended: true,
        },
    )
}

/// Where layers are put in.
pub(super) struct Sender {
    pieces: SyncSender<Piece>,
    /// Chunks that were read, to be filled again.
    reusable: Receiver<Vec<u8>>,
}

impl Sender {
    /// Fetches all layers, in order; returns when they were taken, or when
    /// nobody takes them any more.
    pub(super) fn send(self, store: &dyn Store, layers: &[Layer], stop: &Stop, task: &dyn Task) {
        for layer in layers {
            let piece = match self.layer(store, layer, stop, task) {
                Ok(true) => Piece::End,
                Ok(false) => return,
                Err(error) => Piece::Failed(error),
            };
            let failed = matches!(piece, Piece::Failed(_));
            if self.pieces.send(piece).is_err() || failed {
                return;
            }
        }
    }

    /// Whether it was taken whole.
    fn layer(
        &self,
        store: &dyn Store,
        layer: &Layer,
        stop: &Stop,
        task: &dyn Task,
    ) -> Result<bool> {
        let mut what = format!(
            "the layer {}",
            switch_root_core::escape::message(&layer.key, 200)
        );
        if let Some(givers) = store.givers() {
            what.push_str(&format!(" from {givers}"));
        }
        let blob = store.layer(layer)?;
        let mut blob: Box<dyn Read + '_> = match &layer.digest {
            Some(digest) => Box::new(Checked::new(
                blob,
                digest.clone(),
                Some(layer.size),
                what.clone(),
            )?),
            None => blob,
        };
        loop {
            stop.check()?;
            let mut chunk = self.reusable.try_recv().unwrap_or_default();
            chunk.resize(CHUNK, 0);
            let length = fill(&mut blob, &mut chunk).map_err(|error| {
                let path = what.clone();
                Error::system(Attempt::Read { path }, &error)
            })?;
            if length == 0 {
                return Ok(true);
            }
            chunk.truncate(length);
            task.advance(length as u64);
            if self.pieces.send(Piece::Bytes(chunk)).is_err() {
                return Ok(false);
            }
        }
    }
}

/// Reads until the buffer is full or there is no more.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Where layers come out: reads one to its end; [`Layers::next`] begins the
/// next.
pub(super) struct Layers<'a> {
    incoming: Receiver<Piece>,
    used: SyncSender<Vec<u8>>,
    stop: &'a Stop,
    chunk: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Layers<'_> {
    /// Begins the next layer.
    pub(super) fn next(&mut self) {
        self.ended = false;
    }

    /// Reads what is left of the layer, which nobody needs, so that its digest
    /// is known to be right.
    pub(super) fn finish(&mut self) -> Result<()> {
        io::copy(self, &mut io::sink())
            .map(drop)
            .map_err(|error| unread(&error))
    }
}

impl BufRead for Layers<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.at == self.chunk.len() && !self.ended {
            let used = std::mem::take(&mut self.chunk);
            self.at = 0;
            if used.capacity() > 0 {
                // Where it is not wanted back it is freed.
                let _ = self.used.try_send(used);
            }
            match self.incoming.recv_timeout(NOTICE) {
                Ok(Piece::Bytes(chunk)) => self.chunk = chunk,
                Ok(Piece::End) => self.ended = true,
                Ok(Piece::Failed(error)) => return Err(error.into()),
                Err(RecvTimeoutError::Timeout) => self.stop.check()?,
                Err(RecvTimeoutError::Disconnected) => {
                    self.stop.check()?;
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        Ok(&self.chunk[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at = (self.at + amount).min(self.chunk.len());
    }
}

impl Read for Layers<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}
