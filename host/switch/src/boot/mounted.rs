//! Images that are mounted, each on a loop device and a directory of its own,
//! until the new root is made of them.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::mount::{MntFlags, umount2};
use rustix::fs::{self, Mode, OFlags, Stat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

use super::image::Image;
use super::loop_device;
use super::modules::Modules;
use crate::mount_calls::attach;

/// Where images are mounted meanwhile: short, since the names of a hundred
/// layers must fit into one page for kernels that take them in one string.
const FOLDER: &str = "/run/switch-root/layers";

/// A mounted image. It is unmounted with this value; what an overlay is made of
/// it holds by itself.
pub struct Mounted {
    /// Where it is mounted.
    pub path: PathBuf,
    /// Its root directory.
    pub directory: OwnedFd,
    /// What its root directory is.
    pub stat: Stat,
}

impl Mounted {
    /// Mounts an image read-only under a name in the folder of all images.
    ///
    /// # Errors
    /// What follows the image's name in a sentence.
    pub fn new(image: &Image, name: &str, modules: &mut Modules) -> Result<Self, String> {
        let format = image.format.name();
        modules.file_system(format)?;
        let path = PathBuf::from(FOLDER).join(name);
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("cannot be mounted on {}: {error}", path.display()))?;
        let attached = mount(image, &path);
        let directory = attached.inspect_err(|_| {
            let _ = std::fs::remove_dir(&path);
        })?;
        let mounted = |directory: OwnedFd, stat: Stat| Self {
            path,
            directory,
            stat,
        };
        let stat = fs::fstat(&directory)
            .map_err(|error| format!("cannot be examined once it is mounted: {error}"))?;
        tracing::debug!("{} is mounted", image.describe());
        Ok(mounted(directory, stat))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // What fails here is detached with the rest of the initramfs' mounts.
        let _ = umount2(&self.path, MntFlags::MNT_DETACH);
        let _ = std::fs::remove_dir(&self.path);
    }
}

fn mount(image: &Image, path: &PathBuf) -> Result<OwnedFd, String> {
    let format = image.format.name();
    let device = loop_device::attach(&image.file, &image.path.0)
        .map_err(|error| format!("cannot be attached to a loop device: {error}"))?;
    let tree = || {
        let context = fsopen(format, FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(&context, "source", device.path.as_path())?;
        fsconfig_set_flag(&context, "ro")?;
        fsconfig_create(&context)?;
        fsmount(
            &context,
            FsMountFlags::FSMOUNT_CLOEXEC,
            MountAttrFlags::MOUNT_ATTR_RDONLY,
        )
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    tree()
        .and_then(|tree| attach(tree, fs::open(path, flags, Mode::empty())?))
        .and_then(|()| {
            fs::open(
                path,
                OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
                Mode::empty(),
            )
        })
        .map_err(|error| format!("cannot be mounted as {format}: {error}"))
}
