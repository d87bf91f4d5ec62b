//! The image inside an image: the squash modules of dracut put nearly all of an initramfs into
//! a file system image. What is left outside mounts it, with an overlay above, and switches to
//! it; so what boots the machine, and what is planned, is the image inside.

mod erofs;
mod evidence;
mod squashfs;
mod volume;

use std::fs::File;
use std::path::Path;

use switch_root_core::error::{Error, Result};

use crate::archive::Member;
use crate::tree::{Limits, Stored, Tree, Wanted};

pub use evidence::{Found, Undecided};
pub use volume::{Doubt, Unread};
pub(crate) use volume::{Entry, Volume};

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
    let volume: std::result::Result<Box<dyn Volume>, Unread> = match path {
        EROFS => erofs::Erofs::open(file, offset, size).map(|image| Box::new(image) as _),
        _ => squashfs::Squashfs::open(file, offset).map(|image| Box::new(image) as _),
    };
    Tree::of_volume(&mut *volume.map_err(Error::input)?, limits, wanted)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

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
