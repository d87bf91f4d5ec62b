//! Archives that are broken, hostile, or too much.

use switch_root_core::error::Kind;

use super::*;

#[test]
fn a_truncated_archive_is_corrupt_wherever_it_ends() {
    let whole = Layer::default().file("a", &"x".repeat(2000)).end();
    for end in [10, 511, 600, 512 + 1999] {
        let place = Place::new();
        let Err(error) = place.unpack(&[whole[..end].to_vec()]) else {
            panic!("{end}");
        };
        assert_eq!(error.kind, Kind::Corrupt, "{end}: {error}");
    }
    // The blocks at the end may be missing, and what fills the last one.
    for end in [512 + 2000, 512 + 2001, 512 + 2048, 512 + 2048 + 512] {
        let place = Place::new();
        place.unpack(&[whole[..end].to_vec()]).unwrap();
        assert_eq!(place.tree(), [format!("a 644 {}", "x".repeat(2000))]);
    }
}

#[test]
fn what_is_no_archive_is_corrupt() {
    let place = Place::new();
    let Err(error) = place.unpack(&[vec![b'x'; 4096]]) else {
        panic!();
    };
    assert_eq!(error.kind, Kind::Corrupt, "{error}");
    assert!(place.tree().is_empty());
}

#[test]
fn headers_are_not_read_into_memory_without_end() {
    let place = Place::new();
    let layer = Layer::default().entry(
        EntryType::GNULongName,
        "././@LongLink",
        "",
        0,
        &vec![b'a'; 2 << 20],
    );
    let error = message(place.unpack(&[layer.file("a", "a").end()]));
    assert!(error.contains("more than a mebibyte"), "{error}");
}

#[test]
fn long_names_are_read_and_overlong_ones_are_refused() {
    let long = |length: usize| {
        let mut builder = tar::Builder::new(Vec::new());
        let name = "d/".repeat(length / 2) + "file";
        let mut header = Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        builder.append_data(&mut header, &name, &b"x"[..]).unwrap();
        builder.into_inner().unwrap()
    };
    let place = Place::new();
    place.unpack(&[long(200)]).unwrap();
    assert_eq!(place.tree().len(), 101);
    for (length, expected) in [
        (600, "more than 128 directories"),
        (5000, "longer than Linux"),
    ] {
        let error = message(Place::new().unpack(&[long(length)]));
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn names_with_a_zero_byte_and_sparse_files_are_refused() {
    let pax = |key: &str, value: &str| {
        let mut builder = tar::Builder::new(Vec::new());
        builder
            .append_pax_extensions([(key, value.as_bytes())])
            .unwrap();
        let mut header = Header::new_ustar();
        header.set_size(0);
        header.set_mode(0o644);
        builder.append_data(&mut header, "a", &b""[..]).unwrap();
        builder.into_inner().unwrap()
    };
    for (key, value, expected) in [
        ("path", "a\0b", "a zero byte"),
        ("path", "../x", "outside"),
        ("GNU.sparse.major", "1", "sparse"),
    ] {
        let place = Place::new();
        let error = message(place.unpack(&[pax(key, value)]));
        assert!(error.contains(expected), "{error}");
        assert!(place.tree().is_empty());
    }
}

#[test]
fn an_unknown_kind_of_entry_is_named() {
    let layer = Layer::default().special(EntryType::new(b'V'), "volume");
    let error = message(Place::new().unpack(&[layer.end()]));
    assert!(error.contains("volume is of type `V`"), "{error}");
}

#[test]
fn limits_are_kept() {
    let place = Place::new();
    let mut unpacker = Unpacker::new(&place.inside()).unwrap();
    unpacker.entries = ENTRIES - 1;
    let layer = Layer::default().file("a", "a").file("b", "b").end();
    let error = unpacker.apply(&*layer).unwrap_err().to_string();
    assert!(error.contains("more than 1000000 entries"), "{error}");
    assert_eq!(place.tree(), ["a 644 a"]);

    let place = Place::new();
    let mut unpacker = Unpacker::new(&place.inside()).unwrap();
    unpacker.gauge = Gauge::new(2000);
    let error = unpacker.apply(&*layer).unwrap_err().to_string();
    assert!(error.contains("more than 2000 bytes"), "{error}");
}
