//! Archives that no tool would make, and what comes of them: the exact tree
//! inside, and a folder beside it that must stay as it is.

mod escapes;
mod malformed;

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use switch_root_core::error::Kind;
use switch_root_core::escape::Shown;
use tar::{EntryType, Header};

use super::*;

/// An archive, entry by entry; names and targets are taken as they are.
#[derive(Clone, Default)]
pub(crate) struct Layer(Vec<u8>);

impl Layer {
    fn entry(mut self, kind: EntryType, name: &str, target: &str, mode: u32, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let fill =
            |field: &mut [u8], text: &str| field[..text.len()].copy_from_slice(text.as_bytes());
        fill(&mut header.as_old_mut().name, name);
        fill(&mut header.as_old_mut().linkname, target);
        header.set_entry_type(kind);
        header.set_mode(mode);
        // Not ours, and not taken over.
        header.set_uid(12345);
        header.set_gid(12345);
        header.set_mtime(1);
        header.set_size(data.len() as u64);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn file(self, name: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, name, "", 0o644, content.as_bytes())
    }

    /// Records of PAX for the entry that follows.
    pub(crate) fn records(self, records: &[(&str, &str)]) -> Self {
        let mut text = String::new();
        for (key, value) in records {
            let rest = format!(" {key}={value}\n");
            let digits = (1..4).find(|digits| (rest.len() + digits).to_string().len() == *digits);
            text.push_str(&format!("{}{rest}", rest.len() + digits.unwrap()));
        }
        self.entry(
            EntryType::XHeader,
            "PaxHeaders/x",
            "",
            0o644,
            text.as_bytes(),
        )
    }

    pub(crate) fn mode(self, name: &str, mode: u32) -> Self {
        self.entry(EntryType::Regular, name, "", mode, b"x")
    }

    pub(crate) fn directory(self, name: &str, mode: u32) -> Self {
        self.entry(EntryType::Directory, name, "", mode, b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, 0o777, b"")
    }

    pub(crate) fn hardlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name, target, 0o644, b"")
    }

    pub(crate) fn special(self, kind: EntryType, name: &str) -> Self {
        self.entry(kind, name, "", 0o644, b"")
    }

    /// With the blocks that end an archive.
    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A folder to unpack into, and a sentinel beside it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.inside()).unwrap();
        fs::create_dir(place.0.path().join("outside")).unwrap();
        fs::write(place.0.path().join("outside/sentinel"), "untouched").unwrap();
        place
    }

    fn inside(&self) -> std::path::PathBuf {
        self.0.path().join("inside")
    }

    fn unpack(&self, layers: &[Vec<u8>]) -> Result<Unpacker> {
        let mut unpacker = Unpacker::new(&self.inside())?;
        for layer in layers {
            unpacker.apply(&**layer)?;
        }
        Ok(unpacker)
    }

    /// Everything inside, a line each; panics if anything outside has changed.
    fn tree(&self) -> Vec<String> {
        assert_eq!(
            tree(&self.0.path().join("outside")),
            ["sentinel 644 untouched"]
        );
        assert_eq!(fs::read_dir(self.0.path()).unwrap().count(), 2);
        tree(&self.inside())
    }
}

/// What is in a folder, a line each, sorted: `path mode content`.
pub(crate) fn tree(folder: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let mut ahead = vec![folder.to_owned()];
    while let Some(directory) = ahead.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().shown();
            let metadata = path.symlink_metadata().unwrap();
            let mode = metadata.mode() & 0o7777;
            if metadata.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                lines.push(format!("{name} -> {}", target.shown()));
            } else if metadata.is_dir() {
                lines.push(format!("{name}/ {mode:o}"));
                ahead.push(path);
            } else {
                let content = fs::read(&path).unwrap();
                lines.push(format!(
                    "{name} {mode:o} {}",
                    String::from_utf8_lossy(&content)
                ));
            }
        }
    }
    lines.sort();
    lines
}

fn message(result: Result<Unpacker>) -> String {
    match result {
        Err(error) => error.to_string(),
        Ok(_) => panic!("unpacked"),
    }
}

#[test]
fn files_directories_and_links_are_unpacked_with_their_modes() {
    let place = Place::new();
    let layer = Layer::default()
        .directory("./", 0o700)
        .directory("usr/", 0o755)
        .file("usr/a", "content")
        .mode("usr/secret", 0o600)
        .symlink("usr/link", "../../../etc/passwd")
        .hardlink("usr/hard", "usr/a")
        .file("implicit/b", "")
        .end();
    place
        .unpack(&[layer])
        .unwrap()
        .complete()
        .0
        .apply()
        .unwrap();
    assert_eq!(
        place.tree(),
        [
            "implicit/ 755",
            "implicit/b 644 ",
            "usr/ 755",
            "usr/a 644 content",
            "usr/hard 644 content",
            "usr/link -> ../../../etc/passwd",
            "usr/secret 600 x",
        ]
    );
    let inode = |name: &str| place.inside().join(name).metadata().unwrap().ino();
    assert_eq!(inode("usr/a"), inode("usr/hard"));
    let owner = place.inside().join("usr/a").metadata().unwrap().uid();
    assert_eq!(owner, rustix::process::geteuid().as_raw());
}

#[test]
fn special_files_are_reported_and_not_made() {
    let place = Place::new();
    let layer = Layer::default()
        .special(EntryType::Char, "dev/null")
        .special(EntryType::Block, "dev/sda")
        .special(EntryType::Fifo, "pipe")
        .mode("usr/setuid", 0o4755)
        .mode("setgid", 0o2755)
        .file("a", "a")
        .end();
    let unpacker = place.unpack(&[layer]).unwrap();
    assert_eq!(
        unpacker.refused(),
        [
            ("dev/null".into(), Special::Device),
            ("dev/sda".into(), Special::Device),
            ("pipe".into(), Special::Fifo),
            ("setgid".into(), Special::SetId),
            ("usr/setuid".into(), Special::SetId)
        ]
    );
    // Empty files stand for them, which a later layer may remove.
    assert_eq!(
        place.tree(),
        [
            "a 644 a",
            "dev/ 755",
            "dev/null 600 ",
            "dev/sda 600 ",
            "pipe 600 ",
            "setgid 600 ",
            "usr/ 755",
            "usr/setuid 600 ",
        ]
    );
}

#[test]
fn what_a_later_layer_takes_away_is_not_refused() {
    let lower = |layer: Layer| {
        layer
            .mode("bin/su", 0o4755)
            .special(EntryType::Char, "dev/null")
            .end()
    };
    let gone = Layer::default().file("dev/.wh.null", "");
    for upper in [
        Layer::default().file("bin/.wh.su", ""),
        Layer::default().file(".wh.bin", ""),
        Layer::default().file("bin/.wh..wh..opq", ""),
        Layer::default().mode("bin/su", 0o755),
        Layer::default().directory("bin/su/", 0o755),
        Layer::default().symlink("bin/su", "busybox"),
        Layer::default().file("x", "").hardlink("bin/su", "x"),
    ] {
        let layers = [lower(Layer::default()), gone.clone().end(), upper.end()];
        let place = Place::new();
        assert_eq!(place.unpack(&layers).unwrap().refused(), []);
    }
    // It comes again, or stays under another name.
    for (layers, left) in [
        (
            vec![
                Layer::default().mode("bin/su", 0o755).end(),
                Layer::default().mode("bin/su", 0o2755).end(),
            ],
            "bin/su",
        ),
        (
            vec![
                Layer::default()
                    .mode("su", 0o4755)
                    .hardlink("x", "su")
                    .end(),
                Layer::default().file(".wh.su", "").end(),
            ],
            "x",
        ),
        (
            vec![
                Layer::default().mode("su", 0o4755).end(),
                Layer::default()
                    .hardlink("x", "su")
                    .file(".wh.su", "")
                    .end(),
            ],
            "x",
        ),
    ] {
        let unpacker = Place::new().unpack(&layers).unwrap();
        assert_eq!(unpacker.refused(), [(left.into(), Special::SetId)]);
    }
}

#[test]
fn attributes_that_are_dropped_are_reported_of_the_result() {
    let capability = ("SCHILY.xattr.security.capability", "x\n");
    let layers = [
        Layer::default()
            .records(&[capability, ("LIBARCHIVE.xattr.user.a", "eA==")])
            .mode("bin/ping", 0o755)
            .hardlink("bin/ping6", "bin/ping")
            .records(&[capability])
            .mode("gone", 0o755)
            .records(&[("SCHILY.acl.access", "x")])
            .directory("d/", 0o755)
            .records(&[("comment", "x")])
            .file("plain", "")
            .end(),
        Layer::default().file(".wh.gone", "").end(),
    ];
    let place = Place::new();
    let (_, (dropped, more)) = place.unpack(&layers).unwrap().complete();
    let dropped: Vec<_> = dropped
        .iter()
        .map(|one| (one.path.as_str(), one.attributes.as_str()))
        .collect();
    let both = "security.capability, user.a";
    let expected = [
        ("bin/ping", both),
        ("bin/ping6", both),
        ("d", "system.posix_acl_access"),
    ];
    assert_eq!((dropped.as_slice(), more), (&expected[..], 0));

    let many = (0..TOLD + 7).fold(Layer::default(), |layer, number| {
        layer
            .records(&[capability])
            .mode(&number.to_string(), 0o755)
    });
    let unpacker = Place::new().unpack(&[many.end()]).unwrap();
    let (_, (dropped, more)) = unpacker.complete();
    assert_eq!((dropped.len(), more), (TOLD, 7));
}

#[test]
fn whiteouts_remove_what_is_below_and_nothing_of_their_own_layer() {
    let place = Place::new();
    let lower = Layer::default()
        .file("a", "lower")
        .file("d/x", "lower")
        .file("d/sub/y", "lower")
        .file("kept/z", "lower")
        .file("own", "lower")
        .file("opaque/old", "lower")
        .file("opaque/both/old", "lower")
        .file("renamed", "lower")
        .end();
    let upper = Layer::default()
        .file("own", "upper")
        .file("opaque/new", "upper")
        .file("opaque/both/new", "upper")
        .hardlink("new-name", "renamed")
        .file(".wh.a", "")
        .file(".wh.d", "")
        .file(".wh.own", "")
        .file(".wh.renamed", "")
        .file("kept/.wh.missing", "")
        .file("missing/.wh.x", "")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/last", "upper")
        .file(".wh..wh.plnk", "")
        .end();
    place.unpack(&[lower, upper]).unwrap();
    assert_eq!(
        place.tree(),
        [
            "kept/ 755",
            "kept/z 644 lower",
            "new-name 644 lower",
            "opaque/ 755",
            "opaque/both/ 755",
            "opaque/both/new 644 upper",
            "opaque/last 644 upper",
            "opaque/new 644 upper",
            "own 644 upper",
        ]
    );
}

#[test]
fn a_directory_that_we_may_not_write_into_is_written_into_by_later_layers() {
    let place = Place::new();
    let layers = [
        Layer::default()
            .directory("d", 0o555)
            .file("d/a", "a")
            .directory("none", 0o000)
            .directory("none/below", 0o500)
            .directory("gone", 0o111)
            .end(),
        Layer::default()
            .file("d/b", "b")
            .file(".wh.gone", "")
            .file("gone/c", "c")
            .end(),
    ];
    place.unpack(&layers).unwrap().complete().0.apply().unwrap();
    // So that this user can look into it, too.
    let none = place.inside().join("none");
    assert_eq!(none.metadata().unwrap().mode() & 0o7777, 0);
    fs::set_permissions(&none, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(
        place.tree(),
        [
            "d/ 555",
            "d/a 644 a",
            "d/b 644 b",
            "gone/ 755",
            "gone/c 644 c",
            "none/ 700",
            "none/below/ 500",
        ]
    );
    for name in ["d", "none/below"] {
        let path = place.inside().join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn compression_is_told_by_its_first_bytes() {
    let plain = Layer::default().file("a", "content").end();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(&*plain, 1).unwrap();
    for layer in [&plain, &gzip, &zstd] {
        let place = Place::new();
        let mut unpacker = Unpacker::new(&place.inside()).unwrap();
        unpacker.apply(decompress(&**layer).unwrap()).unwrap();
        assert_eq!(place.tree(), ["a 644 content"]);
    }
    // A checksum that is wrong, at the very end.
    for (mut layer, at) in [(gzip.clone(), 6), (gzip[..gzip.len() - 4].to_vec(), 0)] {
        if at > 0 {
            let index = layer.len() - at;
            layer[index] ^= 1;
        }
        let place = Place::new();
        let mut unpacker = Unpacker::new(&place.inside()).unwrap();
        let error = unpacker.apply(decompress(&*layer).unwrap()).unwrap_err();
        assert_eq!(error.kind, Kind::Corrupt, "{error}");
    }
}

#[test]
fn a_name_that_is_not_utf8_is_unpacked_as_it_is() {
    let place = Place::new();
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..3].copy_from_slice(b"\xff\x01z");
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(0);
    header.set_cksum();
    place.unpack(&[header.as_bytes().to_vec()]).unwrap();
    let name = fs::read_dir(place.inside())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .file_name();
    assert_eq!(name.as_bytes(), b"\xff\x01z");
}
