//! Reading archives, one member after the other.

use std::io::{self, BufRead, ErrorKind, Read};

use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::{escape, interrupt};

use super::{HEADER, MAGIC, MAGIC_WITH_CHECKSUM, Member, TRAILER, padding};

switch_root_core::outcomes! {
    /// Why an archive is not read, and from where on.
    pub enum Broken in "images" {
        /// The kernel would not read it either: the file was damaged, or the tool that made it
        /// writes something else than `newc`. Make the image again.
        "SR-G01" NotAMember { start: u64, unit: &'static str, magic: String } = "at offset {start} {unit}: `{magic}` stands where a member of the archive begins, which is `070701`",
        "SR-G02" NotDigits { start: u64, unit: &'static str, digits: String } = "at offset {start} {unit}: the header of a member holds `{digits}` where eight hexadecimal digits belong",
        "SR-G03" NameSize { start: u64, unit: &'static str, name_size: u32, most: i32 } = "at offset {start} {unit}: the name of a member has {name_size} bytes; between 1 and {most} are possible",
        "SR-G04" NameWithoutEnd { start: u64, unit: &'static str } = "at offset {start} {unit}: the name of a member does not end with a zero byte",
        "SR-G05" TrailerWithContents { start: u64, unit: &'static str } = "at offset {start} {unit}: the member that ends it has contents or is a symbolic link, which no tool writes",
        "SR-G06" Unaligned { offset: u64, unit: &'static str } = "at offset {offset} {unit}: something begins where it is no multiple of four bytes, so the kernel does not read it",
        "SR-G07" Checksum { offset: u64, unit: &'static str, name: String, sum: u32, expected: u32 } = "before offset {offset} {unit}: the contents of `{name}` have the checksum {sum:08x} and not {expected:08x}",
        /// The file was cut off, on a full disk or on its way here. Copy it, or make it, again.
        "SR-G08" Truncated { offset: u64, unit: &'static str, what: String, missing: u64 } = "at offset {offset} {unit}: it ends within {what}, of which {missing} bytes are missing; it is truncated",
        /// The file itself, or what decompresses it, fails with the reason that follows.
        "SR-G09" Unreadable { offset: u64, unit: &'static str, what: String } = "at offset {offset} {unit}: cannot read {what}",
    }
}

/// Reads one archive, and behind its end not a byte. Itself it reads as the
/// contents of the member that [`next`](Self::next) gave last.
///
/// An archive ends with its trailer, or, as for the kernel, without one where no member
/// follows: where the input ends or something else begins. The zeros before that belong to
/// it then, since they may stand between members as well.
pub struct Reader<R> {
    input: R,
    /// Where the input stands, for errors.
    offset: u64,
    /// What offsets are counted in, such as `of the file`.
    unit: &'static str,
    name: String,
    /// Contents that have not been read.
    remaining: u64,
    padding: usize,
    /// Checksum: what it should be, and what it is so far.
    sum: Option<(u32, u32)>,
    trailer: bool,
}

impl<R: BufRead> Reader<R> {
    /// Begins with an input that stands at `offset`; `unit` is what errors say
    /// behind that number, such as `of the file`.
    pub fn new(input: R, offset: u64, unit: &'static str) -> Self {
        Self {
            input,
            offset,
            unit,
            name: String::new(),
            remaining: 0,
            padding: 0,
            sum: None,
            trailer: false,
        }
    }

    /// Whether it ended with a trailer. One without may be the beginning of a longer one.
    pub fn trailer(&self) -> bool {
        self.trailer
    }

    /// How far the input has been read.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next member, `None` at the end. Contents that were not read are
    /// skipped.
    ///
    /// # Errors
    /// The archive ends early, is no archive, or its contents do not have their
    /// checksum; with the offset.
    #[expect(clippy::should_implement_trait, reason = "it can fail")]
    pub fn next(&mut self) -> Result<Option<Member>> {
        self.skip()?;
        if !self.member_follows()? {
            return Ok(None);
        }
        let start = self.offset;
        let unit = self.unit;

        let mut header = [0; HEADER];
        self.fill(&mut header, "the header of a member")?;
        let (magic, fields) = header.split_at(MAGIC.len());
        let with_checksum = magic == MAGIC_WITH_CHECKSUM;
        if magic != MAGIC && !with_checksum {
            let magic = escape::path(magic);
            return Err(corrupt(Broken::NotAMember { start, unit, magic }));
        }
        let mut numbers = [0; 13];
        for (number, digits) in numbers.iter_mut().zip(fields.chunks(8)) {
            *number = std::str::from_utf8(digits)
                .ok()
                // Digits alone: `from_str_radix` takes a sign.
                .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
                .and_then(|digits| u32::from_str_radix(digits, 16).ok())
                .ok_or_else(|| {
                    let digits = escape::path(digits);
                    corrupt(Broken::NotDigits {
                        start,
                        unit,
                        digits,
                    })
                })?;
        }
        let [
            ino,
            mode,
            uid,
            gid,
            nlink,
            mtime,
            size,
            dev_major,
            dev_minor,
            rdev_major,
            rdev_minor,
            name_size,
            checksum,
        ] = numbers;
        if !(1..=libc::PATH_MAX as u32).contains(&name_size) {
            let most = libc::PATH_MAX;
            return Err(corrupt(Broken::NameSize {
                start,
                unit,
                name_size,
                most,
            }));
        }
        let mut name = vec![0; name_size as usize];
        self.fill(&mut name, "the name of a member")?;
        if name.last() != Some(&0) {
            return Err(corrupt(Broken::NameWithoutEnd { start, unit }));
        }
        // Some tools pad with zeros, so that contents begin at a block.
        name.truncate(name.iter().position(|byte| *byte == 0).unwrap_or_default());
        let mut rest = [0; 3];
        let length = padding((HEADER + name_size as usize) as u64);
        if name == TRAILER {
            // The kernel goes on behind the contents, and a link it makes: what follows would
            // be read otherwise here.
            if size != 0 || mode & libc::S_IFMT == libc::S_IFLNK {
                return Err(corrupt(Broken::TrailerWithContents { start, unit }));
            }
            // The kernel does not ask for the padding of the last one.
            self.fill_if_there(&mut rest[..length])?;
            self.trailer = true;
            return Ok(None);
        }
        self.fill(&mut rest[..length], "the padding of a name")?;
        self.remaining = size.into();
        self.padding = padding(size.into());
        self.name = escape::path(&name);
        let member = Member {
            name,
            ino,
            mode,
            uid,
            gid,
            nlink,
            mtime,
            size,
            dev: (dev_major, dev_minor),
            rdev: (rdev_major, rdev_minor),
            checksum: with_checksum.then_some(checksum),
        };
        // As the kernel does it: links have a checksum of zero.
        self.sum = (with_checksum && member.is_file()).then_some((checksum, 0));
        Ok(Some(member))
    }

    /// Whether a member is next, behind zeros that may stand before it. Other bytes are left
    /// to whoever reads what follows.
    fn member_follows(&mut self) -> Result<bool> {
        loop {
            interrupt::check()?;
            let buffer = match self.input.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.failed("the header of a member", &error)),
            };
            let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
            let next = buffer.get(zeros).copied();
            let ended = buffer.is_empty();
            self.input.consume(zeros);
            self.offset += zeros as u64;
            match next {
                None if ended => return Ok(false),
                None => {}
                Some(_) if !self.offset.is_multiple_of(4) => {
                    let (offset, unit) = (self.offset, self.unit);
                    return Err(corrupt(Broken::Unaligned { offset, unit }));
                }
                Some(byte) => return Ok(byte == MAGIC[0]),
            }
        }
    }

    fn skip(&mut self) -> Result<()> {
        let mut buffer = [0; 32 * 1024];
        while self.read_contents(&mut buffer)? > 0 {}
        let mut rest = [0; 3];
        let length = std::mem::take(&mut self.padding);
        self.fill(&mut rest[..length], "the padding of contents")?;
        if let Some((expected, sum)) = self.sum.take()
            && expected != sum
        {
            return Err(corrupt(Broken::Checksum {
                offset: self.offset,
                unit: self.unit,
                name: self.name.clone(),
                sum,
                expected,
            }));
        }
        Ok(())
    }

    fn read_contents(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = usize::try_from(self.remaining)
            .map_or(buffer.len(), |remaining| remaining.min(buffer.len()));
        if length == 0 {
            return Ok(0);
        }
        interrupt::check()?;
        let length = loop {
            match self.input.read(&mut buffer[..length]) {
                Ok(0) => {
                    let what = format!("the contents of `{}`", self.name);
                    return Err(self.ended(&what, self.remaining));
                }
                Ok(length) => break length,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let what = format!("the contents of `{}`", self.name);
                    return Err(self.failed(&what, &error));
                }
            }
        };
        self.remaining -= length as u64;
        self.offset += length as u64;
        if let Some((_, sum)) = &mut self.sum {
            for byte in &buffer[..length] {
                *sum = sum.wrapping_add((*byte).into());
            }
        }
        Ok(length)
    }

    fn fill(&mut self, buffer: &mut [u8], what: &str) -> Result<()> {
        let length = self
            .read_up_to(buffer)
            .map_err(|error| self.failed(what, &error))?;
        if length < buffer.len() {
            return Err(self.ended(what, (buffer.len() - length) as u64));
        }
        Ok(())
    }

    fn fill_if_there(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.read_up_to(buffer)
            .map(drop)
            .map_err(|error| self.failed("the padding of the last name", &error))
    }

    fn read_up_to(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut length = 0;
        while length < buffer.len() {
            match self.input.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(more) => {
                    length += more;
                    self.offset += more as u64;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(length)
    }

    fn failed(&self, what: &str, error: &io::Error) -> Error {
        let attempt = Broken::Unreadable {
            offset: self.offset,
            unit: self.unit,
            what: what.to_owned(),
        };
        Error::system(attempt, error)
    }

    fn ended(&self, what: &str, missing: u64) -> Error {
        corrupt(Broken::Truncated {
            offset: self.offset,
            unit: self.unit,
            what: what.to_owned(),
            missing,
        })
    }
}

fn corrupt(why: Broken) -> Error {
    Error::new(Kind::Corrupt, why)
}

/// The contents of the last member.
impl<R: BufRead> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.read_contents(buffer)?)
    }
}
