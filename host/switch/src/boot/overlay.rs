//! The new root: the root image alone, or an overlay of the layers on it.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::mount::{MntFlags, MsFlags, mount as mount_by_string, umount2};
use rustix::fs::{self, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount,
};

use super::activation::Activation;
use super::modules::Modules;
use super::mounted::Mounted;
use crate::mount_calls::attach;

const KIND: &str = "overlay";

/// Mounts the new root. Layers that the kernel does not take are left out, the
/// others stay; whatever happens to layers, the root image is mounted.
///
/// # Errors
/// Where even that cannot be: a sentence for the operator.
pub fn mount(
    point: &str,
    root: &Mounted,
    activation: &mut Activation,
    modules: &mut Modules,
) -> Result<(), String> {
    std::fs::create_dir_all(point)
        .map_err(|error| format!("the directory {point} cannot be made: {error}"))?;
    if activation.any() {
        match modules.file_system(KIND) {
            Ok(()) => overlay(point, root, activation),
            Err(reason) => activation.leave_all_out(&format!("cannot be activated: {reason}")),
        }
    }
    if activation.any() {
        return Ok(());
    }
    move_mount(
        fs::CWD,
        root.path.as_path(),
        fs::CWD,
        point,
        MoveMountFlags::empty(),
    )
    .map_err(|error| format!("the root image cannot be mounted on {point}: {error}"))
}

/// Mounts an overlay of all layers that go together; leaves the others out.
fn overlay(point: &str, root: &Mounted, activation: &mut Activation) {
    let Err(error) = stack(point, root, activation.layers()) else {
        return;
    };
    // One of them is to blame, or none: each is tried alone.
    activation.keep_if(|layer| match stack(point, root, [layer].into_iter()) {
        Ok(()) => {
            let _ = umount2(point, MntFlags::MNT_DETACH);
            Ok(())
        }
        Err(error) => Err(format!("cannot be laid over the root image: {error}")),
    });
    if activation.any()
        && let Err(again) = stack(point, root, activation.layers())
    {
        let reason = if again == error {
            format!("cannot be activated: the overlay of all layers cannot be mounted: {error}")
        } else {
            format!(
                "cannot be activated: the overlay of the layers that are good by themselves cannot be mounted: {again}"
            )
        };
        activation.leave_all_out(&reason);
    }
}

/// Mounts an overlay of these layers, the last one uppermost, the root image
/// lowest.
fn stack<'a>(
    point: &str,
    root: &Mounted,
    layers: impl Iterator<Item = &'a Mounted>,
) -> Result<(), Errno> {
    let mut paths: Vec<&Path> = vec![&root.path];
    paths.extend(layers.map(|layer| layer.path.as_path()));
    paths.reverse();
    let Err(error) = one_by_one(point, &paths) else {
        return Ok(());
    };
    tracing::debug!("lower directories cannot be given one by one: {error}");
    let string: Vec<String> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    mount_by_string(
        Some(KIND),
        point,
        Some(KIND),
        MsFlags::MS_RDONLY,
        Some(format!("lowerdir={}", string.join(":")).as_str()),
    )
    .map_err(|error| Errno::from_raw_os_error(error as i32))
}

/// As Linux 6.8 and newer takes them.
fn one_by_one(point: &str, paths: &[&Path]) -> Result<(), Errno> {
    let context = fsopen(KIND, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", KIND)?;
    for path in paths {
        fsconfig_set_string(&context, "lowerdir+", *path)?;
    }
    fsconfig_create(&context)?;
    let tree = fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::MOUNT_ATTR_RDONLY,
    )?;
    attach(tree, open(Path::new(point))?)
}

fn open(point: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::open(point, flags, Mode::empty())
}
