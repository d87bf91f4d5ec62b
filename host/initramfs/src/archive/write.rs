//! Writing archives: the same members give the same bytes.

use std::io::{self, Read, Write};

use switch_root_core::error::Attempt;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::{escape, interrupt};

use super::{HEADER, MAGIC, MAGIC_WITH_CHECKSUM, Member, TRAILER, padding};

switch_root_core::outcomes! {
    /// Why something is not put into an archive.
    pub enum NotPut in "images" {
        /// The format has 32 bits for the size of a file.
        "SR-G12" TooLarge { name: String, size: u64, most: u32 } = "cannot put `{name}` into an archive: it has {size} bytes, and files of an initramfs have at most {most}; split it into several extensions",
        /// Something writes to the file.
        "SR-G13" Changed { name: String, size: u32 } = "cannot put `{name}` into an archive: it no longer has the {size} bytes that it had; leave it alone while it is being packed",
        /// The archive cannot be written, for the system's own reason, often a full disk.
        "SR-G14" Refused { name: String } = "cannot put `{name}` into an archive",
    }
}

/// Writes one archive. It is whole after [`finish`](Self::finish).
pub struct Writer<W> {
    output: W,
    ino: u32,
}

impl<W: Write> Writer<W> {
    /// Begins an archive, at a place that is aligned to four bytes.
    pub fn new(output: W) -> Self {
        Self { output, ino: 0 }
    }

    /// Appends a regular file with these permissions and of this size. It belongs
    /// to root and is from 1970. `copied` is told how many bytes are written.
    ///
    /// # Errors
    /// It is larger than the format can tell (4 GiB less one byte), `contents` are
    /// of another size, or cannot be read or written.
    pub fn file(
        &mut self,
        name: &str,
        permissions: u32,
        size: u64,
        contents: &mut dyn Read,
        copied: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let size = u32::try_from(size).map_err(|_| {
            Error::input(NotPut::TooLarge {
                name: escape::path(name.as_bytes()),
                size,
                most: u32::MAX,
            })
        })?;
        self.ino += 1;
        let member = Member {
            name: name.into(),
            ino: self.ino,
            mode: libc::S_IFREG | permissions,
            nlink: 1,
            size,
            ..Member::default()
        };
        self.member(&member, contents, copied)
    }

    /// Appends a directory with these permissions. It belongs to root and is from 1970.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn directory(&mut self, name: &str, permissions: u32) -> Result<()> {
        self.ino += 1;
        let member = Member {
            name: name.into(),
            ino: self.ino,
            mode: libc::S_IFDIR | permissions,
            nlink: 2,
            ..Member::default()
        };
        self.member(&member, &mut io::empty(), &mut |_| {})
    }

    /// Appends a member as it is, and its contents.
    ///
    /// # Errors
    /// `contents` are not of the size that the member says, or cannot be read or
    /// written.
    pub fn member(
        &mut self,
        member: &Member,
        contents: &mut dyn Read,
        copied: &mut dyn FnMut(u64),
    ) -> Result<()> {
        self.header(member)
            .map_err(|error| self.failed(member, &error))?;
        let mut left = u64::from(member.size);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            interrupt::check()?;
            let length = match contents.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    let name = escape::path(&member.name);
                    return Err(Error::system(Attempt::ReadInside { name }, &error));
                }
            };
            left = match left.checked_sub(length as u64) {
                Some(left) if length > 0 || left == 0 => left,
                _ => {
                    let changed = NotPut::Changed {
                        name: escape::path(&member.name),
                        size: member.size,
                    };
                    return Err(Error::new(Kind::Corrupt, changed));
                }
            };
            if length == 0 {
                break;
            }
            self.output
                .write_all(&buffer[..length])
                .map_err(|error| self.failed(member, &error))?;
            copied(length as u64);
        }
        self.output
            .write_all(&[0; 3][..padding(member.size.into())])
            .map_err(|error| self.failed(member, &error))
    }

    /// Ends the archive, and gives back the output.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> Result<W> {
        let trailer = Member {
            name: TRAILER.into(),
            nlink: 1,
            ..Member::default()
        };
        self.header(&trailer)
            .map_err(|error| self.failed(&trailer, &error))?;
        Ok(self.output)
    }

    fn header(&mut self, member: &Member) -> io::Result<()> {
        let magic = match member.checksum {
            None => MAGIC,
            Some(_) => MAGIC_WITH_CHECKSUM,
        };
        // Names come from archives and configurations, both of which are bounded.
        let name_size = member.name.len() as u32 + 1;
        let mut header = Vec::with_capacity(HEADER + member.name.len() + 4);
        header.extend_from_slice(magic);
        for number in [
            member.ino,
            member.mode,
            member.uid,
            member.gid,
            member.nlink,
            member.mtime,
            member.size,
            member.dev.0,
            member.dev.1,
            member.rdev.0,
            member.rdev.1,
            name_size,
            member.checksum.unwrap_or_default(),
        ] {
            write!(header, "{number:08x}")?;
        }
        header.extend_from_slice(&member.name);
        header.push(0);
        header.resize(header.len() + padding(header.len() as u64), 0);
        self.output.write_all(&header)
    }

    fn failed(&self, member: &Member, error: &io::Error) -> Error {
        let name = escape::path(&member.name);
        Error::system(NotPut::Refused { name }, error)
    }
}
