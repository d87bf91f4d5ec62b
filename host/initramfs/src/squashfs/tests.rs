use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::num::NonZeroUsize;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use backhand::{FilesystemReader, InnerNode};
use rustix::fs::{FileType, Mode, mknodat};
use switch_root_core::escape::Shown;
use switch_root_core::progress::Silent;

use super::*;

fn image_with(rootfs: &Path, codec: Codec, threads: usize) -> Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new().unwrap();
    thread::scope(|scope| {
        let pool = NonZeroUsize::new(threads).map(|threads| Pool::start(scope, threads));
        let options = Options {
            codec,
            time: 0,
            pool: pool.as_ref(),
            output: file.path(),
            task: &Silent,
        };
        write(rootfs, file.as_file(), &options)
    })?;
    Ok(fs::read(file.path()).unwrap())
}

const CODECS: [Codec; 3] = [Codec::Zstd(3), Codec::Xz(6), Codec::Gzip(6)];

fn image(rootfs: &Path) -> Result<Vec<u8>> {
    image_with(rootfs, Codec::Zstd(3), 2)
}

/// Path, mode, and contents or target of everything in an image.
fn contents(image: &[u8]) -> BTreeMap<PathBuf, (u16, Vec<u8>)> {
    let reader = FilesystemReader::from_reader(io::Cursor::new(image.to_vec())).unwrap();
    let nodes = reader.files().map(|node| {
        let header = node.header;
        assert_eq!((header.uid, header.gid, header.mtime), (0, 0, 0));
        let bytes = match &node.inner {
            InnerNode::Dir(_) => b"<dir>".to_vec(),
            InnerNode::Symlink(link) => link.link.as_os_str().as_bytes().to_vec(),
            InnerNode::File(file) => {
                let mut bytes = Vec::new();
                io::Read::read_to_end(&mut reader.file(file).reader(), &mut bytes).unwrap();
                bytes
            }
            other => panic!("{other:?}"),
        };
        (node.fullpath.clone(), (header.permissions, bytes))
    });
    nodes.collect()
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = length as u64 | 1;
    std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8 & 0x1f
    })
    .take(length)
    .collect()
}

/// Files around the size of a block, of one and of several blocks, and more of them
/// than one block of directory entries takes.
fn files() -> Vec<(PathBuf, Vec<u8>)> {
    let block = BLOCK as usize;
    let mut files: Vec<(PathBuf, Vec<u8>)> = [0, 1, 4095, block - 1, block, block + 1, 3 * block]
        .into_iter()
        .map(|size| (format!("sizes/{size}").into(), noise(size)))
        .collect();
    files.push(("sizes/zeros".into(), vec![0; 2 * block]));
    files.push(("sizes/same".into(), noise(3 * block)));
    for number in 0..600 {
        files.push((format!("many/{number}").into(), noise(number)));
    }
    files.push((
        OsStr::from_bytes(b"bytes/\xff\xfe").into(),
        b"not UTF-8".to_vec(),
    ));
    files
}

fn make<'a>(folder: &Path, files: impl Iterator<Item = &'a (PathBuf, Vec<u8>)>) {
    for (path, contents) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    }
    for name in ["sizes", "many", "bytes"] {
        fs::set_permissions(folder.join(name), Permissions::from_mode(0o755)).unwrap();
    }
    symlink("../no\u{e4}where", folder.join("sizes/link")).unwrap();
    fs::create_dir(folder.join("empty")).unwrap();
    fs::set_permissions(folder.join("empty"), Permissions::from_mode(0o1777)).unwrap();
    fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn an_image_reads_back_as_what_was_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let files = files();
    make(folder.path(), files.iter());
    for (codec, id) in CODECS.into_iter().zip([6, 4, 1]) {
        let image = image_with(folder.path(), codec, 2).unwrap();
        assert_eq!(image[20..22], [id, 0], "{codec:?}");
        let contents = contents(&image);
        for (path, bytes) in &files {
            let (mode, read) = &contents[&Path::new("/").join(path)];
            assert!(*mode == 0o640 && read == bytes, "{}", path.shown());
        }
    }
    let contents = contents(&image(folder.path()).unwrap());
    let at = |path: &str| contents[Path::new(path)].clone();
    assert_eq!(at("/"), (0o755, b"<dir>".to_vec()));
    assert_eq!(at("/empty"), (0o1777, b"<dir>".to_vec()));
    assert_eq!(at("/sizes/link").1, "../no\u{e4}where".as_bytes());
    assert_eq!(contents.len(), files.len() + 6);
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let parent = tempfile::tempdir().unwrap();
    let files = files();
    let one = parent.path().join("one");
    let two = parent.path().join("another name");
    make(&one, files.iter());
    make(&two, files.iter().rev());
    let time = fs::FileTimes::new().set_modified(std::time::SystemTime::UNIX_EPOCH);
    File::open(two.join("sizes/1"))
        .unwrap()
        .set_times(time)
        .unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(two.join("sizes/1"), Some(7), Some(8)).unwrap();
    }
    for codec in CODECS {
        let first = image_with(&one, codec, 0).unwrap();
        for threads in [0, 1, 3] {
            let again = image_with(&two, codec, threads).unwrap();
            assert!(first == again, "{codec:?} {threads}");
        }
    }
    let first = image(&two).unwrap();
    // What differs shows.
    fs::set_permissions(two.join("sizes/1"), Permissions::from_mode(0o600)).unwrap();
    assert!(first != image(&two).unwrap());
}

#[test]
fn every_block_of_files_is_foreseen() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), files().iter());
    let file = tempfile::tempfile().unwrap();
    thread::scope(|scope| {
        let pool = Pool::start(scope, NonZeroUsize::MIN);
        let options = Options {
            codec: Codec::Zstd(1),
            time: 0,
            pool: Some(&pool),
            output: Path::new("image"),
            task: &Silent,
        };
        ahead::UNFORESEEN.set(0);
        write(folder.path(), &file, &options).unwrap();
    });
    // The options of the compressor, a block of inodes in 8 KiB each, and of
    // directories; blocks of files would be as many again.
    let metadata = ahead::UNFORESEEN.get();
    assert!((3..=8).contains(&metadata), "{metadata}");
}

#[test]
fn hard_links_become_files_that_share_their_data() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), noise(1 << 20)).unwrap();
    let alone = image(folder.path()).unwrap().len();
    fs::hard_link(folder.path().join("a"), folder.path().join("b")).unwrap();
    let image = image(folder.path()).unwrap();
    assert!(image.len() < alone + 8192);
    let contents = contents(&image);
    assert!(contents[Path::new("/b")].1 == noise(1 << 20));
}

#[test]
fn what_a_layer_cannot_have_is_named() {
    let refused = |make: &dyn Fn(&Path), expected: &str| {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        make(&folder.path().join("sub"));
        let error = image(folder.path()).unwrap_err().to_string();
        let start = format!("cannot make a layer of {}/sub/", folder.path().shown());
        assert!(error.starts_with(&start), "{error}");
        assert!(error.contains(expected), "{error}");
    };
    let node = |path: &Path, kind| {
        mknodat(
            rustix::fs::CWD,
            path,
            kind,
            Mode::RUSR,
            rustix::fs::makedev(1, 3),
        )
        .unwrap();
    };
    refused(
        &|sub| node(&sub.join("pi\npe"), FileType::Fifo),
        r"pi\x0ape: it is a pipe",
    );
    refused(
        &|sub| node(&sub.join("s"), FileType::Socket),
        "it is a socket",
    );
    if rustix::process::geteuid().is_root() {
        let device = |sub: &Path| node(&sub.join("null"), FileType::CharacterDevice);
        refused(&device, "null: it is a device node");
    }
    refused(
        &|sub| symlink("x".repeat(256), sub.join("long")).unwrap(),
        "has 256 bytes; at most 255",
    );
    let deep = |levels: usize| vec!["d"; levels].join("/");
    refused(
        &|sub| fs::create_dir_all(sub.join(deep(128))).unwrap(),
        "nested more deeply than 128",
    );
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join(deep(128))).unwrap();
    symlink("x".repeat(255), folder.path().join("long")).unwrap();
    assert_eq!(contents(&image(folder.path()).unwrap()).len(), 130);
    let error = image(&folder.path().join("no")).unwrap_err();
    assert_eq!(error.kind, switch_root_core::error::Kind::NotFound);
    for (codec, levels) in [
        (Codec::Zstd(23), "levels go from 1 to 22"),
        (Codec::Xz(10), "levels go from 0 to 9"),
        (Codec::Gzip(0), "levels go from 1 to 9"),
    ] {
        let error = image_with(folder.path(), codec, 0).unwrap_err();
        assert!(error.to_string().contains(levels), "{error}");
    }
}

#[test]
fn a_file_that_changes_meanwhile_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a"), "12345").unwrap();
    let root = std::sync::Arc::new(File::open(folder.path()).unwrap().into());
    for size in [4, 6] {
        let mut file = file::Lazy::new(&root, Path::new("a"), size, None);
        let error = io::Read::read_to_end(&mut file, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("a was changed while"), "{error}");
    }
    symlink("a", folder.path().join("link")).unwrap();
    let mut file = file::Lazy::new(&root, Path::new("link"), 5, None);
    assert!(io::Read::read_to_end(&mut file, &mut Vec::new()).is_err());
}
