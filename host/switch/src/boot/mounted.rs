//! File systems that the new root is made of, each mounted on a directory of its
//! own until it is.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use rustix::fs::OFlags;
use rustix::mount::MountAttrFlags;
use switch_root_core::escape::Shown;

use super::image::Image;
use super::loop_device;
use super::modules::Modules;
use crate::mount_calls::{Setting, attach, make, open_directory};

/// Where they are meanwhile: short, since the names of a hundred layers must fit
/// into one page for kernels that take them in one string.
const FOLDER: &str = "/run/switch-root/layers";

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

    /// Mounts a file system of this kind under a name in the folder of all of them.
    ///
    /// # Errors
    /// A sentence.
    pub fn mount(
        name: &str,
        kind: &str,
        settings: &[Setting<'_>],
        attributes: MountAttrFlags,
    ) -> Result<Self, String> {
        let path = PathBuf::from(FOLDER).join(name);
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.shown()))?;
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
