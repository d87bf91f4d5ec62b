//! Writing compressed data: the same input gives the same bytes, on every
//! machine and with any number of threads.

use std::io::{self, Write};
use std::ops::RangeInclusive;

use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use liblzma::stream::{Check, LzmaOptions, Stream};
use liblzma::write::XzEncoder;
use switch_root_core::error::{Error, Result};

use super::{Compression, lz4};

switch_root_core::outcomes! {
    /// Why something is not compressed.
    pub enum NotCompressed in "compression" {
        /// Each way to compress has levels of its own.
        "SR-G46" NoLevel { level: i64, of: &'static str, first: i64, last: i64 } = "there is no level {level} of {of}; levels go from {first} to {last}",
        /// There is not enough memory for what compresses it.
        "SR-G47" NotBegun = "cannot begin to compress",
    }
}

/// Levels of zstd. Beyond 19 it would take more than a gigabyte of memory, and a
/// window of more than 8 MiB, which the machine has to find while it boots.
const ZSTD_LEVELS: RangeInclusive<i64> = 1..=19;

/// Threads of zstd at most, so that all of them stay well below 256 MiB.
fn threads_at(level: i32) -> usize {
    match level {
        ..=5 => 4,
        6..=12 => 2,
        _ => 1,
    }
}

/// Compresses what is written to it. It is whole after [`finish`](Self::finish).
pub struct Encoder<'a>(Inner<'a>);

enum Inner<'a> {
    None(&'a mut dyn Write),
    Zstd(zstd::stream::write::Encoder<'static, &'a mut dyn Write>),
    Lzma(XzEncoder<&'a mut dyn Write>),
    Gzip(GzEncoder<&'a mut dyn Write>),
    Bzip2(BzEncoder<&'a mut dyn Write>),
    Lz4(lz4::Encoder<&'a mut dyn Write>),
}

/// Begins to compress into `output`. Only zstd uses several threads, and
/// fewer of them at its higher levels, where each takes more memory.
///
/// # Errors
/// There is no such level.
pub fn encoder<'a>(
    compression: Compression,
    threads: usize,
    output: &'a mut dyn Write,
) -> Result<Encoder<'a>> {
    let level = |level: i64, levels| check_level("compression", level, levels);
    let failed = |error: io::Error| Error::system(NotCompressed::NotBegun, &error);
    Ok(Encoder(match compression {
        Compression::None => Inner::None(output),
        Compression::Zstd(zstd_level) => {
            level(zstd_level.into(), ZSTD_LEVELS)?;
            Inner::Zstd(zstd_encoder(zstd_level, threads, output).map_err(failed)?)
        }
        Compression::Xz(xz_level) => {
            level(xz_level.into(), 0..=9)?;
            // The kernel knows no other check.
            let stream = Stream::new_easy_encoder(xz_level.min(6), Check::Crc32)
                .map_err(|error| failed(error.into()))?;
            Inner::Lzma(XzEncoder::new_stream(output, stream))
        }
        Compression::Lzma(lzma_level) => {
            level(lzma_level.into(), 0..=9)?;
            let stream = LzmaOptions::new_preset(lzma_level.min(6))
                .and_then(|options| Stream::new_lzma_encoder(&options))
                .map_err(|error| failed(error.into()))?;
            Inner::Lzma(XzEncoder::new_stream(output, stream))
        }
        Compression::Gzip(gzip_level) => {
            level(gzip_level.into(), 1..=9)?;
            // Without a name or a time, which is the default.
            Inner::Gzip(GzEncoder::new(output, flate2::Compression::new(gzip_level)))
        }
        Compression::Bzip2(bzip2_level) => {
            level(bzip2_level.into(), 1..=9)?;
            let level = bzip2::Compression::new(bzip2_level);
            Inner::Bzip2(BzEncoder::new(output, level))
        }
        Compression::Lz4 => Inner::Lz4(lz4::Encoder::new(output)),
    }))
}

/// Checks a level `of` something.
pub fn check_level(of: &'static str, level: i64, levels: RangeInclusive<i64>) -> Result<()> {
    if levels.contains(&level) {
        return Ok(());
    }
    Err(Error::input(NotCompressed::NoLevel {
        level,
        of,
        first: *levels.start(),
        last: *levels.end(),
    }))
}

fn zstd_encoder(
    level: i32,
    threads: usize,
    output: &mut dyn Write,
) -> io::Result<zstd::stream::write::Encoder<'static, &mut dyn Write>> {
    let mut encoder = zstd::stream::write::Encoder::new(output, level)?;
    encoder.include_checksum(true)?;
    // One thread, too, is a worker: without workers the bytes are others.
    encoder.multithread(threads.clamp(1, threads_at(level)) as u32)?;
    Ok(encoder)
}

impl Encoder<'_> {
    /// Writes what is left.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> io::Result<()> {
        match self.0 {
            Inner::None(_) => Ok(()),
            Inner::Zstd(encoder) => encoder.finish().map(drop),
            Inner::Lzma(encoder) => encoder.finish().map(drop),
            Inner::Gzip(encoder) => encoder.finish().map(drop),
            Inner::Bzip2(encoder) => encoder.finish().map(drop),
            Inner::Lz4(encoder) => encoder.finish(),
        }
    }

    fn inner(&mut self) -> &mut dyn Write {
        match &mut self.0 {
            Inner::None(inner) => inner,
            Inner::Zstd(inner) => inner,
            Inner::Lzma(inner) => inner,
            Inner::Gzip(inner) => inner,
            Inner::Bzip2(inner) => inner,
            Inner::Lz4(inner) => inner,
        }
    }
}

impl Write for Encoder<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.inner().write(bytes)
    }

    /// Does nothing: flushing would make the result larger.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
