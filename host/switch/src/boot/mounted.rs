//! File systems that the new root is made of, each mounted on a directory of its
//! own until it is.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};
use rustix::fs::OFlags;
use rustix::mount::MountAttrFlags;
use switch_root_core::escape::Shown;
use switch_root_core::outcome::Message;

use super::image::Image;
use super::loop_device;
use super::modules::Modules;
use crate::mount_calls::{Setting, attach, make, open_directory};

switch_root_core::outcomes! {
    /// Why an image is not mounted: what follows its name in a sentence.
    pub enum Unmounted in "images" {
        /// The kernel does not take it: it may lack the compression that the image uses. What else it
        /// says follows `; the kernel says:`.
        "SR-I10" Attaching { error: io::Error } = "cannot be attached to a loop device: {error}",
        "SR-I11" Mounting { format: &'static str, reason: io::Error } = "cannot be mounted as {format}: {reason}",
    }
}

switch_root_core::outcomes! {
    /// Why a file system is mounted nowhere: a reason.
    pub enum NoFolder in "images" {
        /// The directory for it cannot be made: `/run` is full.
        "SR-I12" Because { path: String, error: io::Error } = "{path}: {error}",
    }
}

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
    pub fn new(image: &Image, name: &str, modules: &mut Modules) -> Result<Self, Message> {
        let format = image.format.name();
        modules.file_system(format)?;
        let device = loop_device::attach(&image.file, &image.path.0)
            .map_err(|error| Unmounted::Attaching { error })?;
        let source = device.path.to_string_lossy();
        let settings = [Setting::Text("source", &source), Setting::Flag("ro")];
        let mounted = Self::mount(name, format, &settings, MountAttrFlags::MOUNT_ATTR_RDONLY)
            .map_err(|reason| Unmounted::Mounting { format, reason })?;
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
    ) -> io::Result<Self> {
        let path = PathBuf::from(FOLDER).join(name);
        std::fs::create_dir_all(&path).map_err(|error| {
            let path = path.shown();
            io::Error::other(NoFolder::Because { path, error })
        })?;
        let tree = make(kind, settings, attributes).map_err(io::Error::other);
        let directory = tree.and_then(|tree| {
            attach(tree, open_directory(&path, OFlags::PATH)?)?;
            Ok(open_directory(&path, OFlags::RDONLY)?)
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
