//! How the parts of an initramfs are compressed: told by their first bytes,
//! read to exactly where they end, and written so that the kernel can read them.

pub(crate) mod decode;
pub(crate) mod encode;
pub mod kernel;
mod lz4;

use std::fmt;

pub use decode::reader;
pub(crate) use encode::check_level;
pub use encode::{Encoder, encoder};

/// A format of compressed data that the kernel knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// LZMA2 with a container.
    Xz,
    /// The older format of LZMA, without a container.
    Lzma,
    /// The older format of LZ4, which alone the kernel reads.
    Lz4,
    /// bzip2.
    Bzip2,
    /// lzop, which is recognized, but not read.
    Lzo,
}

/// The name, as the tools have it.
impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Lz4 => "lz4",
            Self::Bzip2 => "bzip2",
            Self::Lzo => "lzo",
        })
    }
}

/// Bytes that an input must show at once, if it has as many, for [`detect`],
/// [`kernel::unread`] and [`reader`].
pub const LOOKAHEAD: usize = 64;

/// Zeros that must stand between lz4-compressed data and what follows: its end is
/// not marked otherwise.
pub const LZ4_END: u64 = 4;

/// Tells a format by the first bytes of compressed data.
pub fn detect(first: &[u8]) -> Option<Format> {
    Some(match first {
        [0x1f, 0x8b | 0x9e, ..] => Format::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Format::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Format::Xz,
        // Properties of one byte and the low half of a dictionary's size, which
        // is how the kernel tells it, too.
        [0x5d, 0, 0, ..] => Format::Lzma,
        [0x02, 0x21, 0x4c, 0x18, ..] => Format::Lz4,
        [b'B', b'Z', b'h', ..] => Format::Bzip2,
        [0x89, b'L', b'Z', b'O', ..] => Format::Lzo,
        _ => return None,
    })
}

/// How something is to be compressed, with the level of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// 1 to 19, where the window has at most 8 MiB.
    Zstd(i32),
    /// 0 to 9; from 6 on with the memory of 6.
    Xz(u32),
    /// 1 to 9.
    Gzip(u32),
    /// 0 to 9; from 6 on with the memory of 6.
    Lzma(u32),
    /// The older format of LZ4.
    Lz4,
    /// 1 to 9: the block in units of 100 kB.
    Bzip2(u32),
}

/// For archives of layers, which are compressed themselves: higher levels take
/// longer, and more memory, and make them no smaller.
impl Default for Compression {
    fn default() -> Self {
        Self::Zstd(1)
    }
}

impl Compression {
    /// The same format at its own default level; `None` where it is not written.
    pub fn like(format: Format) -> Option<Self> {
        Some(match format {
            Format::Gzip => Self::Gzip(6),
            Format::Zstd => Self::Zstd(3),
            Format::Xz => Self::Xz(6),
            Format::Lzma => Self::Lzma(6),
            Format::Lz4 => Self::Lz4,
            Format::Bzip2 => Self::Bzip2(9),
            Format::Lzo => return None,
        })
    }
}

#[cfg(test)]
mod tests;
