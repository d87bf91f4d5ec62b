//! Reading compressed data to where it ends, and not a byte further.

use std::io::{self, BufRead, ErrorKind, Read};

use liblzma::bufread::XzDecoder;
use liblzma::stream::Stream;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::interrupt;

use super::{Format, lz4};

switch_root_core::outcomes! {
    /// Why compressed data is not read.
    pub enum Unread in "compression" {
        /// There is not enough memory for what decompresses it.
        "SR-G40" NotBegun { format: Format } = "cannot begin to read {format}",
        /// Some kernels read it; no tool here does.
        "SR-G41" Unsupported { format: Format } = "{format}-compressed parts are not read here; compress the initramfs with zstd, xz, gzip, lzma, lz4 or bzip2",
        /// The file was cut off, on a full disk or on its way here. Copy it, or make it, again.
        "SR-G42" Truncated { format: Format } = "the {format}-compressed data ends early; it is truncated",
        /// The file was damaged, or the tool that made it writes what others do not read. Make the
        /// image again.
        "SR-G43" Broken { format: Format, error: io::Error } = "the {format}-compressed data is broken: {error}",
    }
}

/// What a decoder of LZMA may take: the dictionary of `xz -9`, and a little.
const LZMA_MEMORY: u64 = 80 << 20;

/// Reads what stands compressed at the beginning of `input`: one member of gzip,
/// one frame of zstd, one stream of xz or bzip2. Once it is read to its end, `input` stands
/// right behind it. `input` must show [`LOOKAHEAD`](super::LOOKAHEAD) bytes at once,
/// if it has as many. At most 130 MiB of memory are taken (for a window of zstd).
///
/// # Errors
/// The format is not read here. What is read gives errors that say that the data
/// is truncated, or broken.
pub fn reader<'a>(format: Format, input: &'a mut dyn BufRead) -> Result<Box<dyn Read + 'a>> {
    let failed = |error: io::Error| Error::system(Unread::NotBegun { format }, &error);
    let lzma = |stream: std::result::Result<Stream, liblzma::stream::Error>| {
        stream.map_err(|error| failed(error.into()))
    };
    let inner: Box<dyn Read + 'a> = match format {
        Format::Gzip => Box::new(flate2::bufread::GzDecoder::new(input)),
        Format::Zstd => Box::new(
            zstd::stream::read::Decoder::with_buffer(input)
                .map_err(failed)?
                .single_frame(),
        ),
        Format::Xz => Box::new(XzDecoder::new_stream(
            input,
            lzma(Stream::new_stream_decoder(LZMA_MEMORY, 0))?,
        )),
        Format::Lzma => Box::new(XzDecoder::new_stream(
            input,
            lzma(Stream::new_lzma_decoder(LZMA_MEMORY))?,
        )),
        Format::Lz4 => Box::new(lz4::Decoder::new(input)),
        Format::Bzip2 => Box::new(bzip2::bufread::BzDecoder::new(input)),
        Format::Lzo => {
            return Err(Error::input(Unread::Unsupported { format }));
        }
    };
    Ok(Box::new(Decoder {
        inner,
        format,
        ended: false,
    }))
}

/// Says in errors what was read, and stays at the end.
struct Decoder<'a> {
    inner: Box<dyn Read + 'a>,
    format: Format,
    ended: bool,
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        interrupt::check()?;
        match self.inner.read(buffer) {
            Ok(length) => {
                self.ended = length == 0;
                Ok(length)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => Err(self.named(error)),
        }
    }
}

impl Decoder<'_> {
    fn named(&self, error: io::Error) -> io::Error {
        let format = self.format;
        match error.kind() {
            // From further below, such as a disk that cannot be read.
            _ if error.get_ref().is_some_and(|inner| inner.is::<Error>())
                || error.raw_os_error().is_some() =>
            {
                error
            }
            ErrorKind::UnexpectedEof => {
                Error::new(Kind::Corrupt, Unread::Truncated { format }).into()
            }
            _ => Error::new(Kind::Corrupt, Unread::Broken { format, error }).into(),
        }
    }
}
