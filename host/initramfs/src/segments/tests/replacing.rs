//! Replacing extensions.

use super::*;

#[test]
fn what_was_there_is_kept_byte_for_byte_and_the_new_part_is_aligned() {
    for compression in FORMATS {
        let main = part(compression, &[("init", b"#!"), ("rootfs.sqsh", b"root")]);
        let first = microcode();
        let image = image(&[&first, &main]);
        let new = part(
            Compression::None,
            &[(EXTENSIONS, OLD.as_bytes()), ("000.old.sqsh", b"layer")],
        );
        let (once, replaced) = replace(&image, &new).unwrap();
        assert_eq!(
            replaced,
            Replaced {
                kept: 2,
                ..Replaced::default()
            }
        );
        assert!(
            once.starts_with(&[&first[..], &main].concat()),
            "{compression:?}"
        );
        assert!(once.ends_with(&new));
        assert_eq!((once.len() - new.len()) % 4, 0);
        assert!(once.len() - new.len() - first.len() - main.len() < 8);

        // Again: the old one goes, and nothing accumulates.
        fs::write(&image.path, &once).unwrap();
        assert_eq!(names(&image.path).len(), 5, "{compression:?}");
        let (twice, replaced) = replace(&image, &new).unwrap();
        assert!(twice == once, "{compression:?}");
        assert_eq!((replaced.kept, replaced.rewritten), (2, 0));
        assert_eq!(replaced.removed, [EXTENSIONS, "000.old.sqsh"]);
    }
}

#[test]
fn a_mixed_part_is_written_anew_in_its_own_format() {
    for compression in FORMATS {
        let main = part(
            compression,
            &[
                ("init", b"#!"),
                ("000.old.sqsh", b"old"),
                ("rootfs.sqsh", b"root"),
                ("other.sqsh", b"other"),
                ("usr/000.old.sqsh", b"deeper"),
                ("./extensions.yaml", OLD.as_bytes()),
                ("etc/a", &[9; 1000]),
            ],
        );
        let last = part(Compression::None, &[("last", b"1")]);
        let zeros = vec![0; main.len().wrapping_neg() % 4 + 4];
        let first = microcode();
        let image = image(&[&first, &main, &zeros, &last]);
        let (output, replaced) = replace(&image, b"").unwrap();
        assert_eq!((replaced.kept, replaced.rewritten), (2, 1));
        assert_eq!(replaced.removed, ["000.old.sqsh", EXTENSIONS]);
        assert!(output.starts_with(&first));
        let before = list(&image.path).unwrap();
        fs::write(&image.path, &output).unwrap();
        let parts = scan(&image.path, &mut |_, _, _| Ok(())).unwrap();
        assert_eq!(
            parts[1]
                .format
                .and_then(Compression::like)
                .unwrap_or(Compression::None),
            match compression {
                Compression::Xz(_) => Compression::Xz(6),
                Compression::Lzma(_) => Compression::Lzma(6),
                other => other,
            }
        );
        let kept: Vec<_> = before
            .into_iter()
            .filter(|(_, name, _)| name != "000.old.sqsh" && name != EXTENSIONS)
            .collect();
        assert_eq!(kept.len(), 7);
        assert_eq!(list(&image.path).unwrap(), kept);
    }
}

#[test]
fn members_and_archives_of_a_part_written_anew_stay_as_they_are() {
    let archive = |name: &str| {
        let mut writer = Writer::new(Vec::new());
        for name in ["hard", "link", name] {
            let member = Member {
                name: name.into(),
                ino: 5,
                mode: 0o104_755,
                uid: 3,
                gid: 4,
                nlink: if name.contains('.') { 1 } else { 2 },
                mtime: 99,
                size: 4,
                dev: (1, 2),
                rdev: (3, 4),
                checksum: None,
            };
            let contents = if name == EXTENSIONS {
                &b"{}  "[..]
            } else {
                b"1234"
            };
            writer
                .member(&member, &mut &contents[..], &mut |_| {})
                .unwrap();
        }
        writer.finish().unwrap()
    };
    let both = [archive(EXTENSIONS), archive("no.sqsh")].concat();
    let image = image(&[&compress(Compression::Gzip(1), &both)]);
    let members = |path: &Path| {
        let mut members = Vec::new();
        scan(path, &mut |place, member, _| {
            members.push((place, member.clone()));
            Ok(())
        })
        .unwrap();
        members
    };
    let mut before = members(&image.path);
    let (output, _) = replace(&image, b"").unwrap();
    fs::write(&image.path, output).unwrap();
    before.remove(2);
    assert_eq!(members(&image.path), before);
}

#[test]
fn only_what_the_list_names_at_the_root_is_taken_for_a_layer() {
    // A list that names what is no layer removes nothing but itself.
    let list = "layers: [{image: init}, {image: etc/a.sqsh}, {image: ../b.sqsh}, {image: link.sqsh}, {image: rootfs.sqsh}]";
    let mut writer = Writer::new(Vec::new());
    for (name, mode, nlink) in [
        ("init", libc::S_IFREG, 1),
        ("etc/a.sqsh", libc::S_IFREG, 1),
        ("link.sqsh", libc::S_IFREG, 2),
        ("rootfs.sqsh", libc::S_IFREG, 1),
        ("dir.sqsh", libc::S_IFDIR, 2),
    ] {
        let member = Member {
            name: name.into(),
            mode,
            nlink,
            ..Member::default()
        };
        writer.member(&member, &mut &b""[..], &mut |_| {}).unwrap();
    }
    let size = list.len() as u64;
    writer
        .file(EXTENSIONS, 0o644, size, &mut list.as_bytes(), &mut |_| {})
        .unwrap();
    let image = image(&[&writer.finish().unwrap()]);
    let (_, replaced) = replace(&image, b"").unwrap();
    assert_eq!(replaced.removed, [EXTENSIONS]);
}

#[test]
fn an_image_of_nothing_but_extensions_keeps_nothing() {
    let image = image(&[&part(Compression::Zstd(1), &[(EXTENSIONS, b"")])]);
    let (output, replaced) = replace(&image, b"new").unwrap();
    assert_eq!(output, b"new");
    assert_eq!((replaced.kept, replaced.rewritten), (0, 0));
}

#[test]
fn a_part_behind_one_that_shrank_is_aligned() {
    let lists = part(Compression::Gzip(6), &[(EXTENSIONS, OLD.as_bytes())]);
    let zeros = vec![0; lists.len().wrapping_neg() % 4 + 1];
    let odd = part(Compression::Gzip(6), &[("odd", b"1")]);
    let gap = vec![0; (lists.len() + zeros.len() + odd.len()).wrapping_neg() % 4];
    let last = part(Compression::None, &[("last", b"2")]);
    let image = image(&[&lists, &zeros, &odd, &gap, &last]);
    let (output, replaced) = replace(&image, b"").unwrap();
    assert_eq!(replaced.kept, 2);
    fs::write(&image.path, output).unwrap();
    assert_eq!(names(&image.path), [(1, "odd".into()), (2, "last".into())]);
}

#[test]
fn a_list_that_is_not_understood_stops_the_replacing() {
    let image = image(&[&part(Compression::None, &[(EXTENSIONS, b"layers: [")])]);
    let error = replace(&image, b"").unwrap_err().to_string();
    assert!(error.contains("its extensions.yaml is not YAML"), "{error}");
    let large = vec![b' '; SMALL_FILE as usize + 1];
    let image = self::image(&[&part(Compression::None, &[(EXTENSIONS, &large)])]);
    for error in [
        replace(&image, b"").unwrap_err(),
        find(&image.path, &[EXTENSIONS]).unwrap_err(),
    ] {
        assert!(
            error.to_string().contains("is larger than 1048576"),
            "{error}"
        );
    }
}

#[test]
fn an_error_of_who_appends_or_writes_is_passed_on() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let image = image(&[&part(Compression::None, &[("init", b"")])]);
    let error = replace_extensions(&image.path, &mut Full, &mut |_| Ok(())).unwrap_err();
    assert_eq!(error.kind, Kind::System);
    let error = replace_extensions(&image.path, &mut Vec::new(), &mut |_| {
        Err(Error::input(Message::quoted("no")))
    });
    assert_eq!(error, Err(Error::input(Message::quoted("no"))));
}
