//! Walking through an initramfs: all parts, all archives, all members.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use object::elf::ELFMAG;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::{escape, interrupt};

use super::Part;
use super::input::Input;
use crate::archive::{MAGIC, MAGIC_WITH_CHECKSUM, Member, Reader};
use crate::compression::{self, Format};

switch_root_core::outcomes! {
    /// Why an initramfs is not read.
    pub enum Unread in "images" {
        /// Another file was named, or it was damaged: the words at the end say what it looks like.
        "SR-G22" Zeros { path: String } = "{path} is no initramfs: it holds nothing but zeros",
        "SR-G23" NoInitramfs { path: String, bytes: String, text: String, offset: u64, looks: &'static str } = "{path} is no initramfs: it begins with {bytes} (`{text}`) at offset {offset}: {looks}",
        "SR-G24" NoPart { path: String, before: usize, offset: u64, bytes: String, text: String, looks: &'static str } = "cannot read {path}: behind part {before}, at offset {offset}, stands {bytes} (`{text}`), which is no part of an initramfs: {looks}",
        /// Images are put together with zeros between their parts, up to a multiple of four bytes.
        "SR-G25" Unaligned = "it does not begin at a multiple of four bytes, so the kernel does not read it",
        /// The kernel would not read it either. Make the image again.
        "SR-G26" NotAnArchive { offset: u64, byte: u8 } = "at offset {offset} of the decompressed data: the byte {byte:#04x} stands where an archive begins or the data ends",
        /// The reason follows.
        "SR-G27" NotDecompressed = "cannot decompress it",
        "SR-G28" Part { path: String, number: usize, compressed: String, offset: u64, end: u64 } = "cannot read {path}: part {number} ({compressed}, from offset {offset}, read up to {end})",
        /// It is more than fits into the memory of the machine that is to boot it. An image that is
        /// meant to be so large is read with the option that is named.
        "SR-G30" TooMuch { most: String, option: &'static str } = "it has more than {most}; {option} allows more",
        "SR-G31" FarTooMuch { most: String } = "it has more than {most}, which no initramfs has",
    }
}

/// Members and parts that are read. A distribution's initramfs has some thousands.
const MEMBERS: u64 = 10_000_000;

/// Decompressed bytes that are read.
const BYTES: u64 = 64 << 30;

/// Is told of each member, where it stands, and may read its contents.
pub type Visit<'a> = dyn FnMut(Place, &Member, &mut dyn Read) -> Result<()> + 'a;

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The part, from 1.
    pub part: usize,
    /// The archive within the part, from 0.
    pub archive: usize,
    /// Where its contents begin in the file, where they are not compressed.
    pub contents: Option<u64>,
    /// Whether the archive before has no trailer, so that numbers of hard links count on.
    pub continues: bool,
}

/// Walks through the initramfs in a file, and gives back its parts. Contents that
/// `visit` does not read are skipped. Neither members nor parts are kept in memory,
/// apart from the result.
///
/// # Errors
/// It is no initramfs, is truncated or broken, has more than 10 million members
/// or 64 GiB decompressed, is compressed in a way that is not read here, or
/// `visit` failed. All but the first name the part and offset.
pub fn scan(input: &Path, visit: &mut Visit<'_>) -> Result<Vec<Part>> {
    scan_within(input, &Limits::default(), visit)
}

/// The same, within other limits.
///
/// # Errors
/// See [`scan`]; what is too much is told with the limit.
pub fn scan_within(input: &Path, limits: &Limits, visit: &mut Visit<'_>) -> Result<Vec<Part>> {
    scan_input(&mut Input::open(input)?, limits, visit)
}

/// The same, from a file that is open: whoever reads it may not be who could open it.
/// `shown` is its name in errors.
///
/// # Errors
/// See [`scan`].
pub fn scan_opened(file: File, shown: &str, visit: &mut Visit<'_>) -> Result<Vec<Part>> {
    let mut input = Input::opened(file, shown.to_owned())?;
    scan_input(&mut input, &Limits::default(), visit)
}

/// The same, from an opened file.
pub fn scan_input(input: &mut Input, limits: &Limits, visit: &mut Visit<'_>) -> Result<Vec<Part>> {
    let mut parts = Vec::new();
    loop {
        input.skip_zeros()?;
        if input.peek()?.is_empty() {
            break;
        }
        let continues = parts.last().is_some_and(|before: &Part| !before.trailer);
        parts.push(read_part(input, parts.len() + 1, continues, limits, visit)?);
    }
    if parts.is_empty() {
        let path = input.shown().to_owned();
        return Err(Error::input(Unread::Zeros { path }));
    }
    Ok(parts)
}

/// What may still be read.
pub struct Limits {
    members: Budget,
    bytes: Budget,
}

/// So much of something, and what is left of it.
struct Budget {
    most: u64,
    left: Cell<u64>,
    /// The option of the command line that raises it.
    raised_by: Option<&'static str>,
}

impl Default for Limits {
    fn default() -> Self {
        Self::new(MEMBERS, BYTES)
    }
}

impl Limits {
    /// So many members and parts, and so many bytes: decompressed ones, and those
    /// of members that are not compressed.
    pub fn new(members: u64, bytes: u64) -> Self {
        let budget = |most| Budget {
            most,
            left: Cell::new(most),
            raised_by: None,
        };
        Self {
            members: budget(members),
            bytes: budget(bytes),
        }
    }

    /// Names the options that raise the limits, for errors.
    #[must_use]
    pub fn raised_by(mut self, members: &'static str, bytes: &'static str) -> Self {
        self.members.raised_by = Some(members);
        self.bytes.raised_by = Some(bytes);
        self
    }

    fn member(&self) -> Result<()> {
        interrupt::check()?;
        self.members.take(1, members)
    }

    fn read(&self, bytes: u64) -> Result<()> {
        self.bytes.take(bytes, decompressed)
    }

    /// As much of what was decompressed as may still be read.
    fn within<'b>(&self, bytes: &'b [u8]) -> Result<&'b [u8]> {
        let left = usize::try_from(self.bytes.left.get()).unwrap_or(usize::MAX);
        match bytes.len().min(left) {
            0 if !bytes.is_empty() => Err(self.bytes.exceeded(decompressed)),
            length => Ok(&bytes[..length]),
        }
    }

    /// Refuses a member by what it says of itself, before it is read.
    fn announced(&self, bytes: u64) -> Result<()> {
        if bytes > self.bytes.left.get() {
            return Err(self.bytes.exceeded(decompressed));
        }
        Ok(())
    }
}

impl Budget {
    fn take(&self, count: u64, shown: fn(u64) -> String) -> Result<()> {
        let left = self.left.get().checked_sub(count);
        self.left.set(left.ok_or_else(|| self.exceeded(shown))?);
        Ok(())
    }

    fn exceeded(&self, shown: fn(u64) -> String) -> Error {
        let most = shown(self.most);
        Error::input(match self.raised_by {
            Some(option) => Unread::TooMuch { most, option },
            None => Unread::FarTooMuch { most },
        })
    }
}

fn members(count: u64) -> String {
    format!("{count} members")
}

fn decompressed(bytes: u64) -> String {
    let gib = bytes >> 30;
    if gib << 30 == bytes {
        format!("{gib} GiB when it is decompressed")
    } else {
        format!("{bytes} bytes when it is decompressed")
    }
}

/// Reads the part that begins where the input stands. `continues` is that of its first
/// archive, as [`Place`] has it.
pub fn read_part(
    input: &mut Input,
    number: usize,
    continues: bool,
    limits: &Limits,
    visit: &mut Visit<'_>,
) -> Result<Part> {
    let offset = input.offset();
    let first = input.peek()?.to_vec();
    let format = compression::detect(&first);
    let members = limits.members.left.get();
    let result = match format {
        None if first.starts_with(MAGIC) || first.starts_with(MAGIC_WITH_CHECKSUM) => {
            if offset.is_multiple_of(4) {
                let mut reader = Reader::new(
                    Limited {
                        input: &mut *input,
                        limits,
                    },
                    offset,
                    "of the file",
                );
                let place = |offset| Place {
                    part: number,
                    archive: 0,
                    contents: Some(offset),
                    continues,
                };
                read_archive(&mut reader, &place, limits, visit).map(|()| reader.trailer())
            } else {
                Err(Error::input(Unread::Unaligned))
            }
        }
        None => return Err(unknown(input.shown(), &first, number, offset)),
        Some(format) if let Some(why) = compression::kernel::unread(format, &first) => {
            Err(Error::input(why))
        }
        Some(format) => limits
            .member()
            .and_then(|()| read_compressed(input, format, number, continues, limits, visit)),
    };
    let trailer = result.map_err(|error| {
        let compressed = format.map_or("uncompressed".to_owned(), |format| {
            format!("{format}-compressed")
        });
        error.within(Unread::Part {
            path: input.shown().to_owned(),
            number,
            compressed,
            offset,
            end: input.offset(),
        })
    })?;
    Ok(Part {
        number,
        offset,
        length: input.offset() - offset,
        format,
        members: members - limits.members.left.get() - u64::from(format.is_some()),
        trailer,
    })
}

fn read_archive<R: BufRead>(
    reader: &mut Reader<R>,
    place: &dyn Fn(u64) -> Place,
    limits: &Limits,
    visit: &mut Visit<'_>,
) -> Result<()> {
    while let Some(member) = reader.next()? {
        limits.member()?;
        limits.announced(member.size.into())?;
        visit(place(reader.offset()), &member, reader)?;
    }
    Ok(())
}

/// Whether the last archive in it has a trailer.
fn read_compressed(
    input: &mut Input,
    format: Format,
    part: usize,
    continues: bool,
    limits: &Limits,
    visit: &mut Visit<'_>,
) -> Result<bool> {
    let mut contents = BufReader::with_capacity(64 * 1024, compression::reader(format, input)?);
    let failed = |error: io::Error| Error::system(Unread::NotDecompressed, &error);
    let mut offset = 0;
    let mut trailer = !continues;
    for archive in 0.. {
        // Zeros may stand between archives, as outside.
        let first = loop {
            let buffer = contents.fill_buf().map_err(failed)?;
            let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
            let first = buffer.get(zeros).copied();
            let empty = buffer.is_empty();
            contents.consume(zeros);
            offset += zeros as u64;
            limits.read(zeros as u64)?;
            if empty || first.is_some() {
                break first;
            }
        };
        match first {
            None => break,
            Some(b'0') if offset.is_multiple_of(4) => {}
            Some(byte) => {
                let broken = Unread::NotAnArchive { offset, byte };
                return Err(Error::new(Kind::Corrupt, broken));
            }
        }
        let limited = Limited {
            input: &mut contents,
            limits,
        };
        let mut reader = Reader::new(limited, offset, "of the decompressed data");
        let place = |_| Place {
            part,
            archive,
            contents: None,
            continues: !trailer,
        };
        read_archive(&mut reader, &place, limits, visit)?;
        offset = reader.offset();
        trailer = reader.trailer();
    }
    Ok(trailer)
}

/// Counts what is read.
struct Limited<'a, R> {
    input: R,
    limits: &'a Limits,
}

impl<R: BufRead> Read for Limited<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.limits.read(length as u64)?;
        Ok(length)
    }
}

impl<R: BufRead> BufRead for Limited<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.limits.within(self.input.fill_buf()?)?)
    }

    fn consume(&mut self, length: usize) {
        self.input.consume(length);
        let left = &self.limits.bytes.left;
        left.set(left.get().saturating_sub(length as u64));
    }
}

/// That there is something that is no part, with what it looks like.
fn unknown(shown: &str, first: &[u8], number: usize, offset: u64) -> Error {
    let is = |magic: &[u8]| first.starts_with(magic);
    let looks = if is(b"MZ") {
        "it looks like a kernel (vmlinuz) or a unified kernel image; name the initramfs"
    } else if is(&ELFMAG) {
        "it looks like an ELF executable; name the initramfs"
    } else if is(b"hsqs") || is(b"sqsh") {
        "it looks like a squashfs image; name the initramfs"
    } else if is(b"070707") || is(&[0xc7, 0x71]) {
        "it looks like a cpio archive of an older format; the kernel reads only `newc`"
    } else if compression::kernel::is_skippable_frame(first) {
        "it looks like zstd that begins with an empty (skippable) frame, as pzstd writes it, which the kernel does not take for zstd; compress it with `zstd`"
    } else if is(&[0x04, 0x22, 0x4d, 0x18]) {
        "it looks like lz4 of the newer format; the kernel reads only the older one (`lz4 -l`)"
    } else if is(b"PK\x03\x04") {
        "it looks like a zip archive; name the initramfs"
    } else if is(&[0x27, 0x05, 0x19, 0x56]) || is(&[0xd0, 0x0d, 0xfe, 0xed]) {
        "it looks like an image of U-Boot; unpack the initramfs from it"
    } else {
        "neither an archive nor compressed data that is known here"
    };
    let bytes: Vec<_> = first
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let text = escape::path(&first[..first.len().min(8)]);
    let bytes = bytes.join(" ");
    let path = shown.to_owned();
    Error::input(match number {
        1 => Unread::NoInitramfs {
            path,
            bytes,
            text,
            offset,
            looks,
        },
        _ => Unread::NoPart {
            path,
            before: number - 1,
            offset,
            bytes,
            text,
            looks,
        },
    })
}
