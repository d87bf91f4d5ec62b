//! Carries out the steps of a scene, in a process whose `/` is the initramfs.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::{Mode, SFlag, makedev, mkdirat, mknod};
use nix::unistd::mkfifo;
use rustix::fs::{
    AtFlags, CWD, IFlags, Timespec, Timestamps, XattrFlags, ioctl_setflags, lsetxattr, utimensat,
};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_fd, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use crate::names::escape;
use crate::steps::{Content, Make, Step};

/// No options for mount(2): its type cannot be guessed from a bare `None`.
pub const NOTHING: Option<&str> = None;

/// Carries out `steps` in order. Files that are copied are looked up below `host`.
///
/// # Errors
/// The first step that fails, with its path.
pub fn apply(steps: &[Step], host: &Path) -> io::Result<()> {
    for step in steps {
        let path = Path::new(OsStr::from_bytes(&step.path));
        one(path, &step.make, host).map_err(|error| {
            let step = format!("{:.200}", format!("{:?}", step.make));
            io::Error::other(format!(
                "{}: {step}: {error}",
                escape(path.as_os_str().as_bytes())
            ))
        })?;
    }
    Ok(())
}

/// The same in a folder that is made: paths of the steps are those in it.
///
/// # Errors
/// See [`apply`].
pub fn apply_in(folder: &Path, steps: &[Step]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let inside = |path: &[u8]| [folder.as_os_str().as_bytes(), path].concat();
    let steps: Vec<Step> = steps
        .iter()
        .map(|step| Step {
            path: inside(&step.path),
            make: match &step.make {
                Make::HardLink { from } => Make::HardLink { from: inside(from) },
                other => other.clone(),
            },
        })
        .collect();
    apply(&steps, Path::new("/"))
}

fn one(path: &Path, make: &Make, host: &Path) -> io::Result<()> {
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    match make {
        Make::Directory { mode } => {
            fs::create_dir_all(path)?;
            fs::set_permissions(path, Permissions::from_mode(*mode))
        }
        Make::File { mode, content } => {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            fill(path, content, host)?;
            fs::set_permissions(path, Permissions::from_mode(*mode))
        }
        Make::Symlink { target } => std::os::unix::fs::symlink(OsStr::from_bytes(target), path),
        Make::HardLink { from } => fs::hard_link(OsStr::from_bytes(from), path),
        Make::Fifo => Ok(mkfifo(path, Mode::from_bits_truncate(0o644))?),
        Make::Socket => UnixListener::bind(path).map(drop),
        Make::Device {
            block,
            major,
            minor,
        } => {
            let kind = if *block {
                SFlag::S_IFBLK
            } else {
                SFlag::S_IFCHR
            };
            Ok(mknod(
                path,
                kind,
                Mode::from_bits_truncate(0o600),
                makedev(*major, *minor),
            )?)
        }
        Make::Bind { from } => {
            let from = Path::new(OsStr::from_bytes(from));
            mount_point(path, fs::metadata(from)?.is_dir())?;
            Ok(mount(Some(from), path, NOTHING, MsFlags::MS_BIND, NOTHING)?)
        }
        Make::Mount {
            file_system,
            options,
        } => {
            mount_point(path, true)?;
            mount_pseudo(path, file_system, options)
        }
        Make::Renamed { from } => fs::rename(OsStr::from_bytes(from), path),
        Make::MovedMount { from } => {
            let from = Path::new(OsStr::from_bytes(from));
            mount_point(path, true)?;
            Ok(mount(Some(from), path, NOTHING, MsFlags::MS_MOVE, NOTHING)?)
        }
        Make::Unmounted => Ok(umount2(path, MntFlags::MNT_DETACH)?),
        Make::OverlayOfDetached { layers } => {
            mount_point(path, true)?;
            overlay_of_detached(path, layers)
        }
        Make::ReadOnly => {
            // Twice, for the mount and for the file system: the latter is what an
            // image on a read-only medium looks like.
            read_only_mount(path)?;
            let whole = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            Ok(mount(NOTHING, path, NOTHING, whole, NOTHING)?)
        }
        Make::ReadOnlyMount => read_only_mount(path),
        Make::NoExec => {
            let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_NOEXEC;
            Ok(mount(NOTHING, path, NOTHING, flags, NOTHING)?)
        }
        Make::Shared => Ok(mount(NOTHING, path, NOTHING, MsFlags::MS_SHARED, NOTHING)?),
        Make::Immutable => Ok(ioctl_setflags(File::open(path)?, IFlags::IMMUTABLE)?),
        Make::Owner { user, group } => std::os::unix::fs::lchown(path, Some(*user), Some(*group)),
        Make::Modified { seconds } => {
            let time = Timespec {
                tv_sec: *seconds,
                tv_nsec: 0,
            };
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
        }
        Make::Attribute { name, value } => Ok(lsetxattr(path, name, value, XattrFlags::empty())?),
        Make::Sparse { size } => {
            let end = b"end";
            File::create(path)?.write_all_at(end, size.saturating_sub(end.len() as u64))
        }
        Make::Nested { depth } => nest(path, *depth),
        Make::Many {
            directories,
            files,
            bytes,
        } => {
            let content = vec![0x5a; *bytes as usize];
            for directory in 0..*directories {
                let directory = path.join(format!("directory-{directory:04}"));
                fs::create_dir_all(&directory)?;
                for file in 0..*files {
                    fs::write(directory.join(format!("file-{file:04}")), &content)?;
                }
            }
            Ok(())
        }
    }
}

/// Mounts a file system that has no device; the source is named after its type.
///
/// # Errors
/// Those of mount(2), with the place.
pub fn mount_pseudo(path: &Path, file_system: &str, options: &str) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID;
    mount(
        Some(file_system),
        path,
        Some(file_system),
        flags,
        Some(options),
    )
    .map_err(|error| {
        io::Error::other(format!(
            "mounting {file_system} on {}: {error}",
            path.display()
        ))
    })
}

/// See [`Make::OverlayOfDetached`].
fn overlay_of_detached(path: &Path, layers: &[Vec<u8>]) -> io::Result<()> {
    let overlay = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&overlay, "source", "overlay")?;
    let clone = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let trees = layers
        .iter()
        .map(|layer| open_tree(CWD, OsStr::from_bytes(layer), clone))
        .collect::<Result<Vec<_>, _>>()?;
    for tree in &trees {
        // Linux 6.13 and newer.
        fsconfig_set_fd(&overlay, "lowerdir+", tree).or_else(|_| {
            let name = format!("/proc/self/fd/{}", tree.as_raw_fd());
            fsconfig_set_string(&overlay, "lowerdir+", name)
        })?;
    }
    fsconfig_create(&overlay)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY;
    let mount = fsmount(&overlay, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    let from_here = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(move_mount(mount, "", CWD, path, from_here)?)
}

fn read_only_mount(path: &Path) -> io::Result<()> {
    let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    Ok(mount(NOTHING, path, NOTHING, flags, NOTHING)?)
}

fn mount_point(path: &Path, directory: bool) -> io::Result<()> {
    if fs::symlink_metadata(path).is_ok() {
        Ok(())
    } else if directory {
        fs::create_dir_all(path)
    } else {
        File::create(path).map(drop)
    }
}

/// Writes a file's contents.
fn fill(path: &Path, content: &Content, host: &Path) -> io::Result<()> {
    match content {
        Content::Bytes(bytes) => fs::write(path, bytes),
        Content::Filled { byte, size } => {
            let block = vec![*byte; 1 << 20];
            let mut file = File::create(path)?;
            let mut left = *size;
            while left > 0 {
                let part = left.min(block.len() as u64);
                file.write_all(&block[..part as usize])?;
                left -= part;
            }
            Ok(())
        }
        Content::Copy(source) => {
            let source: PathBuf = source.components().skip(1).collect();
            io::copy(
                &mut File::open(host.join(source))?,
                &mut File::create(path)?,
            )
            .map(drop)
        }
    }
}

/// Makes directories deeper than a path can be long: one at a time, by descriptor.
fn nest(path: &Path, depth: u32) -> io::Result<()> {
    fs::create_dir_all(path)?;
    let open = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut here: OwnedFd = File::open(path)?.into();
    for _ in 0..depth {
        mkdirat(&here, "d", Mode::from_bits_truncate(0o755))?;
        here = openat(&here, "d", open, Mode::empty())?;
    }
    let create = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let bottom = openat(&here, "bottom", create, Mode::from_bits_truncate(0o644))?;
    File::from(bottom).write_all(b"the bottom\n")
}
