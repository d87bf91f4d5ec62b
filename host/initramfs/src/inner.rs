//! The image inside an image: the squash modules of dracut put nearly all of an initramfs into
//! a file system image. What is left outside mounts it, with an overlay above, and switches to
//! it; so what boots the machine, and what is planned, is the image inside.

pub(crate) mod child;
mod convert;
mod erofs;
mod evidence;
mod inode;
mod sparse;
mod squashfs;
pub(crate) mod volume;

use std::fs::File;
use std::path::Path;

use switch_root_core::error::{Error, Result};

use convert::{Format, Others, Request};

use crate::archive::Member;
use crate::tree::{Limits, Stored, Tree, Wanted};

pub use child::{Ended, take};
pub use evidence::{Found, Undecided};
pub use volume::Unread;

/// Where it is, by its file system: as dracut has it since 103, and before.
pub const PLACES: [&str; 3] = ["/squashfs-root.img", "/squash-root.img", EROFS];

/// The one of erofs.
const EROFS: &str = "/erofs-root.img";

/// Whether a member of an archive may be at one of the places, by its name: not all links on the
/// way there are known while an archive is read.
pub fn may_be(member: &Member) -> bool {
    let name = member.path().rsplit(|byte| *byte == b'/').next();
    let mut names = PLACES.into_iter().map(|path| &path.as_bytes()[1..]);
    names.any(|of_place| name == Some(of_place))
}

/// Finds the image inside an image, if the image boots from it or may.
pub fn find(tree: &Tree) -> Option<Found> {
    evidence::find(tree, &PLACES)
}

/// The same, of an image that is not in memory.
///
/// # Errors
/// See [`Tree::read`].
pub fn find_in(image: &Path) -> Result<Option<Found>> {
    let (tree, _) = Tree::read_wanted(image, &Limits::default(), &Wanted::of_boot_programs())?;
    Ok(find(&tree))
}

/// Reads the image inside an image, which is stored as it says and has `size` bytes; `around` is
/// the file of the image around it.
///
/// # Errors
/// Why it is not read: what follows its path and a colon.
pub fn read(
    path: &str,
    stored: Option<&Stored>,
    size: u64,
    around: &Path,
    limits: &Limits,
    wanted: &Wanted,
) -> Result<Tree> {
    let failed = |error| Error::input(Unread::System { error });
    let (file, offset) = match stored {
        Some(Stored::At(offset, _)) => (File::open(around).map_err(failed)?, *offset),
        Some(Stored::File(file)) => (file.try_clone().map_err(failed)?, 0),
        _ => return Err(Error::input(Unread::Empty)),
    };
    let request = Request {
        format: match path {
            EROFS => Format::Erofs,
            _ => Format::Squashfs,
        },
        offset,
        size,
        limits: *limits,
        wanted: wanted.clone(),
        others: Others::Zeros,
    };
    unpacked(file, &request)
}

/// Reads what an image of squashfs holds that begins at an offset of a file; files that are not
/// wanted are empty.
///
/// # Errors
/// Why it is not read.
pub(crate) fn names(file: File, offset: u64, wanted: Wanted) -> Result<Tree> {
    let request = Request {
        format: Format::Squashfs,
        offset,
        size: u64::MAX,
        limits: Limits::default(),
        wanted,
        others: Others::Empty,
    };
    unpacked(file, &request)
}

fn unpacked(file: File, request: &Request) -> Result<Tree> {
    let archive = child::archive(file, request)?;
    Tree::of_archive(&archive, &request.limits.for_archive(), &request.wanted)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use switch_root_core::file_kind::FileKind;

    use super::*;

    const IMAGES: [(&str, &[u8]); 3] = [
        (
            EROFS,
            include_bytes!("../../../tests/fuzz/corpus/inner_image/erofs"),
        ),
        (
            EROFS,
            include_bytes!("../../../tests/fuzz/corpus/inner_image/erofs-lz4"),
        ),
        (
            PLACES[0],
            include_bytes!("../../../tests/fuzz/corpus/inner_image/squashfs"),
        ),
    ];

    fn read_bytes(path: &str, bytes: &[u8]) -> Result<Tree> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let stored = Stored::File(file);
        let wanted = Wanted::of_plan().with_digests();
        let limits = Limits {
            entries: 100,
            bytes: 1 << 20,
        };
        let size = bytes.len() as u64;
        read(path, Some(&stored), size, Path::new("/"), &limits, &wanted)
    }

    #[test]
    fn links_devices_and_contents_are_read() {
        for (path, bytes) in IMAGES {
            let tree = read_bytes(path, bytes).unwrap();
            assert_eq!(tree.contents(b"/etc/os-release").unwrap(), b"ID=a\n");
            let link = tree.find(b"/link").unwrap();
            assert_eq!(tree.node(link).target(), b"etc/os-release");
            let program = tree.find(b"/etc/d/program").unwrap();
            assert_eq!(tree.node(program).size, 6000);
            assert!(tree.digest(program).is_some());
        }
    }

    const WITH_LINKS: [(&str, &[u8]); 2] = [
        (
            EROFS,
            include_bytes!("../../../tests/fuzz/corpus/inner_image/erofs-links-and-owners"),
        ),
        (
            PLACES[0],
            include_bytes!("../../../tests/fuzz/corpus/inner_image/squashfs-links-and-owners"),
        ),
    ];

    #[test]
    fn owners_modes_and_kinds_of_files_are_those_of_the_image() {
        for (path, bytes) in WITH_LINKS {
            let tree = read_bytes(path, bytes).unwrap();
            assert!(tree.warnings().is_empty(), "{:?}", tree.warnings());
            let at = |path: &str| tree.node(tree.find(path.as_bytes()).unwrap());
            let file = at("/d/second");
            assert_eq!((file.uid, file.gid, file.mode), (1000, 1001, 0o640));
            let fifo = at("/f");
            assert_eq!(
                (fifo.kind, fifo.uid, fifo.gid),
                (FileKind::Fifo, 70000, 5),
                "{path}"
            );
            assert_eq!(at("/s").kind, FileKind::Socket);
            let device = at("/n");
            assert_eq!(
                (device.kind, device.rdev),
                (FileKind::CharacterDevice, (1, 3))
            );
            let device = at("/b");
            assert_eq!(
                (device.kind, device.rdev),
                (FileKind::BlockDevice, (259, 70000))
            );
        }
    }

    #[test]
    fn a_file_of_several_names_counts_once() {
        for (path, bytes) in WITH_LINKS {
            let tree = read_bytes(path, bytes).unwrap();
            let ids =
                ["/d/first", "/d/second", "/third"].map(|path| tree.find(path.as_bytes()).unwrap());
            assert!(ids.iter().all(|id| *id == ids[0]), "{path}: {ids:?}");
            let node = tree.node(ids[0]);
            assert_eq!((node.nlink, node.size), (3, 4), "{path}");
            // The link has 7 bytes.
            assert_eq!(tree.sum(crate::tree::Id::ROOT).bytes, 4 + 7, "{path}");
        }
    }

    #[test]
    fn a_directory_inside_itself_is_damage() {
        let bytes =
            include_bytes!("../../../tests/fuzz/corpus/inner_image/erofs-directory-in-itself");
        let error = read_bytes(EROFS, bytes).unwrap_err().to_string();
        let expected = "the directory a/b has another path as well; the image is damaged";
        assert_eq!(error, expected);
    }

    #[test]
    fn contents_that_nobody_asks_for_are_zeros() {
        let (path, bytes) = IMAGES[2];
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let request = |wanted, others| Request {
            format: Format::Squashfs,
            offset: 0,
            size: bytes.len() as u64,
            limits: Limits::default(),
            wanted,
            others,
        };
        let program = b"/etc/d/program";
        let all = read_bytes(path, bytes).unwrap();
        let wanted = || Wanted::default().file("/link", crate::tree::Want::Whole(100));
        for (others, size) in [(Others::Zeros, 6000), (Others::Empty, 0)] {
            let archive =
                child::archive(file.try_clone().unwrap(), &request(wanted(), others)).unwrap();
            let digests = wanted().with_digests();
            let tree = Tree::of_archive(&archive, &Limits::default(), &digests).unwrap();
            assert_eq!(tree.contents(b"/link").unwrap(), b"ID=a\n");
            let id = tree.find(program).unwrap();
            assert_eq!(tree.node(id).size, size);
            let real = all.find(program).unwrap();
            assert_ne!(tree.digest(id), all.digest(real));
        }
    }

    #[test]
    fn whatever_byte_is_damaged_the_reading_ends() {
        for (path, bytes) in IMAGES {
            for position in 0..bytes.len() {
                // Of data, which is most of it, some will do.
                if position % if position < 2048 { 3 } else { 61 } != 0 {
                    continue;
                }
                for value in [0, 0x7f, 0xff] {
                    let mut damaged = bytes.to_vec();
                    damaged[position] = value;
                    drop(read_bytes(path, &damaged));
                }
            }
            for length in (0..bytes.len()).step_by(97) {
                drop(read_bytes(path, &bytes[..length]));
            }
        }
    }
}
