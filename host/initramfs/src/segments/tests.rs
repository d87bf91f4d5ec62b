use std::fs;
use std::io::Write;
use std::path::PathBuf;

use switch_root_core::error::Kind;
use switch_root_core::escape::Shown;
use switch_root_core::outcome::Message;

use super::*;
use crate::archive::{Member, Writer};
use crate::compression::{Compression, encoder};

mod replacing;

const OLD: &str = "layers:\n  - image: 000.old.sqsh\n";

/// An archive of these files, as it is or compressed.
fn part(compression: Compression, files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, contents) in files {
        let size = contents.len() as u64;
        writer
            .file(name, 0o644, size, &mut &contents[..], &mut |_| {})
            .unwrap();
    }
    compress(compression, &writer.finish().unwrap())
}

fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    let mut encoder = encoder(compression, 1, &mut compressed).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap();
    compressed
}

fn microcode() -> Vec<u8> {
    let name = "kernel/x86/microcode/GenuineIntel.bin";
    let mut part = part(Compression::None, &[(name, &[0xa5; 3000])]);
    part.resize(part.len().next_multiple_of(512), 0);
    part
}

struct Image {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn image(parts: &[&[u8]]) -> Image {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("initramfs");
    fs::write(&path, parts.concat()).unwrap();
    Image {
        _folder: folder,
        path,
    }
}

/// All members with their contents, by part.
fn list(image: &Path) -> Result<Vec<(usize, String, Vec<u8>)>> {
    let mut members = Vec::new();
    scan(image, &mut |place, member, contents| {
        let mut bytes = Vec::new();
        contents
            .read_to_end(&mut bytes)
            .map_err(|error| Error::system(Message::quoted("read"), &error))?;
        let name = String::from_utf8_lossy(member.path()).into_owned();
        members.push((place.part, name, bytes));
        Ok(())
    })?;
    Ok(members)
}

fn names(image: &Path) -> Vec<(usize, String)> {
    let members = list(image).unwrap();
    members
        .into_iter()
        .map(|(part, name, _)| (part, name))
        .collect()
}

fn replace(image: &Image, new: &[u8]) -> Result<(Vec<u8>, Replaced)> {
    let before = fs::read(&image.path).unwrap();
    let mut output = Vec::new();
    let replaced = replace_extensions(&image.path, &mut output, &mut |output| {
        output.write_all(new).unwrap();
        Ok(())
    });
    assert!(
        fs::read(&image.path).unwrap() == before,
        "the input was changed"
    );
    Ok((output, replaced?))
}

const FORMATS: [Compression; 7] = [
    Compression::None,
    Compression::Zstd(3),
    Compression::Xz(1),
    Compression::Gzip(6),
    Compression::Lzma(1),
    Compression::Lz4,
    Compression::Bzip2(9),
];

#[test]
fn every_part_is_walked_through_whatever_its_format() {
    for compression in FORMATS {
        let second = part(compression, &[("init", b"#!"), ("./etc/a", &[7; 5000])]);
        let zeros = [0; 8];
        let third = part(Compression::Zstd(1), &[("init", b"new")]);
        let padding = vec![0; second.len().wrapping_neg() % 4];
        let first = microcode();
        let image = image(&[&first, &second, &padding, &zeros, &third, &zeros]);
        let parts = scan(&image.path, &mut |_, _, _| Ok(())).unwrap();
        assert_eq!(
            parts.iter().map(|part| part.members).collect::<Vec<_>>(),
            [1, 2, 1]
        );
        assert_eq!(parts[1].offset, first.len() as u64);
        assert_eq!(parts[1].length, second.len() as u64, "{compression:?}");
        assert_eq!(
            parts[1].format.map(Compression::like).is_some(),
            compression != Compression::None
        );
        let found = find(&image.path, &["init", "etc/a", "no"]).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found["init"], b"new");
        assert_eq!(found["etc/a"], [7; 5000]);
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"longer than what is extracted").unwrap();
        assert!(extract(&image.path, "init", &mut file).unwrap());
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "new");
        assert!(!extract(&image.path, "no", &mut file).unwrap());
    }
}

#[test]
fn archives_follow_each_other_within_a_part_too() {
    let one = part(Compression::None, &[("a", b"1")]);
    let two = part(Compression::None, &[("b", b"2")]);
    let both = compress(Compression::Zstd(3), &[&one[..], &[0; 8], &two].concat());
    let image = image(&[&both]);
    assert_eq!(names(&image.path), [(1, "a".into()), (1, "b".into())]);
    let mut archives = Vec::new();
    scan(&image.path, &mut |place, _, _| {
        archives.push(place.archive);
        Ok(())
    })
    .unwrap();
    assert_eq!(archives, [0, 1]);
}

#[test]
fn an_image_may_end_without_a_trailer_whatever_its_format() {
    let archive = part(Compression::None, &[("a", b"1"), ("b", &[7; 5000])]);
    let without = &archive[..archive.len() - 124];
    let last = part(Compression::Zstd(3), &[("c", b"")]);
    for compression in FORMATS {
        let first = compress(compression, without);
        // As many zeros as lz4 needs to end.
        let image = image(&[&first, &[0; 8], &last]);
        let mut continues = Vec::new();
        let parts = scan(&image.path, &mut |place, _, _| {
            continues.push(place.continues);
            Ok(())
        })
        .unwrap();
        let trailers: Vec<_> = parts.iter().map(|part| part.trailer).collect();
        assert_eq!(trailers, [false, true], "{compression:?}");
        assert_eq!(continues, [false, false, true], "{compression:?}");
        let (output, replaced) = replace(&image, b"new").unwrap();
        assert!(output.starts_with(&first) && replaced.kept == 2);
    }
}

#[test]
fn what_is_no_initramfs_is_named_for_what_it_looks_like() {
    for (first, expected) in [
        (&b"MZ\x90\0"[..], "is no initramfs: it begins with 4d 5a 90"),
        (b"MZ", "looks like a kernel (vmlinuz)"),
        (b"\x7fELF\x02", "looks like an ELF"),
        (b"hsqs....", "looks like a squashfs image"),
        (b"070707000", "only `newc`"),
        (b"\x04\x22\x4d\x18", "only the older one"),
        (b"\x1b[31m", r"(`\x1b[31m`)"),
        (b"x", "neither an archive nor"),
        (b"", "is empty"),
        (&[0; 5000], "nothing but zeros"),
    ] {
        let image = image(&[first]);
        for error in [
            list(&image.path).unwrap_err(),
            replace(&image, b"").unwrap_err(),
            find(&image.path, &["init"]).unwrap_err(),
        ] {
            let text = error.to_string();
            assert_eq!(error.kind, Kind::Input, "{text}");
            assert!(text.contains(expected), "{expected}: {text}");
            assert!(text.contains(&image.path.shown()), "{text}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let error = list(folder.path()).unwrap_err().to_string();
    assert!(error.contains("not a regular file"), "{error}");
    let error = list(&folder.path().join("no")).unwrap_err();
    assert_eq!(error.kind, Kind::NotFound);
}

#[test]
fn what_is_broken_is_named_with_its_part_and_offset() {
    let first = microcode();
    let at = first.len();
    let good = part(Compression::Zstd(3), &[("init", &[1; 100])]);
    let cut = &good[..good.len() - 5];
    let not_an_archive = compress(Compression::Gzip(6), b"hello");
    let behind = compress(
        Compression::Gzip(6),
        &[part(Compression::None, &[]), b"junk".to_vec()].concat(),
    );
    let archive = part(Compression::None, &[("init", &[1; 100])]);
    for (second, expected) in [
        (
            cut,
            format!(
                "part 2 (zstd-compressed, from offset {at}, read up to {})",
                at + cut.len()
            ),
        ),
        (
            cut,
            "the zstd-compressed data ends early; it is truncated".into(),
        ),
        (
            b"junk",
            format!("behind part 1, at offset {at}, stands 6a 75 6e 6b"),
        ),
        (
            b"\x89LZO\0",
            "lzo-compressed parts are not read here".into(),
        ),
        (
            &not_an_archive,
            "at offset 0 of the decompressed data: the byte 0x68".into(),
        ),
        (
            &behind,
            "the byte 0x6a stands where an archive begins or the data ends".into(),
        ),
        (
            &archive[..150],
            format!("(uncompressed, from offset {at}, read up to {})", at + 150),
        ),
        (
            &archive[..150],
            format!(
                "at offset {} of the file: it ends within the contents of `init`, of which 66",
                at + 150
            ),
        ),
        (
            &[&b"\0"[..], &archive].concat(),
            "multiple of four bytes".into(),
        ),
    ] {
        let image = image(&[&first, second]);
        for error in [
            list(&image.path).unwrap_err(),
            replace(&image, b"").unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.contains(&expected), "{expected}: {text}");
        }
    }
}

#[test]
fn wherever_an_image_is_cut_off_it_is_refused_or_read() {
    let main = part(Compression::Zstd(3), &[("init", &[1; 100]), ("b", b"2")]);
    let whole = [microcode(), main].concat();
    for length in (0..whole.len()).step_by(7) {
        let image = image(&[&whole[..length]]);
        // Within the padding of the first part nothing is missing.
        if let Ok(members) = list(&image.path) {
            assert_eq!(members.len(), 1, "{length}");
        }
    }
}

#[test]
fn a_bomb_is_noticed() {
    let main = part(Compression::Zstd(1), &[("a", &[0; 5000]), ("b", b"")]);
    let empty = compress(Compression::Gzip(1), b"");
    let zeros = compress(Compression::Gzip(1), &[0; 5000]);
    let archive = part(Compression::None, &[("a", b"")]);
    let behind = [&archive[..archive.len() - 124], &[0; 5000]].concat();
    let behind = compress(Compression::Gzip(1), &behind);
    for (parts, members, bytes, expected) in [
        (&[&main][..], 3, 5348, None),
        (&[&main], 2, 5348, Some("more than 2 members")),
        (&[&main], 3, 5347, Some("more than 5347 bytes")),
        (&[&zeros], 3, 4999, Some("more than 4999 bytes")),
        (&[&behind], 3, 5111, Some("more than 5111 bytes")),
        (&[&behind], 3, 5112, None),
        (&[&empty, &empty, &empty], 2, 0, Some("more than 2 members")),
    ] {
        let parts: Vec<_> = parts.iter().map(|part| &part[..]).collect();
        let image = image(&parts);
        let mut input = input::Input::open(&image.path).unwrap();
        let limits = scan::Limits::new(members, bytes);
        let error = scan::scan_input(&mut input, &limits, &mut |_, _, _| Ok(())).err();
        match (error, expected) {
            (None, None) => {}
            (Some(error), Some(expected)) if error.to_string().contains(expected) => {}
            other => panic!("{other:?}"),
        }
    }
}
