//! Layers: squashfs images of the folders that extensions were unpacked to. The
//! same files give the same bytes, whoever owned them, whenever they were made, and
//! in whatever order the folder lists them.

mod ahead;
mod codec;
pub(crate) mod file;
pub(crate) mod tree;

use std::cell::RefCell;
use std::env;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;

use backhand::kind::Kind;
use backhand::{BackhandError, FilesystemCompressor, FilesystemWriter, NodeHeader};
use codec::BLOCK;
use switch_root_core::error::{Error, Result};
use switch_root_core::output::cannot_write;
use switch_root_core::progress::Task;
use switch_root_core::{escape, interrupt};
use tree::{Entry, Refused, What};

pub use ahead::Pool;
pub use codec::Codec;

switch_root_core::outcomes! {
    /// Why no layer is made of a folder.
    pub enum NoLayer in "layers" {
        /// The variable is set for builds that can be repeated.
        "SR-Q01" Epoch { value: String, most: u32 } = "SOURCE_DATE_EPOCH is `{value}`, which is no number of seconds between 0 and {most}; unset it or correct it",
        /// What writes images does not take what is in the folder.
        "SR-Q02" Unwritable { path: String, error: BackhandError } = "cannot make a layer of {path}: {error}",
    }
}

/// How an image is made.
pub struct Options<'a> {
    /// How it is compressed.
    pub codec: Codec,
    /// When everything in it was changed last, in seconds since 1970.
    pub time: u32,
    /// Threads that compress, besides the caller's. The bytes are the same with
    /// any number of them, and with none.
    pub pool: Option<&'a Pool>,
    /// Where the output is, for errors.
    pub output: &'a Path,
    /// Is told of the bytes of files that were read.
    pub task: &'a dyn Task,
}

/// What the environment variable `SOURCE_DATE_EPOCH` says, or 0.
///
/// # Errors
/// It is not a number of seconds that 32 bits hold.
pub fn source_date_epoch() -> Result<u32> {
    let Some(value) = env::var_os("SOURCE_DATE_EPOCH") else {
        return Ok(0);
    };
    value
        .to_str()
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| {
            Error::input(NoLayer::Epoch {
                value: escape::path(value.as_bytes()),
                most: u32::MAX,
            })
        })
}

/// Writes an image of everything below `rootfs` to `output`, from its beginning on.
/// All of it belongs to root, and the directory at the top has the mode 0755,
/// whatever `rootfs` has. Hard links become files of their own; those of a block or
/// more share their data. Extended attributes are left out.
///
/// # Errors
/// Something is neither a file, a directory nor a symbolic link, is changed while
/// it is read, is nested too deeply, or cannot be read or written. `output` holds
/// something incomplete then.
pub fn write(rootfs: &Path, output: &File, options: &Options<'_>) -> Result<()> {
    let shown = escape::path(rootfs.as_os_str().as_bytes());
    options.codec.check()?;
    let tree = tree::read(rootfs)?;
    let failed = |error: BackhandError| match error {
        BackhandError::StdIo(error) => {
            let path = shown.clone();
            Error::system(Refused::BySystem { path }, &error)
        }
        error => {
            let path = shown.clone();
            Error::input(NoLayer::Unwritable { path, error })
        }
    };
    let (compressor, described) = options.codec.described();
    let compressor = FilesystemCompressor::new(compressor, described).map_err(failed)?;
    let mut image = FilesystemWriter::default();
    image.set_kind(Kind::new_v4(&ahead::Ahead));
    image.set_compressor(compressor);
    image.set_block_size(BLOCK);
    image.set_time(options.time);
    image.set_only_root_id();
    image.set_root_mode(0o755);
    for Entry { path, mode, what } in &tree.entries {
        let header = NodeHeader::new(*mode, 0, 0, options.time);
        match what {
            What::Directory => image.push_dir(path, header),
            What::Link(target) => image.push_symlink(target, path, header),
            What::File(size) => {
                let file = file::Lazy::new(&tree.root, path, *size, Some(options.task));
                image.push_file(file, path, header)
            }
        }
        .map_err(failed)?;
    }
    let broken = RefCell::new(None);
    let mut buffered = BufWriter::with_capacity(
        256 * 1024,
        Output {
            file: output,
            path: options.output,
            broken: &broken,
        },
    );
    let result = (|| {
        buffered.seek(SeekFrom::Start(0))?;
        let (_, length) = thread::scope(|scope| {
            let files = tree.entries.iter().filter_map(|entry| match entry.what {
                What::File(size) => Some(file::Lazy::new(&tree.root, &entry.path, size, None)),
                _ => None,
            });
            let _ahead = ahead::begin(scope, options.pool, files, options.codec);
            image.write(&mut buffered)
        })?;
        buffered.flush()?;
        // The data of a file that is there already is written, and then overwritten
        // by what follows; behind the last one some of it may stand beyond the end.
        output.set_len(length)?;
        Ok(())
    })();
    match broken.take() {
        Some(error) => Err(error),
        None => result.map_err(failed),
    }
}

/// The file of the image. Ends the writing where the user interrupts, and keeps
/// what went wrong, since the writer of images does not pass on every error as it
/// was.
struct Output<'a> {
    file: &'a File,
    path: &'a Path,
    broken: &'a RefCell<Option<Error>>,
}

impl Output<'_> {
    fn named(&self, error: io::Error) -> io::Error {
        if error.kind() != io::ErrorKind::Interrupted {
            *self.broken.borrow_mut() = Some(cannot_write(self.path, &error));
        }
        error
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        interrupt::check()?;
        self.file.write(bytes).map_err(|error| self.named(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Output<'_> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.file.seek(position).map_err(|error| self.named(error))
    }
}

#[cfg(test)]
mod tests;
