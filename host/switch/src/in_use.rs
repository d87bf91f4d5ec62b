//! Parts of the initramfs that the running system goes on using after the
//! switch: directories bound into the new root, and layers of its overlays.
//! Deleting them would delete from the new root, so the host keeps them,
//! whatever the policies say.

use policy::answer::is_at_or_below;

use crate::mounts::{self, Mount};
use crate::new_root::MOVED;
use crate::text::Path;

/// A path of the initramfs that is in use, and by what, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// The path in the initramfs.
    pub path: Vec<u8>,
    /// Why it survives.
    pub why: String,
}

/// Finds what the mounts that outlive the switch use of the old root, whose
/// file system is `device`.
pub fn find(mounts: &[Mount], device: (u32, u32), new_root: &[u8]) -> Vec<InUse> {
    let mut found = Vec::new();
    for mount in mounts
        .iter()
        .filter(|mount| outlives(mount, mounts, new_root))
    {
        let point = Path::from(mount.point.as_slice());
        if mount.device == device {
            found.push(InUse {
                path: mount.root.clone(),
                why: format!("it is mounted on {point}, which outlives the switch"),
            });
        }
        for layer in mounts::overlay_layers(mount) {
            let lies_on = mounts
                .iter()
                .filter(|other| other.id != mount.id && is_at_or_below(&layer, &other.point))
                .max_by_key(|other| other.point.len());
            if layer.starts_with(b"/")
                && lies_on.is_some_and(|other| other.device == device && other.point == b"/")
            {
                found.push(InUse {
                    path: layer,
                    why: format!("the overlay on {point} is made of it"),
                });
            }
        }
    }
    found
}

/// Whether a mount is still there afterwards: the new root, what is below it,
/// and what is moved to it.
pub fn outlives(mount: &Mount, mounts: &[Mount], new_root: &[u8]) -> bool {
    mounts::within(mount, new_root)
        || MOVED.iter().any(|moved| {
            mounts::within(mount, moved.as_bytes())
                && mounts.iter().any(|other| other.point == moved.as_bytes())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_new_root_is_made_of_survives() {
        let mounts = mounts::parse(
            b"1 1 0:2 / / rw - rootfs none rw\n\
              2 1 0:5 / /dev rw - devtmpfs none rw\n\
              3 1 0:6 / /scratch rw - tmpfs none rw\n\
              4 1 0:7 / /sysroot ro - overlay overlay ro,lowerdir=/layers/b:/scratch/a,upperdir=/overlay/up,workdir=/overlay/work\n\
              5 4 0:2 /lib/modules /sysroot/lib/modules rw - rootfs none rw\n\
              6 2 0:2 /firmware /dev/firmware rw - rootfs none rw\n\
              7 1 0:2 /data /mnt rw - rootfs none rw\n",
        )
        .unwrap();
        let paths: Vec<_> = find(&mounts, (0, 2), b"/sysroot")
            .into_iter()
            .map(|used| String::from_utf8(used.path).unwrap())
            .collect();
        assert_eq!(
            paths,
            [
                "/layers/b",
                "/overlay/up",
                "/overlay/work",
                "/lib/modules",
                "/firmware"
            ]
        );
    }
}
