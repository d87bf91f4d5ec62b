//! File systems that the new root is made of, each mounted on a directory of its
//! own until it is.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use rustix::fs::{self, OFlags, Stat, XattrFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::image::Image;
use super::loop_device;
use super::modules::Modules;
use crate::mount_calls::{self, Setting, attach, make, open_directory};

/// Where they are meanwhile: short, since the names of a hundred layers must fit
/// into one page for kernels that take them in one string.
const FOLDER: &str = "/run/switch-root/layers";

/// Attributes of overlayfs, which mean something to it alone.
const OVERLAY: &[u8] = b"trusted.overlay.";

/// A mounted file system. It is unmounted with this value; what an overlay is made
/// of it holds by itself.
pub struct Mounted {
    /// Where it is mounted.
    pub path: PathBuf,
    /// Its root directory.
    pub directory: OwnedFd,
}

impl Mounted {
    /// Mounts an image read-only under a name in the folder of all of them.
    ///
    /// # Errors
    /// What follows the image's name in a sentence.
    pub fn new(image: &Image, name: &str, modules: &mut Modules) -> Result<Self, String> {
        let format = image.format.name();
        modules.file_system(format)?;
        let device = loop_device::attach(&image.file, &image.path.0)
            .map_err(|error| format!("cannot be attached to a loop device: {error}"))?;
        let source = device.path.to_string_lossy();
        let settings = [Setting::Text("source", &source), Setting::Flag("ro")];
        let mounted = Self::mount(name, format, &settings, MountAttrFlags::MOUNT_ATTR_RDONLY)
            .map_err(|reason| format!("cannot be mounted as {format}: {reason}"))?;
        tracing::debug!("{} is mounted", image.describe());
        Ok(mounted)
    }

    /// Mounts an empty file system whose root directory is like that of another
    /// one. Uppermost in an overlay, it is what the overlay's own root directory
    /// is like, whatever the layers below have.
    ///
    /// # Errors
    /// A sentence.
    pub fn like(other: &Self, name: &str) -> Result<Self, String> {
        let stat = fs::fstat(&other.directory).map_err(|error| error.to_string())?;
        let Stat {
            st_mode,
            st_uid,
            st_gid,
            ..
        } = stat;
        let mode = format!("{:o}", st_mode & 0o7777);
        let (user, group) = (st_uid.to_string(), st_gid.to_string());
        let settings = [
            Setting::Text("mode", &mode),
            Setting::Text("uid", &user),
            Setting::Text("gid", &group),
        ];
        // What an overlay is made of it cannot be written to in any case.
        let mounted = Self::mount(name, "tmpfs", &settings, MountAttrFlags::empty())?;
        copy_attributes(&other.directory, &mounted.directory)
            .map_err(|error| format!("attributes of its root directory: {error}"))?;
        Ok(mounted)
    }

    fn mount(
        name: &str,
        kind: &str,
        settings: &[Setting<'_>],
        attributes: MountAttrFlags,
    ) -> Result<Self, String> {
        let path = PathBuf::from(FOLDER).join(name);
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let tree = make(kind, settings, attributes).map_err(|failure| failure.to_string());
        let directory = tree.and_then(|tree| {
            open_directory(&path, OFlags::PATH)
                .and_then(|place| attach(tree, place))
                .and_then(|()| open_directory(&path, OFlags::RDONLY))
                .map_err(|error| error.to_string())
        });
        match directory {
            Ok(directory) => Ok(Self { path, directory }),
            Err(reason) => {
                unmount(&path);
                Err(reason)
            }
        }
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

/// What fails here is detached with the rest of the initramfs' mounts. The folder
/// goes with the last one in it.
fn unmount(path: &Path) {
    let _ = umount2(path, MntFlags::MNT_DETACH);
    let _ = std::fs::remove_dir(path);
    let _ = std::fs::remove_dir(FOLDER);
}

/// Copies what a directory has beside mode and owner, such as the label that
/// SELinux looks at.
fn copy_attributes(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let mut names = vec![0; mount_calls::LARGEST_ATTRIBUTE];
    let length = match fs::flistxattr(from, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut value = vec![0; mount_calls::LARGEST_ATTRIBUTE];
    for name in names[..length].split(|byte| *byte == 0) {
        if name.is_empty() || name.starts_with(OVERLAY) {
            continue;
        }
        let length = fs::fgetxattr(from, name, value.as_mut_slice())?;
        match fs::fsetxattr(to, name, &value[..length], XattrFlags::empty()) {
            // Of a kind that only the other file system knows.
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
