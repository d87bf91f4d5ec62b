//! Headers of tar archives as GNU tar, Go and bsdtar read them, where the library that is
//! used here reads them otherwise: each is changed on its way there, and nothing else.
//!
//! - A record of PAX ends where its length says. The library ends it at the first newline,
//!   which values may hold: a file capability is 20 bytes of any kind. Newlines in values
//!   that are not used here become spaces.
//! - A hard link has no data, whatever its size says.
//! - A long name may stand in front of a header of the oldest kind, which has no magic.

use std::io::{self, Read};

use tar::{EntryType, Header};

/// The length of a header, and what data is filled up to, in bytes.
const BLOCK: usize = 512;

/// The most records of PAX that are looked at, in bytes: more than any reader takes.
const RECORDS: u64 = 1 << 20;

/// The magic and the version of GNU's headers, and where they are.
const GNU: (&[u8; 8], usize) = (b"ustar  \0", 257);

/// Reads an archive, and changes its headers.
pub(super) struct Headers<R> {
    inner: R,
    /// What is to be given out, and how far that has been done.
    block: Vec<u8>,
    given: usize,
    /// How much data follows, its padding included.
    data: u64,
    /// The size of the next entry, where a record of PAX gives it.
    size: Option<u64>,
}

impl<R: Read> Headers<R> {
    /// From the beginning of an archive.
    pub(super) fn new(inner: R) -> Self {
        Self {
            inner,
            block: Vec::new(),
            given: 0,
            data: 0,
            size: None,
        }
    }

    /// Reads the next header, and the records that follow it if it is for them.
    fn next(&mut self) -> io::Result<()> {
        self.given = 0;
        self.block.clear();
        self.fill(BLOCK as u64)?;
        let Some(block) = self.block.first_chunk_mut::<BLOCK>() else {
            // Cut off: the library says so.
            return Ok(());
        };
        if !is_header(block) {
            return Ok(());
        }
        let header = Header::from_byte_slice(block);
        let kind = header.entry_type();
        let Ok(mut size) = header.entry_size() else {
            return Ok(());
        };
        match kind {
            EntryType::XHeader if size <= RECORDS => {
                self.fill(padded(size))?;
                let records = &mut self.block[BLOCK..];
                let length = records.len().min(size as usize);
                self.size = records_without_newlines(&mut records[..length]);
                return Ok(());
            }
            EntryType::Link => {
                change(block, |header| header.set_size(0));
                size = 0;
                self.size = None;
            }
            EntryType::GNULongName | EntryType::GNULongLink => {
                let (magic, at) = GNU;
                if block[at..at + 5] != magic[..5] {
                    change(block, |header| {
                        header.as_mut_bytes()[at..at + magic.len()].copy_from_slice(magic);
                    });
                }
            }
            EntryType::XHeader | EntryType::XGlobalHeader => {}
            _ => size = self.size.take().unwrap_or(size),
        }
        self.data = padded(size);
        Ok(())
    }

    /// Appends that much of what follows; less at the end.
    fn fill(&mut self, length: u64) -> io::Result<()> {
        let before = self.block.len();
        let result = (&mut self.inner).take(length).read_to_end(&mut self.block);
        if result.is_err() {
            self.block.truncate(before);
        }
        result.map(drop)
    }
}

impl<R: Read> Read for Headers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.block.len() && self.data == 0 {
            self.next()?;
        }
        let rest = &self.block[self.given..];
        if !rest.is_empty() {
            let length = rest.len().min(buffer.len());
            buffer[..length].copy_from_slice(&rest[..length]);
            self.given += length;
            return Ok(length);
        }
        let most = usize::try_from(self.data).unwrap_or(usize::MAX);
        let length = buffer.len().min(most);
        let read = self.inner.read(&mut buffer[..length])?;
        self.data -= read as u64;
        Ok(read)
    }
}

fn padded(size: u64) -> u64 {
    size.checked_next_multiple_of(BLOCK as u64)
        .unwrap_or(u64::MAX)
}

/// The sum of a header as its own field has it.
fn sum(block: &[u8; BLOCK]) -> u32 {
    let field = 148..156;
    let bytes = block.iter().enumerate();
    bytes
        .map(|(at, byte)| u32::from(if field.contains(&at) { b' ' } else { *byte }))
        .sum()
}

/// Whether a block is a header: it has the right sum.
fn is_header(block: &[u8; BLOCK]) -> bool {
    Header::from_byte_slice(block).cksum().ok() == Some(sum(block))
}

fn change(block: &mut [u8; BLOCK], change: impl FnOnce(&mut Header)) {
    let mut header = Header::from_byte_slice(block).clone();
    change(&mut header);
    header.set_cksum();
    block.copy_from_slice(header.as_bytes());
}

/// Takes newlines out of the values of records that are not used here, and gives back the
/// size that they have for the entry behind them. Records that are malformed are left to
/// whoever reads them.
fn records_without_newlines(mut records: &mut [u8]) -> Option<u64> {
    let mut size = None;
    while let Some(space) = records.iter().position(|byte| *byte == b' ') {
        let length = std::str::from_utf8(&records[..space])
            .ok()
            .and_then(|text| text.parse::<usize>().ok())
            .filter(|length| *length > space + 1 && *length <= records.len())?;
        let (record, rest) = records.split_at_mut(length);
        let [content @ .., b'\n'] = &mut record[space + 1..] else {
            return size;
        };
        let equals = content.iter().position(|byte| *byte == b'=')?;
        let (key, value) = content.split_at_mut(equals);
        match &*key {
            b"size" => {
                let text = std::str::from_utf8(&value[1..]).ok();
                size = text.and_then(|text| text.parse().ok()).or(size);
            }
            b"path" | b"linkpath" => {}
            _ => value
                .iter_mut()
                .filter(|byte| **byte == b'\n')
                .for_each(|byte| *byte = b' '),
        }
        records = rest;
    }
    size
}

#[cfg(test)]
mod tests {
    use switch_root_core::escape::Shown;

    use super::*;

    fn header(name: &str, kind: EntryType, size: u64) -> Vec<u8> {
        let mut header = Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(size);
        if kind == EntryType::Link {
            header.set_link_name("a").unwrap();
        }
        header.set_cksum();
        header.as_bytes().to_vec()
    }

    fn entry(name: &str, kind: EntryType, data: &[u8]) -> Vec<u8> {
        let mut bytes = header(name, kind, data.len() as u64);
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let rest = [b" ", key.as_bytes(), b"=", value, b"\n"].concat();
        let digits = (1..).find(|digits| (rest.len() + digits).to_string().len() == *digits);
        let length = rest.len() + digits.unwrap();
        [length.to_string().into_bytes(), rest].concat()
    }

    /// Names and contents of the entries that the library finds.
    fn entries(archive: &[u8]) -> io::Result<Vec<(String, String)>> {
        let mut archive = tar::Archive::new(Headers::new(archive));
        let mut found = Vec::new();
        for entry in archive.entries()? {
            let mut entry = entry?;
            if let Some(extensions) = entry.pax_extensions()? {
                for extension in extensions {
                    extension?;
                }
            }
            let name = entry.path()?.shown();
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            found.push((name, text));
        }
        Ok(found)
    }

    fn named(names: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, text): &(&str, &str)| (name.to_string(), text.to_string());
        names.iter().map(owned).collect()
    }

    #[test]
    fn values_may_hold_newlines() {
        let capability = b"\x01\0\0\x02\n\0\n\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let records = [
            record("SCHILY.xattr.security.capability", capability),
            record("path", b"longer/name"),
            record("comment", b"a\n12 path=evil\n"),
        ]
        .concat();
        let archive = [
            entry("a", EntryType::Regular, b"A"),
            entry("PaxHeaders/b", EntryType::XHeader, &records),
            entry("b", EntryType::Regular, b"B"),
            entry("c", EntryType::Regular, b"C"),
        ]
        .concat();
        assert_eq!(
            entries(&archive).unwrap(),
            named(&[("a", "A"), ("longer/name", "B"), ("c", "C")])
        );
    }

    #[test]
    fn the_size_of_a_record_is_that_of_the_data() {
        let archive = [
            entry("PaxHeaders/a", EntryType::XHeader, &record("size", b"600")),
            header("a", EntryType::Regular, 0),
            [vec![b'x'; 600], vec![0; 424]].concat(),
            entry("b", EntryType::Regular, b"B"),
        ]
        .concat();
        let found = entries(&archive).unwrap();
        assert_eq!((found[0].1.len(), found[1].0.as_str()), (600, "b"));
    }

    #[test]
    fn a_hard_link_has_no_data() {
        let archive = [
            entry("a", EntryType::Regular, b"A"),
            header("b", EntryType::Link, 1000),
            entry("c", EntryType::Regular, b"C"),
        ]
        .concat();
        assert_eq!(
            entries(&archive).unwrap(),
            named(&[("a", "A"), ("b", ""), ("c", "C")])
        );
    }

    #[test]
    fn a_long_name_needs_no_magic() {
        let name = "d/".repeat(100) + "a";
        let mut long = entry("././@LongLink", EntryType::GNULongName, name.as_bytes());
        let block = long.first_chunk_mut::<BLOCK>().unwrap();
        change(block, |header| header.as_mut_bytes()[257..265].fill(0));
        let archive = [long, entry("short", EntryType::Regular, b"A")].concat();
        assert_eq!(entries(&archive).unwrap(), named(&[(&name, "A")]));
    }

    #[test]
    fn everything_else_is_as_it_was() {
        let bad = record("path", b"x\ny");
        for archive in [
            entry("a", EntryType::Regular, &vec![b'x'; 5000]),
            entry("PaxHeaders/a", EntryType::XHeader, b"99999999 a=b\n"),
            entry("PaxHeaders/a", EntryType::XHeader, b"no record"),
            entry("PaxHeaders/a", EntryType::XHeader, &bad),
            entry("a", EntryType::Regular, b"x")[..700].to_vec(),
            vec![0; 1024],
            vec![b'x'; 3000],
            Vec::new(),
        ] {
            let mut read = Vec::new();
            Headers::new(&archive[..]).read_to_end(&mut read).unwrap();
            assert!(read == archive, "{}", archive.len());
        }
    }
}
