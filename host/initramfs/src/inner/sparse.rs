//! A file with holes where there is nothing but zeros.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};

/// Fewer zeros than a page are written.
const HOLE: usize = 4096;

/// Writes to a file. What is written last must not be zeros.
pub(super) struct Sparse {
    file: BufWriter<File>,
    /// Zeros that were not written yet.
    zeros: i64,
}

impl Sparse {
    pub fn new(file: File) -> Self {
        Self {
            file: BufWriter::new(file),
            zeros: 0,
        }
    }
}

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() >= HOLE && bytes.iter().all(|byte| *byte == 0) {
            self.zeros += bytes.len() as i64;
            return Ok(bytes.len());
        }
        if self.zeros > 0 {
            self.file.seek(SeekFrom::Current(self.zeros))?;
            self.zeros = 0;
        }
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
