//! What a layer must not do to the root image below it. It may add files and
//! replace them; what would take a directory away, hide what is in it, or change
//! who may enter it, can keep the whole machine from starting.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use policy::answer::join;
use policy::text::Path;
use rustix::fs::{self, AtFlags, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::init::resolve;
use crate::listing::open;
use crate::mount_calls::LARGEST_ATTRIBUTE;

/// Directories that a layer has in common with the root image: more than any
/// extension has, and few enough to be looked at while a machine starts.
const DIRECTORIES: usize = 20_000;

/// Entries of a layer whose extended attributes are examined: few enough to be read
/// while a machine starts.
const ENTRIES: usize = 1_000_000;

/// By these overlayfs is directed: to hide a directory, or to take one from elsewhere.
/// `user.overlay.` is for overlays with the option userxattr, which is never given.
const OVERLAY: &[u8] = b"trusted.overlay.";

/// Examines the attributes of a layer, and compares all directories that it has in common
/// with the root image.
///
/// # Errors
/// What follows the layer's name in a sentence.
pub fn check(layer: BorrowedFd<'_>, root: BorrowedFd<'_>) -> Result<(), String> {
    match directing_attribute(layer) {
        Ok(None) => {}
        Ok(Some(wrong)) => return Err(wrong),
        Err(error) => {
            return Err(format!(
                "failed to be searched for attributes of overlayfs: {error}"
            ));
        }
    }
    // The root directories themselves do not meet: see `Mounted::like`.
    let mut to_do = vec![b"/".to_vec()];
    let mut done = 0;
    while let Some(path) = to_do.pop() {
        done += 1;
        if done > DIRECTORIES {
            return Err(format!(
                "has more than {DIRECTORIES} directories in common with the root image"
            ));
        }
        let shown = Path::from(path.as_slice());
        look_into(layer, root, &path, &mut to_do)
            .map_err(|error| format!("cannot be compared with the root image at {shown}: {error}"))?
            .map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// Searches a whole layer for what directs overlayfs: a redirect leads from a directory
/// of any name to those of the root image. Gives back what is wrong.
fn directing_attribute(layer: BorrowedFd<'_>) -> io::Result<Option<String>> {
    // A squashfs image without any attribute, such as srctl makes, says so.
    if fs::flistxattr(layer, &mut [0; 0][..]) == Err(Errno::OPNOTSUPP) {
        return Ok(None);
    }
    let mut names = vec![0; LARGEST_ATTRIBUTE];
    let mut to_do = vec![b"/".to_vec()];
    let mut done = 0;
    while let Some(path) = to_do.pop() {
        let directory = open(layer, &path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let length = fs::flistxattr(&directory, names.as_mut_slice());
        if let Some(name) = directs(&names, length)? {
            return Ok(Some(directed(&path, &name)));
        }
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            done += 1;
            if done > ENTRIES {
                return Ok(Some(format!(
                    "has more than {ENTRIES} entries, too many to be searched for attributes of overlayfs"
                )));
            }
            let here = join(&path, name.to_bytes());
            let kind = match entry.file_type() {
                FileType::Unknown => {
                    kind(&fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?)
                }
                kind => kind,
            };
            if kind == FileType::Directory {
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
                return Ok(Some(directed(&here, &name)));
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
        .map(|name| policy::escape::message(&String::from_utf8_lossy(name), 256)))
}

fn directed(path: &[u8], name: &str) -> String {
    format!(
        "has the overlayfs attribute {name} on {}, which can hide or replace what the root image has; repack it without",
        Path::from(path)
    )
}

/// Compares the entries of one directory; those that are directories in both are
/// added to `to_do`. Gives back what is wrong.
fn look_into(
    layer: BorrowedFd<'_>,
    root: BorrowedFd<'_>,
    path: &[u8],
    to_do: &mut Vec<Vec<u8>>,
) -> io::Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let (above, below) = (open(layer, path, flags)?, open(root, path, flags)?);
    for entry in Dir::read_from(&above)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let here = join(path, name.to_bytes());
        let upper = fs::statat(&above, name, AtFlags::SYMLINK_NOFOLLOW)?;
        if is_whiteout(&upper) {
            return Ok(Some(format!("would delete {}", Path::from(here))));
        }
        let lower = match fs::statat(&below, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(lower) => lower,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        let same_link = || -> io::Result<bool> {
            let target = |directory: &OwnedFd| fs::readlinkat(directory, name, Vec::new());
            Ok(target(&above)? == target(&below)?)
        };
        let wrong = match (kind(&upper), kind(&lower)) {
            (FileType::Directory, FileType::Directory) => {
                let wrong = attributes(&upper, &lower);
                to_do.push(here.clone());
                wrong
            }
            (FileType::Symlink, FileType::Symlink) if same_link()? => None,
            (_, FileType::Directory) => Some("would replace the directory".to_owned()),
            (_, FileType::Symlink) if leads_to_directory(root, &here) => {
                Some("would replace the link to a directory".to_owned())
            }
            (FileType::Directory, _) => Some("would replace by a directory the file".to_owned()),
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Ok(Some(format!(
                "{wrong} {} of the root image; repack it",
                Path::from(here)
            )));
        }
    }
    Ok(None)
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// How overlayfs tells of a name that is gone.
fn is_whiteout(stat: &Stat) -> bool {
    kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn leads_to_directory(root: BorrowedFd<'_>, path: &[u8]) -> bool {
    resolve(root, path, OFlags::PATH | OFlags::DIRECTORY).is_ok()
}

fn attributes(upper: &Stat, lower: &Stat) -> Option<String> {
    let of = |stat: &Stat| (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid);
    let ((mode, user, group), (lower_mode, lower_user, lower_group)) = (of(upper), of(lower));
    ((mode, user, group) != (lower_mode, lower_user, lower_group)).then(|| {
        format!(
            "would give mode {mode:04o} and owner {user}:{group}, rather than {lower_mode:04o} and {lower_user}:{lower_group}, to the directory"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, Permissions, create_dir_all, set_permissions, write};
    use std::os::fd::AsFd;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A root image and a layer in two folders, and what is said of the layer.
    fn said(make: impl Fn(&std::path::Path)) -> Result<(), String> {
        let folder = std::env::temp_dir().join(format!(
            "switch-root-conflict-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let _ = std::fs::remove_dir_all(&folder);
        let (root, layer) = (folder.join("root"), folder.join("layer"));
        for path in ["usr/lib/deep", "etc", "run"] {
            create_dir_all(root.join(path)).unwrap();
        }
        symlink("usr/lib", root.join("lib")).unwrap();
        write(root.join("usr/lib/file"), "").unwrap();
        symlink("file", root.join("usr/lib/link")).unwrap();
        create_dir_all(&layer).unwrap();
        make(&layer);
        let outcome = check(
            File::open(&layer).unwrap().as_fd(),
            File::open(&root).unwrap().as_fd(),
        );
        std::fs::remove_dir_all(folder).unwrap();
        outcome
    }

    #[test]
    fn files_may_be_added_and_replaced() {
        said(|layer| {
            create_dir_all(layer.join("usr/lib/deep/new")).unwrap();
            create_dir_all(layer.join("opt/other")).unwrap();
            set_permissions(layer.join("opt/other"), Permissions::from_mode(0o700)).unwrap();
            write(layer.join("usr/lib/file"), "new").unwrap();
            write(layer.join("usr/lib/link"), "no link any more").unwrap();
            symlink("usr/lib", layer.join("lib")).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn what_could_stop_the_machine_is_named() {
        type Make = fn(&std::path::Path);
        let cases: [(Make, &str); 5] = [
            (
                |layer| create_dir_all(layer.join("lib")).unwrap(),
                "would replace the link to a directory /lib of",
            ),
            (
                |layer| symlink("/tmp", layer.join("run")).unwrap(),
                "would replace the directory /run of",
            ),
            (
                |layer| write(layer.join("etc"), "").unwrap(),
                "would replace the directory /etc of",
            ),
            (
                |layer| create_dir_all(layer.join("usr/lib/file")).unwrap(),
                "by a directory the file /usr/lib/file of",
            ),
            (
                |layer| {
                    let path = layer.join("usr/lib/deep");
                    create_dir_all(&path).unwrap();
                    set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
                },
                "mode 0700",
            ),
        ];
        for (make, expected) in cases {
            let reason = said(make).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[test]
    fn a_layer_cannot_delete() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can make device nodes");
            return;
        }
        let reason = said(|layer| {
            nix::sys::stat::mknod(
                &layer.join("etc"),
                nix::sys::stat::SFlag::S_IFCHR,
                nix::sys::stat::Mode::empty(),
                0,
            )
            .unwrap();
        })
        .unwrap_err();
        assert_eq!(reason, "would delete /etc");
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
            let reason = said(|layer| {
                let path = layer.join(place);
                create_dir_all(path.parent().unwrap()).unwrap();
                make(&path);
                fs::lsetxattr(&path, name, b"/etc", set).unwrap();
            })
            .unwrap_err();
            let expected = format!("attribute {name} on /{place}, ");
            assert!(reason.contains(&expected), "{reason}");
        }
        // Overlays with the option userxattr are directed by these, and only they.
        said(|layer| {
            let path = layer.join("usr/lib/file");
            create_dir_all(path.parent().unwrap()).unwrap();
            write(&path, "").unwrap();
            fs::lsetxattr(&path, "user.overlay.metacopy", b"", set).unwrap();
        })
        .unwrap();
    }
}
