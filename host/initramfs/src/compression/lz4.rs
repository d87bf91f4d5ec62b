//! The older format of LZ4 (`lz4 -l`), which is what the kernel reads: a magic
//! number, and blocks of at most 8 MiB, each with its compressed length in front.
//! The end is not marked. As for the kernel, it is where the input ends, or where
//! a length is zero; so zeros must stand before what follows.

use std::io::{self, BufRead, ErrorKind, Read, Write};

use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};

const MAGIC: u32 = 0x184c_2102;
const BLOCK: usize = 8 << 20;

/// Reads from an input that shows at least four bytes at once, if there are as
/// many.
pub struct Decoder<R> {
    input: R,
    block: Vec<u8>,
    position: usize,
    ended: bool,
}

impl<R: BufRead> Decoder<R> {
    pub fn new(input: R) -> Self {
        Self {
            input,
            block: Vec::new(),
            position: 0,
            ended: false,
        }
    }

    /// Reads the next block; an empty one is the end.
    fn next(&mut self) -> io::Result<()> {
        self.position = 0;
        self.block.clear();
        let length = loop {
            let length = match self.input.fill_buf()? {
                // The end, or the zeros that are the end, which stay unread.
                [] | [0] | [0, 0] | [0, 0, 0] | [0, 0, 0, 0, ..] => return Ok(()),
                [a, b, c, d, ..] => u32::from_le_bytes([*a, *b, *c, *d]),
                _ => return Err(ErrorKind::UnexpectedEof.into()),
            };
            self.input.consume(4);
            // The magic number once more: another one follows directly.
            if length != MAGIC {
                break length as usize;
            }
        };
        if length > get_maximum_output_size(BLOCK) {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("a block of {length} bytes, which is more than there can be"),
            ));
        }
        let mut compressed = Vec::new();
        let read = (&mut self.input)
            .take(length as u64)
            .read_to_end(&mut compressed)?;
        if read < length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.block.resize(BLOCK, 0);
        let length = decompress_into(&compressed, &mut self.block)
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        self.block.truncate(length);
        Ok(())
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position == self.block.len() && !self.ended {
            self.next()?;
            self.ended = self.block.is_empty();
        }
        let length = (&self.block[self.position..]).read(buffer)?;
        self.position += length;
        Ok(length)
    }
}

pub struct Encoder<W> {
    output: W,
    block: Vec<u8>,
    begun: bool,
}

impl<W: Write> Encoder<W> {
    pub fn new(output: W) -> Self {
        Self {
            output,
            block: Vec::new(),
            begun: false,
        }
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.write_block()
    }

    fn write_block(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.output.write_all(&MAGIC.to_le_bytes())?;
        }
        if self.block.is_empty() {
            return Ok(());
        }
        let mut compressed = vec![0; get_maximum_output_size(self.block.len())];
        let length = compress_into(&self.block, &mut compressed).map_err(io::Error::other)?;
        // At most what a block can become, which is below 16 MiB.
        self.output.write_all(&(length as u32).to_le_bytes())?;
        self.output.write_all(&compressed[..length])?;
        self.block.clear();
        Ok(())
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..length]);
        if self.block.len() == BLOCK {
            self.write_block()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
