//! How much is read of an archive, and how much of it may still be read.

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

use switch_root_core::error::Error;

switch_root_core::outcomes! {
    /// Why an archive is not read to its end.
    pub enum TooLarge in "unpacking" {
        /// It is not an image of an extension, or one that was made to fill a disk or memory.
        "SR-Y81" Bytes { most: u64 } = "the archive has more than {most} bytes unpacked, which no extension has",
        "SR-Y82" Headers = "the archive has headers of more than a mebibyte for one entry",
    }
}

/// Counts what several readers read together.
#[derive(Clone)]
pub(crate) struct Gauge(Rc<Counters>);

struct Counters {
    total: u64,
    left: Cell<u64>,
    now: Cell<Option<u64>>,
}

impl Gauge {
    /// Lets so many bytes through in all.
    pub(crate) fn new(total: u64) -> Self {
        Self(Rc::new(Counters {
            total,
            left: Cell::new(total),
            now: Cell::new(None),
        }))
    }

    /// From now on lets at most so many bytes through: those between the content
    /// of one entry and that of the next, which are headers. The `tar` crate
    /// reads them into memory, however long they claim to be.
    pub(crate) fn limit(&self, bytes: Option<u64>) {
        self.0.now.set(bytes);
    }

    /// A reader that counts here.
    pub(crate) fn meter<R>(&self, reader: R) -> Meter<R> {
        Meter {
            reader,
            gauge: self.clone(),
            position: 0,
        }
    }

    fn count(&self, bytes: usize) -> io::Result<()> {
        let bytes = bytes as u64;
        let counters = &*self.0;
        let Some(left) = counters.left.get().checked_sub(bytes) else {
            return Err(Error::input(TooLarge::Bytes {
                most: counters.total,
            })
            .into());
        };
        counters.left.set(left);
        if let Some(now) = counters.now.get() {
            let Some(now) = now.checked_sub(bytes) else {
                return Err(Error::input(TooLarge::Headers).into());
            };
            counters.now.set(Some(now));
        }
        Ok(())
    }
}

/// A reader whose bytes are counted.
pub(crate) struct Meter<R> {
    reader: R,
    gauge: Gauge,
    position: u64,
}

impl<R: Read> Read for Meter<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = self.reader.read(buffer)?;
        if read == 0 && self.gauge.0.now.get().is_some() {
            // umoci ends an archive with the last byte of content. Others than
            // the `tar` crate take that, too.
            let block = self.position.next_multiple_of(512);
            let missing = usize::try_from(block - self.position).unwrap_or_default();
            read = missing.min(buffer.len());
            buffer[..read].fill(0);
        }
        self.position += read as u64;
        self.gauge.count(read)?;
        Ok(read)
    }
}

/// What is sought over is not counted.
impl<R: Seek> Seek for Meter<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.reader.seek(to)?;
        Ok(self.position)
    }
}
