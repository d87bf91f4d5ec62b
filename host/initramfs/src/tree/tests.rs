use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::archive::{Member, Writer};
use crate::compression::{Compression, encoder};

use switch_root_core::error::Result;
use switch_root_core::{escape, outcome};

use super::*;
use crate::image::Image;

/// The members of an archive; contents of files, targets of links.
struct Archive(Writer<Vec<u8>>);

impl Archive {
    fn new() -> Self {
        Self(Writer::new(Vec::new()))
    }

    fn member(mut self, name: &str, mode: u32, contents: &str, edit: impl Fn(&mut Member)) -> Self {
        let mut member = Member {
            name: name.into(),
            mode,
            nlink: 1,
            size: contents.len() as u32,
            ..Member::default()
        };
        edit(&mut member);
        self.0
            .member(&member, &mut contents.as_bytes(), &mut |_| {})
            .unwrap();
        self
    }

    fn file(self, name: &str, contents: &str) -> Self {
        self.member(name, libc::S_IFREG | 0o644, contents, |_| {})
    }

    fn directory(self, name: &str) -> Self {
        self.member(name, libc::S_IFDIR | 0o755, "", |_| {})
    }

    fn symlink(self, name: &str, target: &str) -> Self {
        self.member(name, libc::S_IFLNK | 0o777, target, |_| {})
    }

    fn hard(self, name: &str, ino: u32, contents: &str) -> Self {
        self.member(name, libc::S_IFREG | 0o644, contents, |member| {
            (member.ino, member.nlink) = (ino, 2);
        })
    }

    fn bytes(self) -> Vec<u8> {
        self.0.finish().unwrap()
    }
}

fn read_bytes(bytes: &[u8], wanted: &Wanted) -> Result<Tree> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    fs::write(&path, bytes).unwrap();
    Tree::read_wanted(&path, &Limits::default(), wanted).map(|(tree, _)| tree)
}

fn read(archive: Archive) -> Tree {
    read_bytes(&archive.bytes(), &Wanted::default()).unwrap()
}

/// What is in a tree, but for what the kernel has put there.
fn show(tree: &Tree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut todo = vec![(Id::ROOT, String::new())];
    while let Some((id, path)) = todo.pop() {
        for (name, id) in tree.children(id) {
            let path = format!("{path}/{}", escape::path(name));
            let node = tree.node(id);
            if !["/dev", "/dev/console", "/root"].contains(&&*path) {
                let target = String::from_utf8_lossy(node.target());
                lines.push(match node.kind {
                    FileKind::Directory => format!("{path}/ {:o}", node.mode),
                    FileKind::Symlink => format!("{path} -> {target}"),
                    FileKind::Regular => format!("{path} {:o} {}", node.mode, node.size),
                    kind => format!("{path} {kind:?} {:?}", node.rdev),
                });
            }
            todo.push((id, path));
        }
    }
    lines.sort();
    lines
}

#[test]
fn a_kernel_begins_with_a_console() {
    let tree = read(Archive::new().file("dev/x", "1").file("a", "22"));
    assert_eq!(show(&tree), ["/a 644 2", "/dev/x 644 1"]);
    let console = tree.node(tree.find(b"/dev/console").unwrap());
    assert_eq!(
        (console.kind, console.rdev, console.mode),
        (FileKind::CharacterDevice, (5, 1), 0o600)
    );
    assert!(tree.warnings().is_empty());
}

#[test]
fn what_has_no_directory_is_passed_over() {
    let tree = read(
        Archive::new()
            .file("a/b", "1")
            .directory("c/d")
            .file("f", "")
            .file("f/g", "")
            .directory("e/")
            .file("kernel/x86/microcode/GenuineIntel.bin", "x")
            .file("e/f", "1"),
    );
    assert_eq!(show(&tree), ["/e/ 755", "/e/f 644 1", "/f 644 0"]);
    assert_eq!(
        outcome::split(&tree.warnings()).0,
        [
            "the kernel passes over `a/b`: a directory above it is missing",
            "the kernel passes over `c/d`: a directory above it is missing",
            "the kernel passes over `f/g`: something above it is not a directory",
        ]
    );
}

#[test]
fn nothing_leads_out_of_the_tree() {
    let tree = read(
        Archive::new()
            .directory("a")
            .symlink("up", "../../..")
            .symlink("a/back", "/a/../up/")
            .file("../../x", "1")
            .file("up/y", "1")
            .file("/a/back/z", "1")
            .file("./a/./../w", "1")
            .symlink("loop", "loop")
            .file("loop/x", "1"),
    );
    assert_eq!(
        show(&tree),
        [
            "/a/ 755",
            "/a/back -> /a/../up/",
            "/loop -> loop",
            "/up -> ../../..",
            "/w 644 1",
            "/x 644 1",
            "/y 644 1",
            "/z 644 1",
        ]
    );
    assert_eq!(tree.warnings().len(), 1);
    assert!(tree.warnings()[0].text.contains("too many symbolic links"));
    assert_eq!(tree.resolve(b"/a/back/w").unwrap().1, b"/w");
    assert_eq!(tree.resolve(b"/..").unwrap().1, b"/");
    assert!(tree.resolve(b"/loop").is_none());
}

#[test]
fn what_comes_later_replaces_what_was_there() {
    let tree = read(
        Archive::new()
            .file("file", "long contents")
            .file("file", "new")
            .directory("empty")
            .file("empty", "1")
            .directory("full")
            .file("full/x", "1")
            .file("full", "1")
            .symlink("full", "elsewhere")
            .symlink("lib", "usr/lib")
            .directory("lib")
            .file("lib/a", "")
            .file("to-link", "1")
            .symlink("to-link", "/nowhere")
            .symlink("link", "file")
            .file("link", "not behind the link")
            .member("full", libc::S_IFDIR | 0o1700, "", |member| member.uid = 7),
    );
    assert_eq!(
        show(&tree),
        [
            "/empty 644 1",
            "/file 644 3",
            "/full/ 1700",
            "/full/x 644 1",
            "/lib/ 755",
            "/lib/a 644 0",
            "/link 644 19",
            "/to-link -> /nowhere",
        ]
    );
    assert_eq!(tree.node(tree.find(b"/full").unwrap()).uid, 7);
    assert_eq!(tree.warnings().len(), 2);
}

#[test]
fn hard_links_share_contents_within_one_archive() {
    let first = Archive::new()
        .hard("a", 1, "")
        .hard("b", 1, "")
        .hard("c", 1, "contents")
        .hard("x", 2, "first")
        .hard("y", 2, "")
        .file("y2", "")
        .bytes();
    let second = Archive::new().hard("d", 1, "other").bytes();
    let mut both = first;
    both.resize(both.len().next_multiple_of(4), 0);
    both.extend(second);
    let tree = read_bytes(&both, &Wanted::default().with_digests()).unwrap();
    let id = |path: &str| tree.find(path.as_bytes()).unwrap();
    assert_eq!(id("/a"), id("/c"));
    assert_eq!(id("/a"), id("/b"));
    assert_eq!(tree.node(id("/a")).nlink, 3);
    assert_eq!(tree.node(id("/a")).size, 8);
    assert_eq!(tree.node(id("/y")).size, 5);
    assert_ne!(id("/a"), id("/d"));
    assert_eq!(tree.node(id("/d")).nlink, 1);
    // Each counted once: 8 + 5 + 0 + 5; and two directories, a device, the root.
    assert_eq!(
        tree.sum(Id::ROOT),
        Sum {
            files: 8,
            directories: 3,
            bytes: 18
        }
    );
    use sha2::Digest;
    let digest: [u8; 32] = sha2::Sha256::digest(b"contents").into();
    assert_eq!(tree.digest(id("/b")), Some(&digest));
}

#[test]
fn numbers_of_hard_links_count_up_to_a_trailer() {
    let first = Archive::new().hard("a", 1, "first").bytes();
    let second = Archive::new().hard("b", 1, "").bytes();
    let without = &first[..first.len() - 124];
    let gzip = |bytes: &[u8]| {
        let mut compressed = Vec::new();
        let mut encoder = encoder(Compression::Gzip(1), 1, &mut compressed).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap();
        compressed
    };
    let file = tempfile::NamedTempFile::new().unwrap();
    for (image, linked, doubted) in [
        ([without, &second].concat(), true, false),
        ([&gzip(without)[..], &gzip(&second)].concat(), true, false),
        ([&first[..], &second].concat(), false, false),
        (without.to_vec(), false, true),
    ] {
        std::fs::write(&file, &image).unwrap();
        let image = Image::read(file.path(), &Limits::default(), &Wanted::default()).unwrap();
        let b = image.tree.find(b"/b");
        assert_eq!(b.is_some() && b == image.tree.find(b"/a"), linked);
        assert_eq!(image.cut_off().is_some(), doubted);
    }
}

#[test]
fn a_file_that_is_linked_to_itself_is_lost() {
    let tree = read(Archive::new().hard("a", 1, "1").hard("a", 1, "2"));
    assert_eq!(show(&tree), [""; 0]);
    assert_eq!(tree.warnings().len(), 1);
}

#[test]
fn truncating_one_name_truncates_the_others() {
    let tree = read(
        Archive::new()
            .hard("a", 1, "contents")
            .hard("b", 1, "")
            .file("a", "new"),
    );
    assert_eq!(show(&tree), ["/a 644 3", "/b 644 3"]);
}

#[test]
fn devices_keep_the_number_that_they_had() {
    let device = |archive: Archive, minor| {
        archive.member("null", libc::S_IFCHR | 0o600, "", move |member| {
            member.rdev = (1, minor);
        })
    };
    let tree = read(device(device(Archive::new(), 3), 5));
    assert_eq!(show(&tree), ["/null CharacterDevice (1, 3)"]);
    assert_eq!(tree.warnings().len(), 1);
    let tree = read(
        Archive::new()
            .file("odd", "1")
            .member("odd", 0o644, "", |_| {})
            .member("directory", libc::S_IFDIR, "contents", |_| {})
            .member("fifo", libc::S_IFIFO | 0o600, "", |m| m.rdev = (1, 1))
            .member("", libc::S_IFREG, "", |_| {})
            .member(&"n".repeat(256), libc::S_IFREG, "", |_| {})
            .file("slash/", "1"),
    );
    assert_eq!(show(&tree), ["/fifo Fifo (0, 0)"]);
    assert_eq!(tree.warnings().len(), 5, "{:?}", tree.warnings());
}

#[test]
fn contents_are_found_over_links() {
    let archive = || {
        Archive::new()
            .directory("etc")
            .directory("data")
            .symlink("etc/folder", "../data")
            .file("data/a", "first")
            .file("data/a", "of a")
            .symlink("data/b", "/other")
            .file("other", "of b")
            .file("etc/large", "too large")
            .hard("first", 1, "of first")
            .hard("etc/second", 1, "")
            .file("etc/image", "of image")
    };
    let wanted = Wanted::default()
        .folder("/etc/folder", Want::Whole(100))
        .file("/etc/large", Want::Whole(8))
        .file("/etc/second", Want::Head(4))
        .file("/etc/image", Want::Place);
    let plain = archive().bytes();
    let mut gzip = Vec::new();
    let mut encoder = encoder(Compression::Gzip(1), 1, &mut gzip).unwrap();
    encoder.write_all(&plain).unwrap();
    encoder.finish().unwrap();
    for bytes in [&plain, &gzip] {
        let tree = read_bytes(bytes, &wanted).unwrap();
        assert_eq!(tree.contents(b"/etc/folder/a"), Ok(&b"of a"[..]));
        assert_eq!(tree.contents(b"/etc/folder/b"), Ok(&b"of b"[..]));
        assert_eq!(
            tree.contents(b"/etc/large").unwrap_err().text,
            "is 9 bytes large; at most 8 are read"
        );
        let second = tree.find(b"/etc/second").unwrap();
        assert!(matches!(tree.stored(second), Some(Stored::Head(head)) if head == b"of f"));
        let image = tree.stored(tree.find(b"/etc/image").unwrap()).unwrap();
        match image {
            Stored::At(offset, 8) => assert_eq!(&bytes[*offset as usize..][..8], b"of image"),
            Stored::File(file) => {
                let mut text = String::new();
                let mut file = file;
                std::io::Read::read_to_string(&mut file, &mut text).unwrap();
                assert_eq!(text, "of image");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_folder_is_like_the_image_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let at = |path: &str| folder.path().join(path);
    fs::create_dir_all(at("usr/lib/switch-root")).unwrap();
    fs::create_dir(at("policies")).unwrap();
    symlink("../../../policies", at("usr/lib/switch-root/policies.d")).unwrap();
    fs::write(at("policies/10-a.wasm"), "code").unwrap();
    fs::write(at("rootfs.sqsh"), "image").unwrap();
    fs::hard_link(at("rootfs.sqsh"), at("other")).unwrap();
    symlink("/etc/passwd", at("link")).unwrap();
    fs::set_permissions(at("other"), fs::Permissions::from_mode(0o600)).unwrap();
    nix_fifo(&at("fifo"));
    let tree = Tree::of_folder(folder.path(), &Limits::default()).unwrap();
    assert_eq!(
        show(&tree),
        [
            "/fifo Fifo (0, 0)",
            "/link -> /etc/passwd",
            "/other 600 5",
            "/policies/ 755",
            "/policies/10-a.wasm 644 4",
            "/rootfs.sqsh 600 5",
            "/usr/ 755",
            "/usr/lib/ 755",
            "/usr/lib/switch-root/ 755",
            "/usr/lib/switch-root/policies.d -> ../../../policies",
        ]
    );
    assert_eq!(tree.find(b"/other"), tree.find(b"/rootfs.sqsh"));
    let policy = b"/usr/lib/switch-root/policies.d/10-a.wasm";
    assert_eq!(tree.contents(policy), Ok(&b"code"[..]));
    let image = tree.find(b"/rootfs.sqsh").unwrap();
    assert!(matches!(tree.stored(image), Some(Stored::File(_))));
    let few = Limits {
        entries: 3,
        ..Limits::default()
    };
    let error = Tree::of_folder(folder.path(), &few).unwrap_err();
    assert!(error.to_string().contains("--max-entries allows more"));
}

fn nix_fifo(path: &std::path::Path) {
    rustix::fs::mknodat(
        rustix::fs::CWD,
        path,
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
}

#[test]
fn limits_are_named_with_their_options() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    let archive = Archive::new().file("a", "12345").file("b", "12345");
    fs::write(&path, archive.bytes()).unwrap();
    let read = |entries, bytes| Tree::read(&path, &Limits { entries, bytes });
    assert!(read(2, 1000).is_ok());
    let error = read(1, 1000).unwrap_err().to_string();
    assert!(error.contains("more than 1 members; --max-entries allows more"));
    let error = read(2, 200).unwrap_err().to_string();
    assert!(error.contains("more than 200 bytes"), "{error}");
    assert!(error.contains("--max-bytes allows more"), "{error}");
}

#[test]
fn a_tree_is_made_by_hand() {
    let mut tree = Tree::new();
    tree.insert_file(b"/etc/conf/a", 0o600, b"contents")
        .unwrap();
    tree.insert(b"/etc", Node::directory(0o700).owned_by(1, 2))
        .unwrap();
    tree.insert(b"/etc/link", Node::symlink(b"conf/a")).unwrap();
    tree.insert(b"/", Node::directory(0o555)).unwrap();
    assert_eq!(tree.contents(b"/etc/link"), Ok(&b"contents"[..]));
    let entries = tree.list(b"/etc").unwrap();
    let names: Vec<_> = entries
        .iter()
        .map(|entry| (&entry.name[..], entry.kind, entry.size))
        .collect();
    assert_eq!(
        names,
        [
            (&b"conf"[..], FileKind::Directory, 0),
            (b"link", FileKind::Symlink, 6)
        ]
    );
    assert_eq!(tree.list(b"/").unwrap().len(), 1);
    assert!(tree.list(b"/etc/link").is_err());
    for bad in [
        &b"etc"[..],
        b"/etc//x",
        b"/a/../b",
        b"/etc/conf/a/b",
        b"/etc/link",
        b"/x\0",
    ] {
        assert!(tree.insert(bad, Node::file(0o644, 0)).is_err(), "{bad:?}");
    }
}

#[test]
fn an_abyss_is_refused() {
    let mut archive = Archive::new();
    for depth in 1..=DEPTH + 1 {
        archive = archive.directory(&"d/".repeat(depth as usize));
    }
    let error = read_bytes(&archive.bytes(), &Wanted::default()).unwrap_err();
    assert!(
        error.to_string().contains("more than 1000 directories"),
        "{error}"
    );
}
