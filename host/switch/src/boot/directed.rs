//! Attributes that direct overlayfs. No layer may have any: a redirect leads from a
//! directory of any name to those of the root image.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{self, AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;
use switch_root_core::outcome::Message;
use switch_root_core::path::Path;
use switch_root_core::path::join;

use super::attributes::OVERLAY;
use crate::listing::open;
use crate::mount_calls::LARGEST_ATTRIBUTE;

switch_root_core::outcomes! {
    /// What is wrong with a layer: what follows its name in a sentence.
    #[derive(PartialEq, Eq)]
    pub enum Directed in "layers" {
        /// An extended attribute `trusted.overlay.*`: an opaque directory, a redirect, or the like.
        /// The layer was packed from the upper directory of an overlay: pack the files alone
        /// (`mksquashfs -no-xattrs`).
        "SR-L10" Attribute { name: String, path: Path } = "has the overlayfs attribute {name} on {path}, which can hide or replace what the root image has; repack it without",
        /// Pack the layer without extended attributes as squashfs, which needs no search.
        "SR-L11" Entries { limit: usize } = "has more than {limit} entries, too many to be searched for attributes of overlayfs",
        "SR-L12" Paths = "has paths of more than {LONGEST} bytes, or {PENDING} bytes of them at once, too many to be searched for attributes of overlayfs",
    }
}

switch_root_core::outcomes! {
    /// That a layer cannot be searched: what follows its name in a sentence.
    pub enum Unsearched in "layers" {
        /// The image is damaged.
        "SR-L13" Because { error: io::Error } = "failed to be searched for attributes of overlayfs: {error}",
    }
}

/// Entries of a layer whose extended attributes are examined: few enough to be read
/// while a machine starts.
const ENTRIES: usize = 1_000_000;

/// How long their paths may be, and those together that are still to be looked at, in
/// bytes: no program could name longer ones, and all of that is in memory.
const LONGEST: usize = 4096;
const PENDING: usize = 16 << 20;

/// The magic number of squashfs (`linux/magic.h`).
const SQUASHFS: i64 = 0x7371_7368;

/// Examines a whole layer.
///
/// # Errors
/// What follows the layer's name in a sentence.
pub fn check(layer: BorrowedFd<'_>) -> Result<(), Message> {
    match search(layer, ENTRIES) {
        Ok(None) => Ok(()),
        Ok(Some(wrong)) => Err(wrong.into()),
        Err(error) => Err(Unsearched::Because { error }.into()),
    }
}

/// Searches a layer of at most `limit` entries. Gives back what is wrong.
fn search(layer: BorrowedFd<'_>, limit: usize) -> io::Result<Option<Directed>> {
    // A squashfs image without any attribute, such as srctl makes, says so. In erofs that is
    // the answer for one directory.
    let none = fs::flistxattr(layer, &mut [0; 0][..]) == Err(Errno::OPNOTSUPP);
    if none && fs::fstatfs(layer)?.f_type == SQUASHFS {
        return Ok(None);
    }
    let mut names = vec![0; LARGEST_ATTRIBUTE];
    let mut to_do = vec![b"/".to_vec()];
    let (mut done, mut pending) = (0, b"/".len());
    while let Some(path) = to_do.pop() {
        pending -= path.len();
        let directory = open(layer, &path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let length = fs::flistxattr(&directory, names.as_mut_slice());
        if let Some(name) = directs(&names, length)? {
            let path = path.into();
            return Ok(Some(Directed::Attribute { name, path }));
        }
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            done += 1;
            if done > limit {
                return Ok(Some(Directed::Entries { limit }));
            }
            let here = join(&path, name.to_bytes());
            // Not the kind that the entry tells: the image decides what stands there.
            let stat = fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                pending += here.len();
                if here.len() > LONGEST || pending > PENDING {
                    return Ok(Some(Directed::Paths));
                }
                to_do.push(here);
                continue;
            }
            // A device or a pipe must not be opened for that, and a place cannot be asked.
            let through = [
                format!("/proc/self/fd/{}/", directory.as_raw_fd()).as_bytes(),
                name.to_bytes(),
            ]
            .concat();
            let length = fs::llistxattr(through, names.as_mut_slice());
            if let Some(name) = directs(&names, length)? {
                let path = here.into();
                return Ok(Some(Directed::Attribute { name, path }));
            }
        }
    }
    Ok(None)
}

/// The first name of a list that directs overlayfs.
fn directs(names: &[u8], length: Result<usize, Errno>) -> io::Result<Option<String>> {
    let length = match length {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    Ok(names[..length]
        .split(|byte| *byte == 0)
        .find(|name| name.starts_with(OVERLAY))
        .map(|name| switch_root_core::escape::message(&String::from_utf8_lossy(name), 256)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, create_dir_all, remove_dir_all, write};
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    /// What is said of a layer of at most so many entries.
    fn said(limit: usize, make: impl Fn(&std::path::Path)) -> Option<String> {
        let layer = std::env::temp_dir().join(format!(
            "switch-root-directed-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let _ = remove_dir_all(&layer);
        create_dir_all(&layer).unwrap();
        make(&layer);
        let said = search(File::open(&layer).unwrap().as_fd(), limit).unwrap();
        remove_dir_all(layer).unwrap();
        said.map(|wrong| wrong.to_string())
    }

    #[test]
    fn overlayfs_attributes_anywhere_in_a_layer_are_a_conflict() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can set trusted attributes");
            return;
        }
        type Make = fn(&std::path::Path);
        let set = fs::XattrFlags::empty();
        let cases: [(&str, &str, Make); 4] = [
            ("opt/new", "trusted.overlay.redirect", |path| {
                create_dir_all(path).unwrap();
            }),
            ("usr/lib", "trusted.overlay.opaque", |path| {
                create_dir_all(path).unwrap();
            }),
            ("usr/lib/file", "trusted.overlay.metacopy", |path| {
                write(path, "").unwrap();
            }),
            ("opt/link", "trusted.overlay.origin", |path| {
                symlink("/none", path).unwrap();
            }),
        ];
        for (place, name, make) in cases {
            let said = said(ENTRIES, |layer| {
                let path = layer.join(place);
                create_dir_all(path.parent().unwrap()).unwrap();
                make(&path);
                fs::lsetxattr(&path, name, b"/etc", set).unwrap();
            });
            let expected = format!("attribute {name} on /{place}, ");
            assert!(said.is_some_and(|reason| reason.contains(&expected)));
        }
        // Overlays with the option userxattr are directed by these, and only they.
        let said = said(ENTRIES, |layer| {
            let path = layer.join("usr/lib/file");
            create_dir_all(path.parent().unwrap()).unwrap();
            write(&path, "").unwrap();
            fs::lsetxattr(&path, "user.overlay.metacopy", b"", set).unwrap();
        });
        assert_eq!(said, None);
    }

    #[test]
    fn layer_whose_paths_are_too_long_is_a_conflict() {
        let nested = |depth: usize| {
            move |layer: &std::path::Path| {
                let mut above: std::os::fd::OwnedFd = File::open(layer).unwrap().into();
                let name = "d".repeat(240);
                for _ in 0..depth {
                    fs::mkdirat(&above, &*name, fs::Mode::RWXU).unwrap();
                    let flags = OFlags::PATH | OFlags::DIRECTORY;
                    above = fs::openat(&above, &*name, flags, fs::Mode::empty()).unwrap();
                }
            }
        };
        assert_eq!(said(ENTRIES, nested(16)), None);
        let reason = said(ENTRIES, nested(20)).unwrap();
        assert!(
            reason.starts_with("has paths of more than 4096 bytes"),
            "{reason}"
        );
    }

    #[test]
    fn layer_with_more_entries_than_are_examined_is_a_conflict() {
        let four = |layer: &std::path::Path| {
            create_dir_all(layer.join("usr/lib")).unwrap();
            write(layer.join("usr/lib/file"), "").unwrap();
            symlink("/none", layer.join("usr/link")).unwrap();
        };
        assert_eq!(said(4, four), None);
        let reason = said(3, four).unwrap();
        assert!(reason.starts_with("has more than 3 entries"), "{reason}");
    }
}
