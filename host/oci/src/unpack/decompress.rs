//! Layers as tar archives, however they are compressed.

use std::io::{BufRead, BufReader, Read};

use initramfs::compression::kernel::is_skippable_frame;
use switch_root_core::error::Result;

use super::failure::unread;

/// More than what a decompressor gives at once for a header, less than what is
/// asked for when a file is copied, which then goes by this buffer.
const BUFFER: usize = 64 << 10;

/// The archive in a layer: gzip and zstd are told by their first bytes, which
/// are right where a media type or a name may be wrong. Anything else is given
/// as it is.
///
/// # Errors
/// The layer cannot be read.
pub fn decompress<'a>(mut layer: impl BufRead + 'a) -> Result<Box<dyn Read + 'a>> {
    let failed = |error: std::io::Error| unread(&error);
    let start = layer.fill_buf().map_err(failed)?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        let plain = flate2::bufread::MultiGzDecoder::new(layer);
        Box::new(BufReader::with_capacity(BUFFER, plain))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) || is_skippable_frame(start) {
        let plain = zstd::stream::read::Decoder::with_buffer(layer).map_err(failed)?;
        Box::new(BufReader::with_capacity(BUFFER, plain))
    } else {
        Box::new(layer)
    })
}
