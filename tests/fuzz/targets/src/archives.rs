//! Archives: initramfs images and layers of extensions, and what they are compressed with.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufReader, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use extension::contents;
use initramfs::archive::{Member, Reader, Writer};
use initramfs::kept::Kept;
use initramfs::tree::{Id, Limits, Tree};
use initramfs::{machine, segments};
use oci::unpack::{Unpacker, decompress};
use preview::rehearsal::unpack;
use switch_root_core::error::Error;
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;

use crate::{Target, file};

/// An initramfs: two readers of it, and a copy on disk, are compared.
// Decompressors have windows; what is unpacked is small.
pub const INITRAMFS: Target = Target::new("initramfs", initramfs).with_memory(128);
/// A layer of an extension's image, as a tar archive.
pub const LAYER: Target = Target::new("layer", layer);
/// A layer, however it is compressed.
pub const COMPRESSED: Target = Target::new("compressed", compressed).with_memory(32);

/// Members, and decompressed bytes, of the images that are looked into further.
const MEMBERS: u64 = 200;
const BYTES: u64 = 1 << 20;

fn initramfs(data: &[u8]) {
    let (file, path) = file(data);
    let mut members = Vec::new();
    let limits = segments::Limits::new(MEMBERS, BYTES);
    let scanned = segments::scan_within(&path, &limits, &mut |_, member, contents| {
        let mut bytes = Vec::new();
        contents
            .read_to_end(&mut bytes)
            .map_err(|error| Error::of_copy(Message::quoted("cannot read it"), &error))?;
        assert_eq!(bytes.len(), member.size as usize);
        members.push((member.clone(), bytes));
        Ok(())
    });
    let limits = Limits {
        entries: MEMBERS,
        bytes: BYTES,
    };
    let read = Tree::read(&path, &limits);
    let Ok(parts) = scanned else {
        // One that leaves contents unread may find less of what is wrong, never more.
        return;
    };
    let count: u64 = parts.iter().map(|part| part.members).sum();
    assert_eq!(count, members.len() as u64);
    write_again(&members);
    let (tree, also_parts) = match read {
        Ok(read) => read,
        // What is wanted of an image may be larger than what is kept.
        Err(_) => return,
    };
    assert_eq!(parts, also_parts);
    let planned = nodes_of_tree(&tree);
    let folder = tempfile::tempdir().expect("a folder for what is unpacked");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("the root is made");
    // The kernel makes links to nothing at boot, and no system call does.
    let to_nothing = |node: &Node| node.kind == FileKind::Symlink && node.target.is_empty();
    let made = unpack_into(file, &root);
    if made && !planned.values().any(to_nothing) {
        let unpacked = nodes_of_folder(&root);
        assert_eq!(planned, unpacked, "left: in memory; right: on disk");
        assert_alone(folder.path());
    }
    examined(&path);
}

/// Writes members to an archive, and reads them back.
fn write_again(members: &[(Member, Vec<u8>)]) {
    let mut writer = Writer::new(Vec::new());
    for (member, bytes) in members {
        // An archive ends with the first one of this name.
        if member.name == b"TRAILER!!!" {
            return;
        }
        if writer
            .member(member, &mut bytes.as_slice(), &mut |_| {})
            .is_err()
        {
            return;
        }
    }
    let archive = writer.finish().expect("it is written");
    let mut reader = Reader::new(archive.as_slice(), 0, "of the archive");
    for (member, bytes) in members {
        let again = reader.next().expect("it is read").expect("it is there");
        assert_eq!(again, *member);
        let mut contents = Vec::new();
        reader.read_to_end(&mut contents).expect("it is read");
        assert_eq!(contents, *bytes);
    }
    assert_eq!(reader.next().expect("it is read"), None);
}

/// What stands at a path.
#[derive(Debug, PartialEq, Eq)]
struct Node {
    kind: FileKind,
    /// Permission bits. Links have none.
    mode: u32,
    /// Of files.
    size: u64,
    /// Of links.
    target: Vec<u8>,
}

fn nodes_of_tree(tree: &Tree) -> BTreeMap<Vec<u8>, Node> {
    let mut nodes = BTreeMap::new();
    let mut to_do = vec![(Vec::new(), Id::ROOT)];
    while let Some((path, id)) = to_do.pop() {
        for (name, id) in tree.children(id) {
            assert!(!name.is_empty() && name != b"." && name != b"..");
            assert!(!name.contains(&b'/') && !name.contains(&0));
            let path = [&path[..], b"/", name].concat();
            let node = tree.node(id);
            let link = node.kind == FileKind::Symlink;
            nodes.insert(
                path.clone(),
                Node {
                    kind: node.kind,
                    mode: if link { 0 } else { node.mode },
                    size: match node.kind {
                        FileKind::Regular => node.size,
                        _ => 0,
                    },
                    target: node.target().to_vec(),
                },
            );
            to_do.push((path, id));
        }
    }
    nodes
}

/// Unpacks an image. Says whether all of it could be made that is made at boot.
fn unpack_into(image: fs::File, root: &Path) -> bool {
    use std::io::Seek;
    let mut image = image;
    image.rewind().expect("it is rewound");
    let root = fs::File::open(root).expect("the root is opened");
    let prepared = unpack::prepare(root.as_fd()).expect("the root is prepared");
    match unpack::unpack(image, "input", root.as_fd(), prepared, BYTES) {
        Ok(done) => done.placeholders.is_empty() && done.foreign == 0,
        Err(_) => false,
    }
}

fn nodes_of_folder(root: &Path) -> BTreeMap<Vec<u8>, Node> {
    let mut nodes = BTreeMap::new();
    let mut to_do = vec![root.to_owned()];
    while let Some(folder) = to_do.pop() {
        for entry in fs::read_dir(&folder).expect("a folder is listed") {
            let path = entry.expect("an entry is read").path();
            let stat = path.symlink_metadata().expect("it is there");
            let kind = match stat.mode() & 0o170_000 {
                0o040_000 => FileKind::Directory,
                0o100_000 => FileKind::Regular,
                0o120_000 => FileKind::Symlink,
                0o060_000 => FileKind::BlockDevice,
                0o020_000 => FileKind::CharacterDevice,
                0o010_000 => FileKind::Fifo,
                _ => FileKind::Socket,
            };
            let link = kind == FileKind::Symlink;
            let target = match link {
                true => fs::read_link(&path).expect("a link is read"),
                false => Default::default(),
            };
            let inside = path.strip_prefix(root).expect("it is below the root");
            nodes.insert(
                [b"/", inside.as_os_str().as_bytes()].concat(),
                Node {
                    kind,
                    mode: if link { 0 } else { stat.mode() & 0o7777 },
                    size: match kind {
                        FileKind::Regular => stat.len(),
                        _ => 0,
                    },
                    target: target.as_os_str().as_bytes().to_vec(),
                },
            );
            if kind == FileKind::Directory {
                to_do.push(path);
            }
        }
    }
    nodes
}

/// Nothing but the folder `root` is in a folder.
fn assert_alone(folder: &Path) {
    let names: Vec<_> = fs::read_dir(folder)
        .expect("a folder is listed")
        .map(|entry| entry.expect("an entry is read").file_name())
        .collect();
    assert_eq!(names, ["root"], "something was made outside");
}

/// What an image is searched for stays in the folder that it is put into.
fn examined(image: &Path) {
    let folder = tempfile::tempdir().expect("a folder for policies");
    let [root, work] = ["root", "work"].map(|name| folder.path().join(name));
    fs::create_dir(&root).expect("the root is made");
    fs::create_dir(&work).expect("the folder is made");
    let _ = machine::examine(image, &mut Kept::new(&root), &work);
    fs::remove_dir(work).expect("nothing is left of what was unpacked meanwhile");
    assert_alone(folder.path());
    for (path, node) in nodes_of_folder(&root) {
        assert!(matches!(node.kind, FileKind::Directory | FileKind::Regular));
        let policies = [&b"/etc"[..], b"/usr"];
        assert!(policies.iter().any(|above| path.starts_with(above)));
    }
}

fn layer(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder for what is unpacked");
    let root = folder.path().join("root");
    fs::create_dir(&root).expect("the root is made");
    let mut unpacker = Unpacker::new(&root).expect("the root is opened");
    let whole = unpacker.apply(data).is_ok();
    if whole {
        unpacker.complete().0.apply().expect("modes are set");
        let _ = contents::scan(&root);
    }
    let nodes = nodes_of_folder(&root);
    let bytes: u64 = nodes.values().map(|node| node.size).sum();
    let names = nodes.len().max(1) as u64;
    // A hard link counts for each of its names.
    assert!(bytes <= data.len() as u64 * names, "{bytes} bytes");
    for (path, node) in &nodes {
        let plain = [FileKind::Directory, FileKind::Regular, FileKind::Symlink];
        assert!(plain.contains(&node.kind), "{path:?}: {node:?}");
        assert!(node.kind == FileKind::Directory || node.mode & 0o6000 == 0);
    }
    assert_alone(folder.path());
}

fn compressed(data: &[u8]) {
    let Ok(reader) = decompress(BufReader::new(data)) else {
        return;
    };
    // As much as there is, or as much as is enough.
    let _ = std::io::copy(&mut reader.take(16 << 20), &mut std::io::sink());
}
