use std::fs;

use initramfs::segments;
use serde_json::json;
use switch_root_core::error::Kind;
use switch_root_core::escape::Shown;
use switch_root_core::progress::Silent;

use super::*;

fn options(compression: Compression, parallel: usize) -> Options<'static> {
    Options {
        compression,
        codec: Codec::Zstd(3),
        parallel,
        progress: &Silent,
    }
}

fn extension(folder: &Path, number: usize, contents: &[u8]) -> Extension {
    let folder_name = format!("{number:03}.extension");
    let path = folder.join(&folder_name);
    fs::create_dir_all(path.join("rootfs/usr/local")).unwrap();
    fs::write(path.join("rootfs/usr/local/a"), contents).unwrap();
    Extension {
        folder_name,
        path,
        metadata: json!({"name": "a", "version": "1.10", "extraInfo": {"x": [1, null]}}),
    }
}

fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn an_archive_holds_the_list_and_the_layers_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let extensions: Vec<_> = (0..12)
        .map(|number| extension(folder.path(), number, format!("{number}").as_bytes()))
        .collect();
    let output = folder.path().join("out/archive");
    fs::create_dir(folder.path().join("out")).unwrap();
    for compression in [Compression::None, Compression::Zstd(1)] {
        let layers = pack(&extensions, &output, &options(compression, 3)).unwrap();
        assert_eq!(listing(&folder.path().join("out")), ["archive"]);
        let mut members = Vec::new();
        segments::scan(&output, &mut |_, member, contents| {
            let mut bytes = Vec::new();
            contents.read_to_end(&mut bytes).unwrap();
            members.push((String::from_utf8_lossy(member.path()).into_owned(), bytes));
            Ok(())
        })
        .unwrap();
        assert_eq!(members.len(), 13);
        assert_eq!(members[0].0, EXTENSIONS);
        let list = extensions::parse(&members[0].1).unwrap();
        for (index, (layer, listed)) in layers.iter().zip(&list).enumerate() {
            let (name, contents) = &members[index + 1];
            assert_eq!(layer.image, format!("{index:03}.extension.sqsh"));
            assert_eq!((name, &listed.image), (&layer.image, &layer.image));
            assert_eq!(layer.size, contents.len() as u64);
            assert_eq!(
                layer.digest,
                format!("sha256:{:x}", Sha256::digest(contents))
            );
            assert_eq!(listed.digest.as_ref(), Some(&layer.digest));
            let metadata: Value = serde_json::from_str(&listed.metadata).unwrap();
            assert_eq!(metadata, extensions[index].metadata);
        }
    }
}

#[test]
fn the_same_extensions_give_the_same_archive() {
    let one = tempfile::tempdir().unwrap();
    let two = tempfile::tempdir().unwrap();
    let archive = |folder: &Path, parallel| {
        let extensions: Vec<_> = (0..3)
            .map(|number| extension(folder, number, &[number as u8; 300_000]))
            .collect();
        let output = folder.join("archive");
        pack(
            &extensions,
            &output,
            &options(Compression::Zstd(3), parallel),
        )
        .unwrap();
        fs::read(output).unwrap()
    };
    assert!(archive(one.path(), 1) == archive(two.path(), 4));
}

#[test]
fn no_extensions_are_an_empty_list() {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("archive");
    let options = options(Compression::Zstd(3), 0);
    assert_eq!(pack(&[], &output, &options).unwrap(), []);
    let found = segments::find(&output, &[EXTENSIONS]).unwrap();
    assert_eq!(found[EXTENSIONS], b"layers: []\n");
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let good = extension(folder.path(), 0, b"good");
    let bad = extension(folder.path(), 1, b"bad");
    let link = bad.path.join("rootfs/usr/link");
    std::os::unix::fs::symlink("x".repeat(300), &link).unwrap();
    let output = folder.path().join("archive");
    fs::write(&output, "as it was").unwrap();
    let before = listing(folder.path());
    let named = |name: &str, path: &Path| Extension {
        folder_name: name.into(),
        path: path.to_owned(),
        metadata: json!({}),
    };
    let path = &good.path;
    let many: Vec<_> = (0..101).map(|n| named(&format!("{n}"), path)).collect();
    let missing = named("2", &folder.path().join("no"));
    for (extensions, expected) in [
        (vec![named("0", path), bad], "000.extension/rootfs/usr/link"),
        (many, "cannot pack 101 extensions"),
        (
            vec![named("a", path), named("a", path)],
            "there are two of this name",
        ),
        (vec![named("a/b", path)], "cannot pack the extension `a/b`"),
        (vec![named("", path)], "no name of a file"),
        (vec![named("rootfs", path)], "rootfs.sqsh is the root image"),
        (vec![missing], "No such file"),
    ] {
        let error = pack(&extensions, &output, &options(Compression::None, 2)).unwrap_err();
        let expected = expected.replace("000.extension", "001.extension");
        assert!(error.to_string().contains(&expected), "{expected}: {error}");
        assert_eq!(listing(folder.path()), before);
        assert_eq!(fs::read(&output).unwrap(), b"as it was");
    }
}

#[test]
fn a_layer_that_is_no_longer_there_or_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut layer = Layer {
        image: "a.sqsh".into(),
        file: folder.path().join("a.sqsh"),
        size: 1 << 32,
        digest: String::new(),
        metadata: json!({}),
    };
    let write = |layer: &Layer| {
        let layers = [layer.clone()];
        write_archive(&layers, &mut Vec::new(), &options(Compression::None, 1)).unwrap_err()
    };
    assert_eq!(write(&layer).kind, Kind::NotFound);
    fs::write(&layer.file, "12").unwrap();
    assert!(write(&layer).to_string().contains("at most 4294967295"));
    layer.size = 3;
    assert!(
        write(&layer)
            .to_string()
            .contains("no longer has the 3 bytes")
    );
}

/// Needs a mount of its own, so it runs as root alone.
#[test]
fn a_full_disk_is_told_and_leaves_nothing_behind() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: a small file system can be mounted by root alone");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = rustix::mount::mount(
        "none",
        &small,
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        Some(c"size=256k"),
    );
    if let Err(error) = mounted {
        eprintln!("skipped: cannot mount a small file system: {error}");
        return;
    }
    // Does not compress: 1 MiB of what a hash makes of numbers.
    let contents: Vec<u8> = (0..32_768u32)
        .flat_map(|number| Sha256::digest(number.to_le_bytes()))
        .collect();
    let extension = extension(folder.path(), 0, &contents);
    let output = small.join("archive");
    fs::write(&output, "as it was").unwrap();
    let options = options(Compression::None, 1);
    let error = pack(std::slice::from_ref(&extension), &output, &options).unwrap_err();
    // Also where the layers have room, and the archive has none.
    let layers = layers(&[extension], folder.path(), &options).unwrap();
    let mut file = AtomicFile::create(&output).unwrap();
    let archive = write_archive(&layers, &mut file, &options).unwrap_err();
    drop(file);
    let left = listing(&small);
    let text = fs::read(&output).unwrap();
    rustix::mount::unmount(&small, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert_eq!(
        (left, &text[..]),
        (vec!["archive".to_owned()], &b"as it was"[..])
    );
    for error in [error, archive] {
        assert_eq!(error.kind, Kind::System);
        let text = error.to_string();
        assert!(text.contains("No space left on device"), "{text}");
        assert!(text.contains(&small.shown()), "{text}");
        assert!(text.contains("free some space"), "{text}");
    }
}
