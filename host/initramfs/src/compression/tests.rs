use std::io::{Read, Write};

use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::outcome::Message;

use super::*;

const ALL: [Compression; 6] = [
    Compression::Zstd(3),
    Compression::Xz(1),
    Compression::Gzip(6),
    Compression::Lzma(1),
    Compression::Lz4,
    Compression::Bzip2(1),
];

/// Compresses well at its beginning and not at all further on.
fn sample(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    });
    let text = b"the same again and again; ".iter().copied().cycle();
    text.take(length / 2)
        .chain(noise.take(length - length / 2))
        .collect()
}

fn compress(compression: Compression, threads: usize, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = Vec::new();
    let mut encoder = encoder(compression, threads, &mut compressed)?;
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap();
    Ok(compressed)
}

fn decompress(mut bytes: &[u8]) -> std::result::Result<(Vec<u8>, usize), Error> {
    let format = detect(bytes).unwrap();
    let before = bytes.len();
    let mut decompressed = Vec::new();
    reader(format, &mut bytes)?
        .read_to_end(&mut decompressed)
        .map_err(|error| Error::system(Message::quoted(""), &error))?;
    Ok((decompressed, before - bytes.len()))
}

#[test]
fn every_format_reads_back_and_ends_where_it_ends() {
    for length in [0, 1, 200_000, 8 << 20 | 1] {
        let bytes = sample(length);
        for compression in ALL {
            // The length of a block of lz4, which takes the others long.
            if length > 1 << 20 && compression != Compression::Lz4 {
                continue;
            }
            let compressed = compress(compression, 1, &bytes).unwrap();
            let mut image = compressed.clone();
            image.extend_from_slice(b"\0\0\0\x00070701 what follows");
            let (decompressed, read) = decompress(&image).unwrap();
            assert!(decompressed == bytes, "{compression:?} {length}");
            assert_eq!(read, compressed.len(), "{compression:?} {length}");
            let format = detect(&compressed).unwrap();
            let like = Compression::like(format).unwrap();
            assert_eq!(
                std::mem::discriminant(&like),
                std::mem::discriminant(&compression)
            );
        }
    }
}

#[test]
fn what_follows_directly_is_a_part_of_its_own() {
    for compression in [
        Compression::Zstd(3),
        Compression::Xz(1),
        Compression::Gzip(6),
        Compression::Bzip2(9),
    ] {
        let first = compress(compression, 1, b"first").unwrap();
        let both = [first.clone(), first.clone()].concat();
        assert_eq!(decompress(&both).unwrap(), (b"first".to_vec(), first.len()));
    }
    // Of lz4 it is not.
    let first = compress(Compression::Lz4, 1, b"first").unwrap();
    let both = [first.clone(), first].concat();
    assert_eq!(decompress(&both).unwrap().0, b"firstfirst");
}

#[test]
fn truncated_data_is_told_from_broken_data() {
    let bytes = sample(300_000);
    for compression in ALL {
        let compressed = compress(compression, 1, &bytes).unwrap();
        for length in [7, 20, compressed.len() / 2, compressed.len() - 1] {
            // A file of lzma or lz4 does not say where it ends.
            let error = match decompress(&compressed[..length]) {
                Err(error) => error,
                Ok((read, _)) => panic!("{compression:?} {length}: {}", read.len()),
            };
            let text = error.to_string();
            assert_eq!(error.kind, Kind::Corrupt, "{text}");
            assert!(
                text.contains("it is truncated"),
                "{compression:?} {length}: {text}"
            );
        }
        let mut broken = compressed;
        let middle = broken.len() / 2;
        for byte in &mut broken[middle..middle + 40] {
            *byte ^= 0xff;
        }
        // Only the formats with a checksum notice it wherever it is.
        if matches!(
            compression,
            Compression::Zstd(_)
                | Compression::Xz(_)
                | Compression::Gzip(_)
                | Compression::Bzip2(_)
        ) {
            let text = decompress(&broken).unwrap_err().to_string();
            assert!(
                text.contains("-compressed data is broken"),
                "{compression:?}: {text}"
            );
        }
    }
}

#[test]
fn the_bytes_depend_on_nothing_but_the_input() {
    let bytes = sample(6 << 20);
    let compression = Compression::Zstd(1);
    let one = compress(compression, 1, &bytes).unwrap();
    assert!(one == compress(compression, 3, &bytes).unwrap());
    // No name and no time in the header of gzip.
    let gzip = compress(Compression::Gzip(6), 1, b"x").unwrap();
    assert_eq!(gzip[3..8], [0; 5]);
}

#[test]
fn the_kernel_can_read_what_is_written() {
    // Check of xz: CRC32 is 1.
    let xz = compress(Compression::Xz(9), 1, b"x").unwrap();
    assert_eq!(xz[7], 1);
    let large = sample(1 << 20);
    let zstd = compress(Compression::Zstd(19), 2, &large).unwrap();
    // Frame header: no single segment, a checksum; then the exponent of the window.
    assert_eq!(zstd[4] & 0x24, 0x04);
    assert_eq!(10 + (zstd[5] >> 3), 23);
    assert!(decompress(&zstd).unwrap().0 == large);
}

#[test]
fn levels_and_formats_that_there_are_not_are_refused() {
    for (compression, levels) in [
        (Compression::Zstd(0), "from 1 to 19"),
        (Compression::Zstd(20), "from 1 to 19"),
        (Compression::Xz(10), "from 0 to 9"),
        (Compression::Gzip(0), "from 1 to 9"),
        (Compression::Lzma(10), "from 0 to 9"),
        (Compression::Bzip2(0), "from 1 to 9"),
    ] {
        let error = compress(compression, 1, b"").unwrap_err().to_string();
        assert!(error.contains(levels), "{error}");
    }
    let error = decompress(b"\x89LZO\0").unwrap_err().to_string();
    assert!(error.starts_with("lzo"), "{error}");
    assert!(error.contains("are not read here; compress"), "{error}");
    assert_eq!(detect(b"070701"), None);
    assert_eq!(detect(b""), None);
}

#[test]
fn a_block_of_lz4_that_is_too_long_is_not_read() {
    let mut bytes = vec![0x02, 0x21, 0x4c, 0x18];
    bytes.extend_from_slice(&u32::MAX.to_le_bytes());
    bytes.extend_from_slice(&[0xff; 100]);
    let error = decompress(&bytes).unwrap_err().to_string();
    assert!(error.contains("more than there can be"), "{error}");
}

#[test]
fn what_the_kernel_does_not_read_is_no_part_of_an_initramfs() {
    use liblzma::stream::{Check, Filters, LzmaOptions, MtStreamBuilder, Stream};
    use liblzma::write::XzEncoder;

    let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3];
    assert_eq!(detect(&skippable), None);
    assert!(kernel::is_skippable_frame(&skippable));
    let xz = |stream: Stream| {
        let mut encoder = XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(&sample(1000)).unwrap();
        encoder.finish().unwrap()
    };
    let easy = |check| xz(Stream::new_easy_encoder(6, check).unwrap());
    let unread = |bytes: &[u8]| kernel::unread(Format::Xz, &bytes[..LOOKAHEAD]).map(String::from);
    for (check, words) in [(Check::Crc64, "CRC64"), (Check::Sha256, "SHA-256")] {
        let why = unread(&easy(check)).unwrap();
        assert!(
            why.contains(words) && why.contains("--check=crc32"),
            "{why}"
        );
    }
    for check in [Check::Crc32, Check::None] {
        assert_eq!(unread(&easy(check)), None);
    }
    let options = LzmaOptions::new_preset(1).unwrap();
    let mut filters = Filters::new();
    filters.x86().lzma2(&options);
    let of = |filters: &Filters| Stream::new_stream_encoder(filters, Check::Crc32).unwrap();
    assert_eq!(unread(&xz(of(&filters))), None);
    let mut filters = Filters::new();
    filters.delta_properties(&[0]).unwrap().lzma2(&options);
    let why = unread(&xz(of(&filters))).unwrap();
    assert!(why.contains("delta"), "{why}");
    // Sizes stand in front of the filters where several threads compressed.
    let threads = MtStreamBuilder::new()
        .threads(2)
        .check(Check::Crc32)
        .preset(1)
        .encoder()
        .unwrap();
    assert_eq!(unread(&xz(threads)), None);
}

#[test]
fn of_a_gzip_header_the_kernel_reads_over_a_name_alone() {
    let unread = |bytes: &[u8]| kernel::unread(Format::Gzip, bytes).map(String::from);
    let header = |flags: u8| [0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
    for flags in [0, 1, 8, 9] {
        assert_eq!(unread(&header(flags)), None);
    }
    for (flags, words) in [
        (4, "extra field"),
        (16, "comment"),
        (2, "checksum"),
        (32, "not defined"),
    ] {
        let why = unread(&header(flags)).unwrap();
        assert!(why.contains(words), "{why}");
    }
    assert!(unread(&[0x1f, 0x8b, 7, 0]).unwrap().contains("method 7"));
}
