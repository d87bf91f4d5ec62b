//! From folders of extensions to the archive that an initramfs takes: a layer of
//! each, the list of them, and all of it in one.

use std::fs::File;
use std::io::{Seek, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use initramfs::archive::Writer;
use initramfs::compression::{self, Compression};
use initramfs::segments::{EXTENSIONS, ROOT_IMAGE};
use initramfs::squashfs::{self, Codec};
use serde_json::Value;
use sha2::{Digest, Sha256};
use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::limits::fixed::EXTENSIONS_FILE;
use switch_root_core::output::{AtomicFile, cannot_write};
use switch_root_core::progress::Progress;
use switch_root_core::{escape, extensions, interrupt};

switch_root_core::outcomes! {
    /// Why extensions are not packed.
    pub enum Unfit in "extensions" {
        /// Each layer takes a loop device and a place in the overlay. Put several into one.
        "SR-Y20" TooMany { count: usize, most: usize } = "cannot pack {count} extensions: an initramfs takes at most {most} layers",
        /// The names are those of their folders.
        "SR-Y21" Name { name: String } = "cannot pack the extension `{name}`: its name is no name of a file with at most 250 bytes",
        "SR-Y22" RootImage { name: String, image: &'static str } = "cannot pack the extension `{name}`: {image} is the root image of an initramfs; name the folder otherwise",
        "SR-Y23" Twice { name: String } = "cannot pack the extension `{name}`: there are two of this name",
        /// The reason follows.
        "SR-Y24" Layer { image: String } = "cannot finish layer {image}",
        /// The metadata of each extension is in the list. Shorten it, in its manifest.
        "SR-Y25" List { length: usize, most: u64, longest: String } = "cannot write extensions.yaml: it would be {length} bytes long, and no more than {most} are read at boot; the metadata of {longest} is the longest",
    }
}

/// Layers of one initramfs. Each is a loop device and a layer of the overlay.
pub const LAYERS: usize = 100;

/// One extension to be packed.
pub struct Extension {
    /// The name of its folder, such as `000.ghcr.io-siderolabs-gvisor-v1`.
    pub folder_name: String,
    /// The folder, which holds `rootfs/`.
    pub path: PathBuf,
    /// `metadata` of its manifest, an object.
    pub metadata: Value,
}

/// How to pack.
pub struct Options<'a> {
    /// Of the archive. Layers are compressed themselves, so a high level takes long
    /// and gains nothing.
    pub compression: Compression,
    /// Of the layers.
    pub codec: Codec,
    /// How many threads are used.
    pub parallel: usize,
    /// Is told of each layer, and of the archive.
    pub progress: &'a dyn Progress,
}

/// A layer that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// The name that it has in the archive, such as `000.ref.sqsh`.
    pub image: String,
    /// Where it is.
    pub file: PathBuf,
    /// In bytes.
    pub size: u64,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// As the extension has it.
    pub metadata: Value,
}

/// Makes a layer of each extension in the folder `work`, and gives them back in the
/// same order.
///
/// # Errors
/// There are more than [`LAYERS`], two of the same name, or one cannot be made; the
/// error is that of the first in order. Layers that were made by then stay in
/// `work`.
pub fn layers(extensions: &[Extension], work: &Path, options: &Options<'_>) -> Result<Vec<Layer>> {
    check(extensions)?;
    let time = squashfs::source_date_epoch()?;
    let threads = NonZeroUsize::new(options.parallel).unwrap_or(NonZeroUsize::MIN);
    let next = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    let made = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let pool = squashfs::Pool::start(scope, threads);
        let run = || {
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(extension) = extensions.get(index) else {
                    break;
                };
                let layer = layer(extension, work, time, &pool, options);
                failed.fetch_or(layer.is_err(), Ordering::Relaxed);
                // Nothing panics while it is locked.
                if let Ok(mut made) = made.lock() {
                    made.push((index, layer));
                }
            }
        };
        // The pool ends when the last of these did.
        thread::scope(|scope| {
            for _ in 0..threads.get().min(extensions.len()) {
                scope.spawn(run);
            }
        });
    });
    let mut made = made.into_inner().unwrap_or_default();
    made.sort_by_key(|(index, _)| *index);
    made.into_iter().map(|(_, layer)| layer).collect()
}

fn check(extensions: &[Extension]) -> Result<()> {
    if extensions.len() > LAYERS {
        return Err(Error::input(Unfit::TooMany {
            count: extensions.len(),
            most: LAYERS,
        }));
    }
    for (index, extension) in extensions.iter().enumerate() {
        let name = &extension.folder_name;
        let shown = || escape::path(name.as_bytes());
        // With `.sqsh` it is the name of a file.
        if name.is_empty() || name.contains('/') || name.contains('\0') || name.len() > 250 {
            return Err(Error::input(Unfit::Name { name: shown() }));
        }
        if format!("{name}.sqsh") == ROOT_IMAGE {
            return Err(Error::input(Unfit::RootImage {
                name: shown(),
                image: ROOT_IMAGE,
            }));
        }
        if extensions[..index]
            .iter()
            .any(|other| other.folder_name == *name)
        {
            return Err(Error::input(Unfit::Twice { name: shown() }));
        }
    }
    Ok(())
}

fn layer(
    extension: &Extension,
    work: &Path,
    time: u32,
    pool: &squashfs::Pool,
    options: &Options<'_>,
) -> Result<Layer> {
    let task = options.progress.begin(&extension.folder_name, None);
    task.say("packing");
    let image = format!("{}.sqsh", extension.folder_name);
    let file = work.join(&image);
    let mut output = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(&file)
        .map_err(|error| cannot_write(&file, &error))?;
    let how = squashfs::Options {
        codec: options.codec,
        time,
        pool: Some(pool),
        output: &file,
        task: &*task,
    };
    squashfs::write(&extension.path.join("rootfs"), &output, &how)?;
    let (size, digest) = digest(&mut output).map_err(|error| {
        let image = image.clone();
        error.within(Unfit::Layer { image })
    })?;
    Ok(Layer {
        image,
        file,
        size,
        digest,
        metadata: extension.metadata.clone(),
    })
}

/// Size and digest of a file. What was just written is still in memory.
fn digest(file: &mut File) -> Result<(u64, String)> {
    let failed = |error: std::io::Error| {
        let path = "it".to_owned();
        Error::system(Attempt::Read { path }, &error)
    };
    file.rewind().map_err(failed)?;
    let mut hash = Sha256::new();
    let mut size = 0;
    let mut buffer = vec![0; 128 * 1024];
    loop {
        interrupt::check()?;
        match std::io::Read::read(file, &mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                hash.update(&buffer[..length]);
                size += length as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok((size, format!("sha256:{:x}", hash.finalize())))
}

/// Writes the archive that an initramfs takes: the list of layers, and the layers.
///
/// # Errors
/// A layer has 4 GiB or more, is not what it was, or something cannot be read or
/// written.
pub fn write_archive(
    layers: &[Layer],
    output: &mut dyn Write,
    options: &Options<'_>,
) -> Result<()> {
    let total = layers.iter().map(|layer| layer.size).sum();
    let task = options.progress.begin("archive", Some(total));
    task.say("writing");
    let records: Vec<_> = layers
        .iter()
        .map(|layer| extensions::to_write(&layer.image, Some(&layer.digest), &layer.metadata))
        .collect();
    let list = extensions::render(&records);
    if list.len() as u64 > EXTENSIONS_FILE {
        let longest = layers
            .iter()
            .max_by_key(|layer| layer.metadata.to_string().len())
            .map(|layer| escape::message(&layer.image, 256))
            .unwrap_or_default();
        return Err(Error::input(Unfit::List {
            length: list.len(),
            most: EXTENSIONS_FILE,
            longest,
        }));
    }
    let mut encoder = compression::encoder(options.compression, options.parallel, output)?;
    let mut archive = Writer::new(&mut encoder);
    archive.file(
        EXTENSIONS,
        0o644,
        list.len() as u64,
        &mut list.as_bytes(),
        &mut |_| {},
    )?;
    for layer in layers {
        let mut file = File::open(&layer.file).map_err(|error| {
            let path = escape::path(layer.file.as_os_str().as_encoded_bytes());
            Error::system(Attempt::Read { path }, &error)
        })?;
        let advance = &mut |bytes| task.advance(bytes);
        archive.file(&layer.image, 0o644, layer.size, &mut file, advance)?;
    }
    archive.finish()?;
    encoder.finish().map_err(|error| {
        let path = "the archive".to_owned();
        Error::system(Attempt::Write { path }, &error)
    })
}

/// Makes the layers of extensions, and a file of the archive with them. Layers are
/// made in a temporary folder beside `output`, which is gone afterwards, so that
/// the one file system needs room for both; so the files of the layers that are
/// given back are no longer there.
///
/// # Errors
/// See [`layers`] and [`write_archive`]. What was at `output` is as it was then.
pub fn pack(extensions: &[Extension], output: &Path, options: &Options<'_>) -> Result<Vec<Layer>> {
    let mut file = AtomicFile::create(output)?;
    let work = file.folder_beside()?;
    let layers = layers(extensions, work.path(), options)?;
    write_archive(&layers, &mut file, options)?;
    file.commit()?;
    Ok(layers)
}

#[cfg(test)]
mod tests;
