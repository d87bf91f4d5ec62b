//! The new root: the root image alone, or an overlay of the layers on it.

use std::collections::BTreeSet;

use nix::mount::{MntFlags, MsFlags, mount as mount_by_string, umount2};
use rustix::fs::{self, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MoveMountFlags, move_mount};
use switch_root_core::outcome::Message;
use switch_root_core::path::Path;

use super::activation::{Activation, Layer};
use super::modules::Modules;
use super::mounted::Mounted;
use super::top;
use crate::mount_calls::{Setting, attach, make, open_directory};

switch_root_core::outcomes! {
    /// Why there is no new root.
    pub enum NoNewRoot in "root-image" {
        /// The initramfs has something else at `/sysroot`: remove it there.
        "SR-B40" Making { point: String, error: std::io::Error } = "the directory {point} cannot be made: {error}",
        "SR-B41" NoPlace { point: String, error: Errno } = "{point} cannot be mounted on: {error}; it must be a directory, not a link",
        "SR-B42" Mounting { point: String, error: Errno } = "the root image cannot be mounted on {point}: {error}",
    }
}

switch_root_core::outcomes! {
    /// Why a layer is not laid on the root image: what follows its name in a sentence.
    pub enum NotLaid in "layers" {
        /// With it the new root has no init that can be executed, or no directory for `/dev`, `/proc`,
        /// `/sys` or `/run`.
        "SR-L40" Unusable { reason: String } = "would keep the machine from starting: {reason}",
        /// In an overlay a directory has the attributes of the uppermost layer, so that those of the
        /// root image are given to a tmpfs above all layers. That does not take one of them, or cannot
        /// be made. Pack the layer with the attributes of the root image for that directory, or both
        /// without.
        "SR-L41" Unrestored { path: Path, reason: String } = "would change attributes of the directory {path} of the root image, and restoring them failed: {reason}",
        /// The kernel's overlay file system does not take it; its words follow.
        "SR-L42" Refused { reason: String } = "cannot be laid over the root image: {reason}",
        /// The kernel does not take all layers at once. Put several extensions into one layer.
        "SR-L43" Together { reason: String } = "is good by itself, but not with the others: together each {reason}",
    }
}

const KIND: &str = "overlay";

/// Attributes of layers redirect nothing. Such a layer is left out before (see `conflict`);
/// this holds whatever the kernel's defaults are. Every kernel that has openat2(2) knows both
/// options.
const NOTHING_REDIRECTED: [(&str, &str); 2] = [("redirect_dir", "nofollow"), ("metacopy", "off")];

/// The first kernel that takes lower directories one by one.
const ONE_BY_ONE: (u32, u32) = (6, 8);

/// Mounts the new root, and has `usable` look at it. Layers that the kernel does
/// not take, or with which it is not usable, are left out, and the others stay;
/// whatever happens to layers, the root image is mounted.
///
/// # Errors
/// Where even that cannot be: a sentence for the operator.
pub fn mount(
    point: &str,
    root: &Mounted,
    activation: &mut Activation,
    modules: &mut Modules,
    usable: &dyn Fn() -> Result<(), Message>,
) -> Result<(), NoNewRoot> {
    match std::fs::create_dir(point) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            let point = point.to_owned();
            return Err(NoNewRoot::Making { point, error });
        }
        _ => {}
    }
    open_directory(point, OFlags::PATH).map_err(|error| NoNewRoot::NoPlace {
        point: point.to_owned(),
        error,
    })?;
    if activation.any() {
        match modules.file_system(KIND) {
            Ok(()) => {
                let top = top(root, activation);
                let stack = Stack {
                    point,
                    root,
                    top,
                    usable,
                };
                overlay(&stack, activation);
            }
            Err(reason) => activation.leave_all_out(&reason.into()),
        }
    }
    if activation.any() {
        return Ok(());
    }
    let moved = move_mount(
        fs::CWD,
        root.path.as_path(),
        fs::CWD,
        point,
        MoveMountFlags::empty(),
    );
    let point = point.to_owned();
    moved.map_err(|error| NoNewRoot::Mounting { point, error })
}

/// Mounts what goes above the layers, so that directories stay as the root image has them;
/// leaves out the layers with which one would not. `None` where none of them changes any.
fn top(root: &Mounted, activation: &mut Activation) -> Option<Mounted> {
    loop {
        let layers = activation.layers();
        let directories: BTreeSet<&[u8]> = layers
            .flat_map(|layer| layer.restored.iter().map(Vec::as_slice))
            .collect();
        if directories.is_empty() {
            return None;
        }
        match top::make(root, &directories) {
            Ok(top) => return Some(top),
            // One layer less at least, so that this ends.
            Err(top::NotMade { path, reason }) => activation.keep_if(|layer| {
                if !layer.restored.contains(&path) {
                    return Ok(());
                }
                Err(NotLaid::Unrestored {
                    path: path.as_slice().into(),
                    reason: reason.clone(),
                }
                .into())
            }),
        }
    }
}

/// Mounts an overlay of all layers that go together; leaves the others out.
fn overlay(stack: &Stack<'_>, activation: &mut Activation) {
    if !activation.any() {
        return;
    }
    let Err(together) = stack.mount(activation.layers()) else {
        return;
    };
    // One of them is to blame, or none: each is tried alone.
    activation.keep_if(|layer| {
        stack.mount([layer].into_iter())?;
        stack.unmount();
        Ok(())
    });
    if activation.any() && stack.mount(activation.layers()).is_err() {
        let reason = together.to_string();
        activation.leave_all_out(&NotLaid::Together { reason }.into());
    }
}

/// What layers are laid on.
struct Stack<'a> {
    point: &'a str,
    root: &'a Mounted,
    /// Lies on all of them.
    top: Option<Mounted>,
    usable: &'a dyn Fn() -> Result<(), Message>,
}

impl Stack<'_> {
    /// Mounts an overlay of these layers, the last one uppermost, the root image
    /// lowest. Says of a layer what is wrong with it.
    fn mount<'l>(&self, layers: impl Iterator<Item = &'l Layer>) -> Result<(), NotLaid> {
        let mut paths = vec![shown(self.root)];
        paths.extend(layers.map(|layer| shown(&layer.mounted)));
        paths.extend(self.top.as_ref().map(shown));
        paths.reverse();
        let one_by_one = kernel() >= ONE_BY_ONE;
        let mounted = if one_by_one {
            self.one_by_one(&paths).or_else(|reason| {
                // The older way is as good, and an error of it says no more.
                self.in_one_string(&paths).map_err(|_| reason)
            })
        } else {
            self.in_one_string(&paths)
        };
        mounted.map_err(|reason| NotLaid::Refused { reason })?;
        (self.usable)().map_err(|reason| {
            self.unmount();
            let reason = reason.text;
            NotLaid::Unusable { reason }
        })
    }

    fn one_by_one(&self, paths: &[String]) -> Result<(), String> {
        let mut settings = vec![Setting::Text("source", KIND)];
        settings.extend(NOTHING_REDIRECTED.map(|(name, value)| Setting::Text(name, value)));
        settings.extend(paths.iter().map(|path| Setting::Text("lowerdir+", path)));
        let tree = make(KIND, &settings, MountAttrFlags::MOUNT_ATTR_RDONLY)
            .map_err(|failure| failure.to_string())?;
        open_directory(self.point, OFlags::PATH)
            .and_then(|place| attach(tree, place))
            .map_err(|error| error.to_string())
    }

    fn in_one_string(&self, paths: &[String]) -> Result<(), String> {
        let mut options = format!("lowerdir={}", paths.join(":"));
        for (name, value) in NOTHING_REDIRECTED {
            options.push_str(&format!(",{name}={value}"));
        }
        mount_by_string(
            Some(KIND),
            self.point,
            Some(KIND),
            MsFlags::MS_RDONLY,
            Some(options.as_str()),
        )
        .map_err(|error| error.to_string())
    }

    fn unmount(&self) {
        let _ = umount2(self.point, MntFlags::MNT_DETACH);
    }
}

/// Where a file system is mounted, as text: such paths are our own.
fn shown(mounted: &Mounted) -> String {
    mounted.path.to_string_lossy().into_owned()
}

/// The running kernel's version.
fn kernel() -> (u32, u32) {
    let release = nix::sys::utsname::uname()
        .map(|names| names.release().to_string_lossy().into_owned())
        .unwrap_or_default();
    version(&release)
}

/// The first two numbers of a release; zero for what is none.
fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_apart_by_their_first_two_numbers() {
        assert_eq!(version("6.1.0-50-cloud-amd64"), (6, 1));
        assert_eq!(version("7.2.13+deb14-cloud-amd64"), (7, 2));
        assert_eq!(version("6.10-rc1"), (6, 10));
        assert_eq!(version("x"), (0, 0));
        assert!(version("6.12.1") >= ONE_BY_ONE && version("6.7.9") < ONE_BY_ONE);
    }
}
