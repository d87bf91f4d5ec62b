//! Replacing the extensions that an initramfs has by others.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Read, Write};
use std::path::Path;

use switch_root_core::error::{Error, Result};
use switch_root_core::{escape, extensions, interrupt};

use super::input::Input;
use super::scan::{Limits, read_part, scan_input};
use super::{EXTENSIONS, Part, ROOT_IMAGE, read_small};
use crate::archive::{Member, Writer};
use crate::compression::{Compression, Format, LZ4_END, encoder};

switch_root_core::outcomes! {
    /// Why the files of an initramfs are not replaced.
    pub enum NotReplaced in "images" {
        /// The image is not an initramfs, or was made to use up memory.
        "SR-G33" TooMany { most: usize } = "it has more than {most} files at its root, which no initramfs has",
        /// What its layers are says the list alone, and the kernel would refuse it, too.
        "SR-G60" List { path: String, why: String } = "cannot tell which layers {path} has: its extensions.yaml {why}; begin with an initramfs without extensions",
        /// What is written cannot be written, for the system's own reason, often a full disk.
        "SR-G61" NotCopied = "cannot copy the initramfs",
        /// Something writes to the image, such as a tool that makes it again.
        "SR-G62" Shorter { path: String } = "cannot copy {path}: it became shorter while it was read; leave it alone, and try again",
        /// The part has other files besides, and would have to be compressed again. Make the image
        /// with another compression.
        "SR-G63" NotWritten { part: usize, path: String, format: Format } = "cannot take what is replaced out of part {part} of {path}: {format} is not written",
    }
}

/// Files at the root of an initramfs that are examined. A root has tens of them.
const CANDIDATES: usize = 100_000;

/// The longest name of a file.
const NAME_MAX: usize = 255;

/// What [`replace_extensions`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Parts that were kept as they were, byte for byte.
    pub kept: usize,
    /// Parts that were written anew, since they held something else besides.
    pub rewritten: usize,
    /// What was left out, by path: the list of extensions, and their layers.
    pub removed: Vec<String>,
    /// Parts that were compressed again: at another level than they had, which no part
    /// says.
    pub recompressed: Vec<Recompressed>,
}

/// A part that was compressed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recompressed {
    /// Which one, from 1.
    pub part: usize,
    /// How it is compressed.
    pub format: Format,
    /// How long it was, in bytes.
    pub before: u64,
    /// How long it is now.
    pub after: u64,
}

/// Copies an initramfs to `output` without the extensions that it has, and lets
/// `append` write what takes their place, at a multiple of four bytes.
///
/// Left out is each `extensions.yaml` at the root, and the layers (`*.sqsh` at the
/// root, with one name only, but never [`ROOT_IMAGE`]) that the last one lists;
/// nothing else. Parts that hold
/// nothing else are left out whole; others that hold some are compressed anew, in
/// their own format at its default level. All other bytes are copied as they are,
/// zeros between parts included.
///
/// # Errors
/// See [`scan`](super::scan()); besides, the list is not understood, a part would
/// have to be written in a format that is not, or `output` or `append` fails. The
/// input is never changed.
pub fn replace_extensions(
    input: &Path,
    output: &mut dyn Write,
    append: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
) -> Result<Replaced> {
    let mut input = Input::open(input)?;
    let found = survey(&mut input, &is_candidate)?;
    let ours = found.ours(input.shown())?;
    write_without(&mut input, &found, &ours, &is_candidate, output, append)
}

/// Copies an initramfs to `output` without the members that have these paths, whatever
/// they are but directories, and lets `append` write what takes their place, at a
/// multiple of four bytes. Otherwise as [`replace_extensions`]. Of hard links, which the
/// caller does not name, one alone would be left out.
///
/// # Errors
/// See [`replace_extensions`].
pub fn replace_files(
    input: &Path,
    paths: &HashSet<Vec<u8>>,
    output: &mut dyn Write,
    append: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
) -> Result<Replaced> {
    let is_named = |member: &Member| !member.is_directory() && paths.contains(member.path());
    let mut input = Input::open(input)?;
    let found = survey(&mut input, &is_named)?;
    write_without(&mut input, &found, paths, &is_named, output, append)
}

/// Which members could be left out.
type IsCandidate<'a> = dyn Fn(&Member) -> bool + 'a;

fn write_without(
    input: &mut Input,
    found: &Found,
    ours: &HashSet<Vec<u8>>,
    is_candidate: &IsCandidate<'_>,
    output: &mut dyn Write,
    append: &mut dyn FnMut(&mut dyn Write) -> Result<()>,
) -> Result<Replaced> {
    let mut replaced = Replaced::default();
    let mut output = Output {
        inner: output,
        length: 0,
        unended: false,
    };
    let mut end = 0;
    let limits = Limits::default();
    for part in &found.parts {
        // The zeros in front, and after a part that changed its length those that
        // the alignment of this one takes.
        output.zeros(part.offset - end)?;
        end = part.offset + part.length;
        let removed = found.candidates.get(&part.number).map_or(0, |candidates| {
            candidates
                .iter()
                .filter(|name| ours.contains(*name))
                .count() as u64
        });
        let directories = found.roots.get(&part.number).copied().unwrap_or_default();
        if removed > 0 && removed + directories == part.members {
            continue;
        }
        if output.length != part.offset {
            output.align()?;
        }
        input.go_to(part.offset)?;
        if removed == 0 {
            copy(input, part.length, &mut output)?;
            replaced.kept += 1;
        } else {
            let leave_out = |member: &Member| is_candidate(member) && ours.contains(member.path());
            let begin = output.length;
            rewrite(input, part, &leave_out, &limits, &mut output)?;
            replaced.rewritten += 1;
            replaced
                .recompressed
                .extend(part.format.map(|format| Recompressed {
                    part: part.number,
                    format,
                    before: part.length,
                    after: output.length - begin,
                }));
        }
        output.unended = part.format == Some(Format::Lz4);
    }
    input.go_to(end)?;
    let behind = input.skip_zeros()?;
    output.zeros(behind)?;
    output.align()?;
    append(&mut output)?;
    replaced.removed = found.removed(ours);
    Ok(replaced)
}

/// What there is in an initramfs that could be of extensions.
#[derive(Default)]
struct Found {
    parts: Vec<Part>,
    /// The last list of extensions.
    list: Option<Vec<u8>>,
    /// By part: names of files at the root that could be layers, or the list.
    candidates: BTreeMap<usize, Vec<Vec<u8>>>,
    /// By part: how often the root itself is a member, which is nothing to keep.
    roots: BTreeMap<usize, u64>,
}

fn survey(input: &mut Input, is_candidate: &IsCandidate<'_>) -> Result<Found> {
    let mut found = Found::default();
    let mut count = 0;
    let parts = scan_input(input, &Limits::default(), &mut |place, member, contents| {
        if member.path() == b"." && member.is_directory() {
            *found.roots.entry(place.part).or_default() += 1;
        }
        if !is_candidate(member) {
            return Ok(());
        }
        count += 1;
        if count > CANDIDATES {
            return Err(Error::input(NotReplaced::TooMany { most: CANDIDATES }));
        }
        let candidates = found.candidates.entry(place.part).or_default();
        candidates.push(member.path().to_vec());
        if member.path() == EXTENSIONS.as_bytes() {
            found.list = Some(read_small(EXTENSIONS, contents)?);
        }
        Ok(())
    })?;
    found.parts = parts;
    Ok(found)
}

/// Whether a member could be the list or a layer. Hard links are not ours: the
/// contents of one of them may be another's.
fn is_candidate(member: &Member) -> bool {
    let path = member.path();
    member.is_file()
        && member.nlink <= 1
        && path != ROOT_IMAGE.as_bytes()
        && path.len() <= NAME_MAX
        && (path == EXTENSIONS.as_bytes() || (!path.contains(&b'/') && path.ends_with(b".sqsh")))
}

impl Found {
    /// The names that are left out.
    fn ours(&self, shown: &str) -> Result<HashSet<Vec<u8>>> {
        let Some(list) = &self.list else {
            return Ok(HashSet::new());
        };
        let layers = extensions::parse(list).map_err(|error| {
            Error::input(NotReplaced::List {
                path: shown.to_owned(),
                why: escape::message(&error.text, 1000),
            })
        })?;
        let mut ours: HashSet<_> = layers
            .into_iter()
            .map(|layer| layer.image.into_bytes())
            .collect();
        ours.insert(EXTENSIONS.into());
        Ok(ours)
    }

    fn removed(&self, ours: &HashSet<Vec<u8>>) -> Vec<String> {
        self.candidates
            .values()
            .flatten()
            .filter(|name| ours.contains(*name))
            .map(|name| escape::path(name))
            .collect()
    }
}

/// The output, and how many bytes were written to it.
struct Output<'a> {
    inner: &'a mut dyn Write,
    length: u64,
    /// What was written last has its end where zeros are.
    unended: bool,
}

impl Output<'_> {
    fn zeros(&mut self, mut count: u64) -> Result<()> {
        if count >= LZ4_END {
            self.unended = false;
        }
        while count > 0 {
            interrupt::check()?;
            let zeros = [0; 4096];
            let length = count.min(zeros.len() as u64);
            self.write_all(&zeros[..length as usize])
                .map_err(|error| cannot_copy(&error))?;
            count -= length;
        }
        Ok(())
    }

    /// Writes zeros up to a multiple of four.
    fn align(&mut self) -> Result<()> {
        let end = if self.unended { LZ4_END } else { 0 };
        let padding = (self.length + end).wrapping_neg() % 4 + end;
        self.zeros(padding)
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.length += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn cannot_copy(error: &io::Error) -> Error {
    Error::system(NotReplaced::NotCopied, error)
}

fn copy(input: &mut Input, length: u64, output: &mut Output<'_>) -> Result<()> {
    let mut left = length;
    let mut buffer = vec![0; 128 * 1024];
    while left > 0 {
        interrupt::check()?;
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let length = input
            .read(&mut buffer[..length])
            .map_err(|error| input.failed(&error))?;
        if length == 0 {
            let path = input.shown().to_owned();
            return Err(Error::input(NotReplaced::Shorter { path }));
        }
        output
            .write_all(&buffer[..length])
            .map_err(|error| cannot_copy(&error))?;
        left -= length as u64;
    }
    Ok(())
}

/// Writes a part without some of its members.
fn rewrite(
    input: &mut Input,
    part: &Part,
    leave_out: &IsCandidate<'_>,
    limits: &Limits,
    output: &mut Output<'_>,
) -> Result<()> {
    let compression = match part.format {
        None => Compression::None,
        Some(format) => Compression::like(format).ok_or_else(|| {
            Error::input(NotReplaced::NotWritten {
                part: part.number,
                path: input.shown().to_owned(),
                format,
            })
        })?,
    };
    let mut encoder = encoder(compression, 1, output)?;
    // Archives stay apart, since numbers of hard links count within one only.
    let mut archive = 0;
    let mut writer = Some(Writer::new(&mut encoder));
    read_part(
        input,
        part.number,
        false,
        limits,
        &mut |place, member, contents| {
            if leave_out(member) {
                return Ok(());
            }
            if place.archive != archive {
                archive = place.archive;
                let finished = writer.take().map(Writer::finish).transpose()?;
                writer = finished.map(Writer::new);
            }
            match &mut writer {
                Some(writer) => writer.member(member, contents, &mut |_| {}),
                None => Ok(()),
            }
        },
    )?;
    if let Some(writer) = writer {
        writer.finish()?;
    }
    encoder.finish().map_err(|error| cannot_copy(&error))
}
