//! How blocks of layers are compressed, so that the kernel reads them.

use std::cell::RefCell;
use std::io::{self, Read};

use backhand::compression::{CompressionOptions, Compressor, Zstd};
use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
use switch_root_core::error::Result;

use crate::compression::check_level;

/// A block of data, in bytes. Larger ones compress a little better, and cost the running
/// system more for each page that it reads.
pub(super) const BLOCK: u32 = 128 * 1024;

/// A format of compressed blocks, and its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// zstd, 1 to 22. Linux has it in squashfs since 4.14.
    Zstd(i32),
    /// xz, 0 to 9. Linux has it in squashfs since 2.6.38.
    Xz(u32),
    /// zlib, 1 to 9, which squashfs calls gzip. Linux always had it.
    Gzip(u32),
}

thread_local! {
    static ZSTD: RefCell<Option<(i32, zstd::bulk::Compressor<'static>)>> =
        const { RefCell::new(None) };
}

impl Codec {
    /// Checks the level.
    ///
    /// # Errors
    /// There is no such level.
    pub(super) fn check(self) -> Result<()> {
        let (name, level, levels) = match self {
            Self::Zstd(level) => ("zstd", i64::from(level), 1..=22),
            Self::Xz(level) => ("xz", level.into(), 0..=9),
            Self::Gzip(level) => ("gzip", level.into(), 1..=9),
        };
        check_level(name, level, levels)
    }

    /// What the superblock says of it: only what the kernel would not take for granted.
    pub(super) fn described(self) -> (Compressor, Option<CompressionOptions>) {
        match self {
            Self::Zstd(level) => {
                let options = Zstd {
                    compression_level: level as u32,
                };
                (Compressor::Zstd, Some(CompressionOptions::Zstd(options)))
            }
            Self::Xz(_) => (Compressor::Xz, None),
            Self::Gzip(_) => (Compressor::Gzip, None),
        }
    }

    /// Compresses a block.
    ///
    /// # Errors
    /// There is not enough memory.
    pub(super) fn compress(self, block: &[u8]) -> io::Result<Vec<u8>> {
        let mut compressed = Vec::new();
        match self {
            Self::Zstd(level) => return zstd(block, level),
            Self::Xz(level) => {
                let mut options = LzmaOptions::new_preset(level)?;
                // The kernel has a dictionary as large as a block, and knows no other check.
                options.dict_size(BLOCK);
                let mut filters = Filters::new();
                filters.lzma2(&options);
                let stream = Stream::new_stream_encoder(&filters, Check::Crc32)?;
                liblzma::read::XzEncoder::new_stream(block, stream).read_to_end(&mut compressed)?;
            }
            Self::Gzip(level) => {
                let level = flate2::Compression::new(level);
                flate2::read::ZlibEncoder::new(block, level).read_to_end(&mut compressed)?;
            }
        }
        Ok(compressed)
    }
}

/// Compresses with the context that this thread has for the level.
fn zstd(block: &[u8], level: i32) -> io::Result<Vec<u8>> {
    ZSTD.with_borrow_mut(|context| {
        if context.as_ref().is_some_and(|(of, _)| *of != level) {
            *context = None;
        }
        let (_, compressor) = match context {
            Some(context) => context,
            None => context.insert((level, zstd::bulk::Compressor::new(level)?)),
        };
        compressor.compress(block)
    })
}
