//! Files of an image on this machine: in a folder, or in a tar archive, whose
//! members are read where they are.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use switch_root_core::error::{Attempt, Error, Kind, Result};
use switch_root_core::escape;
use tar::EntryType;

use super::document::{LIMIT, oversized};
use crate::unpack::Gauge;
use switch_root_core::reading::{self, cannot_read};

switch_root_core::outcomes! {
    /// Why a file is no archive.
    pub enum NoArchive in "manifests" {
        /// Layers are compressed by themselves already.
        "SR-O74" Compressed { path: String, program: &'static str } = "{path} is compressed; its layers are read where they are, so decompress it first: {program} {path}",
        /// Another file was named, or it was damaged or cut off.
        "SR-O75" NotTar { path: String, why: String } = "{path} is not a tar archive that can be read: {why}",
        "SR-O76" Members { path: String, most: usize } = "{path} has more than {most} members, which no archive of images has",
    }
}

switch_root_core::outcomes! {
    /// What a folder or an archive of images holds, where that is not what is wanted.
    pub enum Holds in "manifests" {
        /// The names of images follow those of folder or file, with a colon between them.
        "SR-O62" Nothing { place: String } = "{place} holds no image",
        "SR-O63" Several { place: String, names: String } = "{place} holds several images; say which, by adding `:NAME`: {names}",
        "SR-O64" Others { place: String, name: String, names: String } = "{place} holds no image `{name}`; it holds: {names}",
        /// It was not copied, or not written, to its end.
        "SR-O77" NoFile { place: String, name: String } = "{place} holds no {name}",
    }
}

/// Members of an archive of images.
const MEMBERS: usize = 100_000;
/// Bytes of headers before one member.
const HEADERS: u64 = 1 << 20;

/// Files by their names, such as `blobs/sha256/00`.
pub(super) trait Files: Sync {
    /// Whether there is such a file.
    fn has(&self, name: &str) -> bool;
    /// Reads one, and says how many bytes it has.
    fn open(&self, name: &str) -> Result<(Box<dyn Read + Send + '_>, u64)>;
    /// What they are in, for errors.
    fn place(&self) -> String;

    /// All of a file that is small.
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let (reader, size) = self.open(name)?;
        if size > LIMIT {
            return Err(oversized(&format!("{name} of {}", self.place())));
        }
        let mut bytes = Vec::new();
        reader
            .take(LIMIT)
            .read_to_end(&mut bytes)
            .map_err(|error| {
                let path = format!("{} of {}", shown(name), self.place());
                Error::system(Attempt::Read { path }, &error)
            })?;
        Ok(bytes)
    }
}

fn shown(name: &str) -> String {
    escape::message(name, 200)
}

/// A folder.
pub(super) struct Folder(pub(super) PathBuf);

impl Files for Folder {
    fn has(&self, name: &str) -> bool {
        self.0.join(name).is_file()
    }

    fn open(&self, name: &str) -> Result<(Box<dyn Read + Send + '_>, u64)> {
        let path = self.0.join(name);
        let file = reading::regular(&path)?;
        let metadata = file
            .metadata()
            .map_err(|error| cannot_read(&path, &error))?;
        Ok((Box::new(file), metadata.len()))
    }

    fn place(&self) -> String {
        escape::path(self.0.as_os_str().as_bytes())
    }
}

/// A tar archive without compression.
pub(super) struct Archive {
    file: File,
    path: PathBuf,
    members: HashMap<String, Member>,
}

enum Member {
    File {
        offset: u64,
        size: u64,
    },
    /// Duplicates of a layer, as old versions of Docker write them.
    Link(String),
}

impl Archive {
    /// Reads where its members are.
    ///
    /// # Errors
    /// It cannot be read, is compressed or malformed.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let shown = escape::path(path.as_os_str().as_bytes());
        let file = reading::regular(path)?;
        let metadata = file.metadata().map_err(|error| cannot_read(path, &error))?;
        let mut magic = [0; 6];
        let read = file
            .read_at(&mut magic, 0)
            .map_err(|error| cannot_read(path, &error))?;
        if let Some(program) = compression(&magic[..read]) {
            let path = shown;
            return Err(Error::input(NoArchive::Compressed { path, program }));
        }
        let malformed = |error: &io::Error| {
            let not_tar = NoArchive::NotTar {
                path: shown.clone(),
                why: escape::message(&error.to_string(), 200),
            };
            Error::new(Kind::Corrupt, not_tar)
        };
        let gauge = Gauge::new(u64::MAX);
        let reader = BufReader::with_capacity(16 << 10, &file);
        let mut archive = tar::Archive::new(gauge.meter(reader));
        let mut members = HashMap::new();
        gauge.limit(Some(HEADERS));
        for entry in archive
            .entries_with_seek()
            .map_err(|error| malformed(&error))?
        {
            let entry = entry.map_err(|error| malformed(&error))?;
            gauge.limit(Some(HEADERS));
            switch_root_core::interrupt::check()?;
            let member = match entry.header().entry_type() {
                EntryType::Regular | EntryType::Continuous => Member::File {
                    offset: entry.raw_file_position(),
                    size: entry.size(),
                },
                EntryType::Symlink | EntryType::Link => {
                    let target = entry.link_name_bytes().unwrap_or_default();
                    Member::Link(String::from_utf8_lossy(&target).into_owned())
                }
                _ => continue,
            };
            if let Member::File { offset, size } = &member
                && offset
                    .checked_add(*size)
                    .is_none_or(|end| end > metadata.len())
            {
                return Err(malformed(&io::Error::other("it is truncated")));
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            members.insert(normal("", &name), member);
            if members.len() > MEMBERS {
                return Err(Error::input(NoArchive::Members {
                    path: shown.clone(),
                    most: MEMBERS,
                }));
            }
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            members,
        })
    }

    fn find(&self, name: &str) -> Option<(u64, u64)> {
        match self.members.get(&normal("", name))? {
            Member::File { offset, size } => Some((*offset, *size)),
            Member::Link(target) => {
                let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
                match self.members.get(&normal(folder, target))? {
                    Member::File { offset, size } => Some((*offset, *size)),
                    // One link is what is written; no more are followed.
                    Member::Link(_) => None,
                }
            }
        }
    }
}

/// A name without `.` and `..`, seen from a folder.
fn normal(folder: &str, name: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in folder.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// What takes the compression away that a file begins with.
fn compression(magic: &[u8]) -> Option<&'static str> {
    if magic.starts_with(&[0x1f, 0x8b]) {
        Some("gunzip")
    } else if magic.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Some("unzstd")
    } else if magic.starts_with(&[0xfd, b'7', b'z', b'X', b'Z']) {
        Some("unxz")
    } else if magic.starts_with(b"BZh") {
        Some("bunzip2")
    } else {
        None
    }
}

impl Files for Archive {
    fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    fn open(&self, name: &str) -> Result<(Box<dyn Read + Send + '_>, u64)> {
        let Some((offset, size)) = self.find(name) else {
            let no_file = Holds::NoFile {
                place: self.place(),
                name: shown(name),
            };
            return Err(Error::new(Kind::NotFound, no_file));
        };
        let reader = Part {
            file: &self.file,
            offset,
            left: size,
        };
        Ok((Box::new(reader), size))
    }

    fn place(&self) -> String {
        escape::path(self.path.as_os_str().as_bytes())
    }
}

/// A member, read where it is.
struct Part<'a> {
    file: &'a File,
    offset: u64,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut buffer[..want], self.offset)?;
        if read == 0 && want > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
