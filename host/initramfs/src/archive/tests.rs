use std::io::{Cursor, Read};

use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::outcome::Message;

use super::*;

fn written() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, contents) in [("a", &b"12345"[..]), ("dir/b", b""), ("c.sqsh", b"1234")] {
        let size = contents.len() as u64;
        writer
            .file(name, 0o644, size, &mut { contents }, &mut |_| {})
            .unwrap();
    }
    writer.finish().unwrap()
}

fn read(bytes: &[u8]) -> Result<Vec<(Member, Vec<u8>)>> {
    let mut reader = Reader::new(bytes, 0, "of the test");
    let mut members = Vec::new();
    while let Some(member) = reader.next()? {
        let mut contents = Vec::new();
        reader
            .read_to_end(&mut contents)
            .map_err(|error| Error::system(Message::quoted("read"), &error))?;
        members.push((member, contents));
    }
    Ok(members)
}

#[test]
fn what_is_written_is_read_by_another_implementation() {
    let bytes = written();
    assert_eq!(bytes.len() % 4, 0);
    let mut input = Cursor::new(&bytes);
    for (index, (name, contents)) in [("a", "12345"), ("dir/b", ""), ("c.sqsh", "1234")]
        .into_iter()
        .enumerate()
    {
        let mut reader = cpio::newc::Reader::new(input).unwrap();
        let entry = reader.entry();
        assert_eq!(entry.name(), name);
        assert_eq!(entry.mode(), 0o100_644);
        assert_eq!(entry.ino(), index as u32 + 1);
        assert_eq!((entry.uid(), entry.gid(), entry.mtime()), (0, 0, 0));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, contents);
        input = reader.finish().unwrap();
    }
    let reader = cpio::newc::Reader::new(input).unwrap();
    assert!(reader.entry().is_trailer());
    assert_eq!(reader.finish().unwrap().position(), bytes.len() as u64);
}

#[test]
fn what_another_implementation_writes_is_read_and_copied_as_it_is() {
    let mut bytes = Vec::new();
    for (name, contents, checksum) in [("a", "12345", false), ("./b/c", "xy", true)] {
        let builder = cpio::newc::Builder::new(name)
            .ino(7)
            .mode(0o100_600)
            .uid(1)
            .gid(2)
            .nlink(3)
            .mtime(4)
            .dev_major(5)
            .rdev_minor(6);
        let size = contents.len() as u32;
        let sum = contents.bytes().map(u32::from).sum();
        let mut writer = match checksum {
            false => builder.write(&mut bytes, size),
            true => builder.write_crc(&mut bytes, size, sum),
        };
        std::io::Write::write_all(&mut writer, contents.as_bytes()).unwrap();
        writer.finish().unwrap();
    }
    cpio::newc::trailer(&mut bytes).unwrap();
    let members = read(&bytes).unwrap();
    assert_eq!(members[0].1, b"12345");
    assert_eq!(members[1].0.path(), b"b/c");
    assert_eq!(
        members[1].0.checksum,
        Some(u32::from(b'x') + u32::from(b'y'))
    );
    let mut writer = Writer::new(Vec::new());
    for (member, contents) in &members {
        writer
            .member(member, &mut &contents[..], &mut |_| {})
            .unwrap();
    }
    let copied = writer.finish().unwrap();
    assert_eq!(read(&copied).unwrap(), members);
}

#[test]
fn reading_stops_right_behind_the_end() {
    let mut bytes = written();
    let length = bytes.len();
    bytes.extend_from_slice(b"more");
    let mut rest = &bytes[..];
    let mut reader = Reader::new(&mut rest, 100, "of the test");
    while reader.next().unwrap().is_some() {}
    assert_eq!(reader.offset(), 100 + length as u64);
    assert_eq!(rest, b"more");
}

#[test]
fn an_archive_may_end_without_a_trailer() {
    let bytes = written();
    let members = read(&bytes).unwrap();
    let trailer = bytes.len() - 124;
    for (zeros, rest) in [(0, &b""[..]), (5, b""), (512, b""), (4, b"\x1f\x8b")] {
        let mut bytes = bytes[..trailer].to_vec();
        bytes.resize(trailer + zeros, 0);
        bytes.extend_from_slice(rest);
        let mut input = &bytes[..];
        let mut reader = Reader::new(&mut input, 0, "of the test");
        for (member, _) in &members {
            assert_eq!(reader.next().unwrap().as_ref(), Some(member));
        }
        assert_eq!(reader.next().unwrap(), None);
        assert_eq!(reader.offset(), (trailer + zeros) as u64);
        assert!(!reader.trailer());
        assert_eq!(input, rest);
    }
    let again = [&bytes[..trailer], &[0; 8], &bytes].concat();
    assert_eq!(read(&again).unwrap(), [&members[..], &members].concat());
    let error = read(&[&bytes[..trailer], &[0; 3], &bytes].concat()).unwrap_err();
    assert!(
        error.to_string().contains("no multiple of four bytes"),
        "{error}"
    );
    assert_eq!(read(b"").unwrap(), []);
}

#[test]
fn trailer_that_the_kernel_reads_otherwise_is_refused() {
    let bytes = written();
    let trailer = bytes.len() - 124;
    // The kernel goes on behind the contents, and makes a link of the latter.
    for (at, field) in [(54, "00000004"), (14, "0000A1FF")] {
        let mut bytes = bytes.clone();
        bytes[trailer + at..trailer + at + 8].copy_from_slice(field.as_bytes());
        let error = read(&bytes).unwrap_err().to_string();
        assert!(
            error.contains("has contents or is a symbolic link"),
            "{error}"
        );
    }
}

/// Where members end, the padding of their contents included.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let mut reader = Reader::new(bytes, 0, "of the test");
    let mut boundaries = vec![0];
    while let Some(member) = reader.next().unwrap() {
        boundaries.push(reader.offset() as usize + (member.size as usize).next_multiple_of(4));
    }
    boundaries
}

#[test]
fn cut_off_within_a_member_it_is_truncated() {
    let bytes = written();
    let boundaries = boundaries(&bytes);
    // The padding of the last name may be missing.
    for length in (0..bytes.len() - 3).filter(|length| !boundaries.contains(length)) {
        let error = read(&bytes[..length]).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.kind, Kind::Corrupt);
        assert!(text.contains("it is truncated"), "{length}: {text}");
        assert!(
            text.contains(&format!("at offset {length} of the test")),
            "{length}: {text}"
        );
    }
    assert!(read(&bytes[..bytes.len() - 3]).is_ok());
}

#[test]
fn what_is_wrong_is_named_with_its_offset() {
    let good = written();
    let with = |offset: usize, bytes: &[u8]| {
        let mut broken = good.clone();
        broken[offset..offset + bytes.len()].copy_from_slice(bytes);
        read(&broken).unwrap_err().to_string()
    };
    let second = 110 + 2 + 8;
    for (error, expected) in [
        (
            with(0, b"070707"),
            "at offset 0 of the test: `070707` stands where",
        ),
        (
            with(second + 1, b"\x1b"),
            r"at offset 120 of the test: `0\x1b0701` stands",
        ),
        (with(6, b"+0000001"), "holds `+0000001` where"),
        (with(6, b"0000000g"), "holds `0000000g` where"),
        (with(94, b"00000000"), "has 0 bytes; between 1 and 4096"),
        (with(94, b"00001001"), "has 4097 bytes"),
        (with(94, b"ffffffff"), "has 4294967295 bytes"),
        (with(111, b"x"), "does not end with a zero byte"),
        (
            with(5, b"2"),
            "before offset 120 of the test: the contents of `a` have the checksum 000000ff and not 00000000",
        ),
        (with(54, b"ffffffff"), "the contents of `a`, of which"),
    ] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn a_file_that_changes_or_is_too_large_is_refused() {
    let write = |size, mut contents: &[u8]| {
        Writer::new(std::io::sink())
            .file("big.sqsh", 0o644, size, &mut contents, &mut |_| {})
            .unwrap_err()
            .to_string()
    };
    let error = write(1 << 32, b"");
    assert!(error.contains("`big.sqsh`"), "{error}");
    assert!(error.contains("at most 4294967295; split it"), "{error}");
    for contents in [&b"12"[..], b"1234"] {
        let error = write(3, contents);
        assert!(error.contains("no longer has the 3 bytes"), "{error}");
    }
}

#[test]
fn a_path_has_one_spelling() {
    for (name, path) in [
        ("a/b", "a/b"),
        ("./a", "a"),
        ("/./a", "a"),
        ("//a/", "a"),
        (".", "."),
        ("/", "."),
        ("./", "."),
        (".a", ".a"),
        ("..", ".."),
    ] {
        let member = Member {
            name: name.into(),
            ..Member::default()
        };
        assert_eq!(member.path(), path.as_bytes(), "{name}");
    }
}
