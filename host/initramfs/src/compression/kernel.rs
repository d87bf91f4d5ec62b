//! What the kernel's decoders do not read of a format that they know. Tools that pack
//! initramfs images read it, and the machine panics.
//!
//! Sources: `lib/decompress.c`, `lib/decompress_inflate.c`, `lib/decompress_unxz.c` with
//! `lib/xz/xz_dec_stream.c`, and `lib/decompress_unzstd.c` of Linux 6.1 to 7.2.

use super::Format;

switch_root_core::outcomes! {
    /// What the kernel does not read of a format that it knows.
    pub enum NotRead in "compression" {
        /// The tools that pack images read it, and the machine would panic.
        "SR-G50" Method { method: u8 } = "its gzip header names the method {method}, and the kernel reads 8 (deflate) alone; compress it with `gzip` or `zstd`",
        "SR-G51" ExtraField = "its gzip header has an extra field, as bgzip and some libraries write, and the kernel reads over a file name alone; compress it with `gzip` or `zstd`",
        "SR-G52" Comment = "its gzip header has a comment, and the kernel reads over a file name alone; compress it with `gzip` or `zstd`",
        "SR-G53" OwnChecksum = "its gzip header has a checksum of itself, and the kernel reads over a file name alone; compress it with `gzip` or `zstd`",
        "SR-G54" Flags = "its gzip header has flags that are not defined, and the kernel reads over a file name alone; compress it with `gzip` or `zstd`",
        "SR-G55" Check { check: &'static str } = "it is checked by {check}, and the kernel's decoder knows CRC32 alone; compress it with `xz --check=crc32`",
        "SR-G56" Delta = "it is compressed with the filter delta, and the kernel's decoder knows LZMA2 and filters for programs alone; compress it with `xz --check=crc32 --lzma2`",
        "SR-G57" Filter { filter: u8 } = "it is compressed with the filter {filter:#x}, and the kernel's decoder knows LZMA2 and filters for programs alone; compress it with `xz --check=crc32 --lzma2`",
    }
}

/// What it says of compressed data by its first bytes ([`LOOKAHEAD`](super::LOOKAHEAD)
/// of them, or all there are) that the kernel does not read, with how to make what it
/// does; nothing where there is no such thing.
pub fn unread(format: Format, first: &[u8]) -> Option<NotRead> {
    match format {
        Format::Gzip => gzip(first),
        Format::Xz => xz(first),
        Format::Zstd | Format::Lzma | Format::Lz4 | Format::Bzip2 | Format::Lzo => None,
    }
}

/// Whether zstd data begins with a frame that holds nothing, as pzstd writes one in
/// front. The kernel tells zstd by the mark of a frame that holds something.
pub fn is_skippable_frame(first: &[u8]) -> bool {
    matches!(first, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

/// The kernel skips the fixed header and the name of the file (flag 8), no more; flag 1
/// only says that it is text.
fn gzip(first: &[u8]) -> Option<NotRead> {
    let [_, _, method, flags, ..] = first else {
        return None;
    };

    if *method != 8 {
        return Some(NotRead::Method { method: *method });
    }
    match flags & !0x09 {
        0 => None,
        it if it & 0x04 != 0 => Some(NotRead::ExtraField),
        it if it & 0x10 != 0 => Some(NotRead::Comment),
        it if it & 0x02 != 0 => Some(NotRead::OwnChecksum),
        _ => Some(NotRead::Flags),
    }
}

/// The kernel checks by CRC32 or not at all, and knows LZMA2 behind at most one filter
/// for programs.
fn xz(first: &[u8]) -> Option<NotRead> {
    let check = match first.get(7)? & 0x0f {
        0x00 | 0x01 => None,
        0x04 => Some("CRC64, which xz does unless told otherwise"),
        0x0a => Some("SHA-256"),
        _ => Some("something else than CRC32"),
    };
    if let Some(check) = check {
        return Some(NotRead::Check { check });
    }
    let other = filters(first.get(12..)?)
        .into_iter()
        .find(|filter| !matches!(filter, 0x21 | 0x04..=0x0b))?;
    Some(match other {
        0x03 => NotRead::Delta,
        filter => NotRead::Filter { filter },
    })
}

/// The filters of a block by its header, as far as that is there. An index in its place
/// has none.
fn filters(header: &[u8]) -> Vec<u8> {
    let [size, flags, ..] = header else {
        return Vec::new();
    };
    if *size == 0 {
        return Vec::new();
    }
    let mut rest = &header[2..];
    // The compressed and the uncompressed size, where they are there.
    for _ in 0..(flags & 0xc0).count_ones() {
        let Some(end) = rest.iter().position(|byte| byte & 0x80 == 0) else {
            return Vec::new();
        };
        rest = &rest[end + 1..];
    }
    let mut found = Vec::new();
    for _ in 0..=flags & 0x03 {
        // Numbers and sizes of all filters that are defined take one byte each.
        let [filter, length, properties @ ..] = rest else {
            break;
        };
        found.push(*filter);
        let Some(behind) = properties.get(usize::from(*length)..) else {
            break;
        };
        rest = behind;
    }
    found
}
