//! What a layer must not do to the root image below it. It may add files and
//! replace them; what would take a directory away, hide what is in it, or change
//! who may enter it, can keep the whole machine from starting.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use policy::answer::join;
use policy::text::Path;
use rustix::fs::{self, AtFlags, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::init::resolve;
use crate::listing::open;

/// Directories that a layer has in common with the root image: more than any
/// extension has, and few enough to be looked at while a machine starts.
const DIRECTORIES: usize = 20_000;

/// The mark of overlayfs on a directory that hides what is below it.
const OPAQUE: &str = "trusted.overlay.opaque";

/// Compares all directories that a layer has in common with the root image.
///
/// # Errors
/// What follows the layer's name in a sentence.
pub fn check(layer: BorrowedFd<'_>, root: BorrowedFd<'_>) -> Result<(), String> {
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
    if fs::fgetxattr(&above, OPAQUE, &mut [0; 16][..]).is_ok() {
        return Ok(Some(format!(
            "would hide what the root image has in {}",
            Path::from(path)
        )));
    }
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
}
