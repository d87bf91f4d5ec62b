//! What a boot program says of itself, in a note of its ELF file: `readelf -n` shows it, and a
//! reader needs a few headers and not the whole program.
//!
//! The section is `.note.switch-root`, the owner of the note `switch-root`, its type 1. Its
//! description is lines `key=value`; keys may be added, and readers ignore those that they do
//! not know. Programs of 0.1.0 have none.

use object::elf::{FileHeader32, FileHeader64, PT_NOTE};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

/// Whose note it is.
const OWNER: &[u8; 12] = b"switch-root\0";

/// Its type.
const TYPE: u32 = 1;

/// Bytes of its description, which zeros fill up.
const DESCRIPTION: usize = 256;

/// The largest segment of notes that is read, in bytes.
const SEGMENT: u64 = 64 << 10;

/// The longest value that is taken from a note, in bytes.
const VALUE: usize = 128;

/// Bytes of a note before its description: three numbers, and the owner.
const HEAD: usize = 12 + OWNER.len();

/// A note, as the ELF file has it.
#[repr(C, align(4))]
pub struct Note([u8; HEAD + DESCRIPTION]);

impl Note {
    /// The note with these lines.
    ///
    /// # Panics
    /// There is no room for them: at compile time, where it is a constant.
    pub const fn new(lines: &[(&str, &str)]) -> Self {
        let mut note = [0; HEAD + DESCRIPTION];
        let mut end = append(&mut note, 0, &(OWNER.len() as u32).to_ne_bytes());
        end = append(&mut note, end, &(DESCRIPTION as u32).to_ne_bytes());
        end = append(&mut note, end, &TYPE.to_ne_bytes());
        end = append(&mut note, end, OWNER);
        let mut line = 0;
        while line < lines.len() {
            let (key, value) = lines[line];
            end = append(&mut note, end, key.as_bytes());
            end = append(&mut note, end, b"=");
            end = append(&mut note, end, value.as_bytes());
            end = append(&mut note, end, b"\n");
            line += 1;
        }
        Self(note)
    }

    /// Its bytes, in the order of the processor that this is compiled for.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Copies bytes to where the last ones ended, and gives back where they end.
const fn append(note: &mut [u8; HEAD + DESCRIPTION], end: usize, bytes: &[u8]) -> usize {
    let mut at = 0;
    while at < bytes.len() {
        note[end + at] = bytes[at];
        at += 1;
    }
    end + at
}

/// What the note of a boot program says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The release, such as `0.2.0`.
    pub version: Option<String>,
    /// It is the build without a compiler.
    pub small: bool,
    /// The engine that compiled policies must be of.
    pub engine: Option<String>,
}

impl Identity {
    /// The lines that [`Identity::of`] reads. `small` is whether the build has no compiler.
    pub const fn lines<'a>(
        version: &'a str,
        small: bool,
        engine: &'a str,
        format: &'a str,
    ) -> [(&'static str, &'a str); 4] {
        let build = if small { "small" } else { "full" };
        [
            ("version", version),
            ("build", build),
            ("engine", engine),
            ("compiled", format),
        ]
    }

    /// Reads the note of a program, which may be cut off after its notes; none where it has
    /// none.
    pub fn of(program: &[u8]) -> Option<Self> {
        let description = match FileKind::parse(program).ok()? {
            FileKind::Elf64 => description::<FileHeader64<Endianness>>(program),
            FileKind::Elf32 => description::<FileHeader32<Endianness>>(program),
            _ => None,
        }?;
        let text = str::from_utf8(description).ok()?;
        let value = |key: &str| {
            let mut lines = text.trim_end_matches('\0').lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        let short = |key| value(key).filter(|value| value.len() <= VALUE);
        Some(Self {
            version: short("version").map(str::to_owned),
            small: value("build") == Some("small"),
            engine: short("engine").map(str::to_owned),
        })
    }
}

fn description<H: FileHeader<Endian = Endianness>>(program: &[u8]) -> Option<&[u8]> {
    let header = H::parse(program).ok()?;
    let endian = header.endian().ok()?;
    let segments = header.program_headers(endian, program).ok()?.iter();
    let notes = segments.filter(|segment| {
        let size: u64 = segment.p_filesz(endian).into();
        segment.p_type(endian) == PT_NOTE && size <= SEGMENT
    });
    for segment in notes {
        let Ok(Some(mut notes)) = segment.notes(endian, program) else {
            continue;
        };
        while let Ok(Some(note)) = notes.next() {
            if note.name() == &OWNER[..OWNER.len() - 1] && note.n_type(endian) == TYPE {
                return Some(note.desc());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: Note = Note::new(&Identity::lines("1.2.3", true, "an engine", "a format"));

    /// The bytes of a note, with another owner or type.
    fn bytes(note: &Note, owner: &[u8], kind: u32) -> Vec<u8> {
        let mut bytes = note.as_bytes().to_vec();
        bytes[8..12].copy_from_slice(&kind.to_ne_bytes());
        bytes[12..HEAD].copy_from_slice(owner);
        bytes
    }

    /// An ELF file of 64 bits, little-endian, with one segment of notes.
    fn program(notes: &[u8]) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
        file.extend([0; 8]);
        file.extend(64u64.to_le_bytes());
        file.extend([0; 12]);
        file.extend([64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
        file.extend([4, 0, 0, 0, 4, 0, 0, 0]);
        file.extend(120u64.to_le_bytes());
        file.extend([0; 16]);
        file.extend((notes.len() as u64).to_le_bytes());
        file.extend((notes.len() as u64).to_le_bytes());
        file.extend(4u64.to_le_bytes());
        file.extend(notes);
        file
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let expected = Identity {
            version: Some("1.2.3".into()),
            small: true,
            engine: Some("an engine".into()),
        };
        let own = bytes(&NOTE, OWNER, TYPE);
        assert_eq!(Identity::of(&program(&own)), Some(expected.clone()));
        let others = [&bytes(&NOTE, b"somebody\0\0\0\0", 1), &own[..], b"rest"].concat();
        assert_eq!(Identity::of(&program(&others)), Some(expected));
        const FULL: Note = Note::new(&Identity::lines("1", false, "e", "f"));
        let full = Identity::of(&program(&bytes(&FULL, OWNER, TYPE))).unwrap();
        assert!(!full.small);
    }

    #[test]
    fn other_files_have_no_note() {
        let own = bytes(&NOTE, OWNER, TYPE);
        let file = program(&own);
        for none in [
            Vec::new(),
            b"#!/bin/sh".to_vec(),
            program(&[]),
            program(&bytes(&NOTE, b"switch-rootx", TYPE)),
            program(&bytes(&NOTE, OWNER, 2)),
            program(&own[..20]),
        ] {
            assert_eq!(Identity::of(&none), None, "{none:?}");
        }
        for cut in 0..file.len() {
            assert_eq!(Identity::of(&file[..cut]), None, "cut off at {cut}");
        }
    }

    #[test]
    fn a_note_may_say_more_or_less() {
        const MORE: Note = Note::new(&[("later", "key"), ("engine", "e")]);
        let said = Identity::of(&program(&bytes(&MORE, OWNER, TYPE))).unwrap();
        assert_eq!(said.engine.as_deref(), Some("e"));
        assert_eq!(said.version, None);
        const LONG: Note = Note::new(&[(
            "version",
            "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789",
        )]);
        let said = Identity::of(&program(&bytes(&LONG, OWNER, TYPE))).unwrap();
        assert_eq!(said.version, None);
    }
}
