//! Parts of the initramfs that the running system goes on using after the
//! switch: directories bound into the new root, and layers of its overlays.
//! Deleting them would delete from the new root, so the host keeps them,
//! whatever the policies say.

use policy::answer::{is_at_or_below, join};
use policy::text::Path;

use crate::mounts::{self, Mount};
use crate::new_root::MOVED;

/// A path of the initramfs that is in use, and by what, as a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InUse {
    /// The path in the initramfs; `/` where it is all, or cannot be told.
    pub path: Vec<u8>,
    /// Why it survives.
    pub why: String,
}

/// Where a path of the old root leads: to a mount, by its number, and to a path
/// without links.
pub type Located = Option<(u64, Vec<u8>)>;

/// Finds what the mounts that outlive the switch use of the initramfs, which is
/// mounted as `root`. `locate` follows a path of the old root.
pub fn find(
    mounts: &[Mount],
    root: &Mount,
    outlives: impl Fn(&Mount) -> bool,
    locate: impl Fn(&[u8]) -> Located,
) -> Vec<InUse> {
    let mut found = Vec::new();
    let mut overlays = Vec::new();
    for mount in mounts.iter().filter(|mount| outlives(mount)) {
        let point = Path::from(mount.point.as_slice());
        if mount.device == root.device {
            let why = format!("it is mounted on {point}, which outlives the switch");
            found.extend(inside(root, &mount.root).map(|path| InUse { path, why }));
        }
        if mount.kind == b"overlay" {
            overlays.push(point);
        }
    }
    let Some(point) = overlays.first() else {
        return found;
    };
    // Of all overlays: one may be made of another.
    let layers = mounts.iter().flat_map(|mount| {
        mounts::overlay_layers(mount)
            .into_iter()
            .map(move |layer| (mount.id, layer))
    });
    for (overlay, layer) in layers {
        let why = format!("an overlay such as the one on {point} may be made of it");
        if !layer.starts_with(b"/") {
            let why = format!(
                "the layer {} of an overlay cannot be located",
                Path::from(layer)
            );
            found.push(InUse {
                path: b"/".to_vec(),
                why,
            });
            continue;
        }
        // What is not there is not deleted either.
        let Some((mount, path)) = locate(&layer) else {
            continue;
        };
        if mount == overlay {
            // The overlay is mounted over its own layer.
            found.push(InUse { path: layer, why });
            continue;
        }
        let Some(mount) = mounts.iter().find(|other| other.id == mount) else {
            continue;
        };
        if mount.device == root.device
            && let Some(rest) = path.strip_prefix(mount.point.as_slice())
        {
            let rest = rest.strip_prefix(b"/").unwrap_or(rest);
            let in_file_system = if rest.is_empty() {
                mount.root.clone()
            } else {
                join(&mount.root, rest)
            };
            found.extend(inside(root, &in_file_system).map(|path| InUse { path, why }));
        }
    }
    found
}

/// The path in the initramfs of a path in its file system, of which the
/// initramfs may be a part. `None` where it lies outside.
fn inside(root: &Mount, path: &[u8]) -> Option<Vec<u8>> {
    if root.root == b"/" {
        return Some(path.to_vec());
    }
    if is_at_or_below(&root.root, path) {
        return Some(b"/".to_vec());
    }
    is_at_or_below(path, &root.root).then(|| path[root.root.len()..].to_vec())
}

/// Whether a mount is still there afterwards: the new root, what is below it,
/// and what is moved to it. A mount that is covered by one of these is not.
pub fn outlives(mount: &Mount, mounts: &[Mount], new_root: &[u8], new_root_id: u64) -> bool {
    if mount.point == new_root {
        return mount.id == new_root_id;
    }
    let moved = |moved: &str| {
        let moved = moved.as_bytes();
        mounts::within(mount, moved)
            && mounts::top(mounts, moved)
                .is_some_and(|top| mount.point != moved || mount.id == top.id)
    };
    mounts::within(mount, new_root) || MOVED.into_iter().any(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"1 1 0:2 / / rw - rootfs none rw\n\
          2 1 0:5 / /dev rw - devtmpfs none rw\n\
          3 1 0:6 / /scratch rw - tmpfs none rw\n\
          4 1 0:7 / /sysroot ro - overlay overlay ro,lowerdir=/link:/scratch/a:/mnt/c:/sysroot,upperdir=/overlay/up,workdir=/gone\n\
          5 4 0:2 /lib/modules /sysroot/lib/modules rw - rootfs none rw\n\
          6 2 0:2 /firmware /dev/firmware rw - rootfs none rw\n\
          7 1 0:2 /data /mnt rw - rootfs none rw\n\
          8 1 0:9 / /run rw - tmpfs none rw\n\
          9 8 0:10 / /run rw - tmpfs none rw\n";

    fn locate(path: &[u8]) -> Located {
        match path {
            b"/link" => Some((1, b"/layers/b".to_vec())),
            b"/scratch/a" => Some((3, b"/scratch/a".to_vec())),
            b"/mnt/c" => Some((7, b"/mnt/c".to_vec())),
            b"/sysroot" => Some((4, b"/sysroot".to_vec())),
            b"/gone" => None,
            path => Some((1, path.to_vec())),
        }
    }

    fn paths(table: &[u8]) -> Vec<String> {
        let mounts = mounts::parse(table).unwrap();
        let outlives = |mount: &Mount| outlives(mount, &mounts, b"/sysroot", 4);
        let found = find(&mounts, &mounts[0], outlives, locate);
        found
            .into_iter()
            .map(|used| String::from_utf8(used.path).unwrap())
            .collect()
    }

    #[test]
    fn what_the_new_root_is_made_of_survives() {
        assert_eq!(
            paths(TABLE),
            [
                "/lib/modules",
                "/firmware",
                "/layers/b",
                "/data/c",
                "/sysroot",
                "/overlay/up"
            ]
        );
    }

    #[test]
    fn an_initramfs_that_is_a_part_of_its_file_system_is_told_apart() {
        let table = b"1 1 0:2 /lib / rw - tmpfs none rw\n\
              4 1 0:7 / /sysroot ro - ext4 /dev/vda ro\n\
              5 4 0:2 /lib/modules /sysroot/m rw - tmpfs none rw\n\
              6 4 0:2 /other /sysroot/o rw - tmpfs none rw\n\
              7 4 0:2 / /sysroot/all rw - tmpfs none rw\n";
        assert_eq!(paths(table), ["/modules", "/"]);
    }

    #[test]
    fn a_mount_that_another_covers_does_not_outlive_the_switch() {
        let mounts = mounts::parse(TABLE).unwrap();
        let outliving: Vec<u64> = mounts
            .iter()
            .filter(|mount| outlives(mount, &mounts, b"/sysroot", 4))
            .map(|mount| mount.id)
            .collect();
        assert_eq!(outliving, [2, 4, 5, 6, 9]);
    }
}
