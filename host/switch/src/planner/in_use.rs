//! Parts of the initramfs that the running system goes on using after the
//! switch: directories bound into the new root, and layers of its overlays.
//! Deleting them would delete from the new root, so the host keeps them,
//! whatever the policies say.

use switch_root_core::locations::MOVED;
use switch_root_core::path::Path;

use super::facts::{InUse, Layer, Layers};
use crate::mounts::inside;
use crate::mounts::{self, Mount};

switch_root_core::outcomes! {
    /// Why a path of the initramfs survives, and by whom it is used.
    pub enum Used in "kept-by-the-host" {
        /// The running system uses this part of the initramfs: deleting it would delete from the new
        /// root.
        "SR-V31" Mount { point: Path } = "it is mounted on {point}, which outlives the switch",
        "SR-V32" Overlay { point: Path } = "an overlay such as the one on {point} may be made of it",
        /// A layer cannot be located where neither its name nor a mount that was moved leads to it: it
        /// was renamed, or named by way of a mount that is gone. Everything is kept then; mount the
        /// overlay by a name that still leads to the layer when the root is switched.
        "SR-V33" Layer { name: Path, overlay: Path } = "the layer {name} of the overlay on {overlay} cannot be located",
        "SR-V34" Layers { point: Path, error: String } = "the layers of the overlay on {point} cannot be located: {error}",
    }
}

/// Finds what the mounts that outlive the switch use of the initramfs, which is
/// mounted as `root`. The program itself has made the mount `own`, if it is called init: no
/// layer of that lies here.
pub fn find(
    mounts: &[Mount],
    root: &Mount,
    own: Option<u64>,
    outlives: impl Fn(&Mount) -> bool,
    layers: &Layers,
) -> Vec<InUse> {
    let mut found = Vec::new();
    let mut overlays = Vec::new();
    for mount in mounts.iter().filter(|mount| outlives(mount)) {
        let point = Path::from(mount.point.as_slice());
        if mount.device == root.device {
            found.extend(inside(root, &mount.root).map(|path| {
                InUse {
                    path,
                    why: Used::Mount {
                        point: point.clone(),
                    }
                    .into(),
                }
            }));
        }
        if mount.kind == b"overlay" && own != Some(mount.id) {
            overlays.push(point);
        }
    }
    let Some(point) = overlays.first() else {
        return found;
    };
    let everything = |why: Used| InUse {
        path: b"/".to_vec(),
        why: why.into(),
    };
    let layers = match layers {
        Layers::NotKnown(error) => {
            found.push(everything(Used::Layers {
                point: point.clone(),
                error: error.clone(),
            }));
            return found;
        }
        Layers::Known(layers) => layers,
    };
    // Of all overlays: one may be made of another.
    for Layer {
        overlay,
        name,
        places,
    } in layers
    {
        match places {
            Some(paths) => found.extend(paths.iter().map(|path| {
                InUse {
                    path: path.clone(),
                    why: Used::Overlay {
                        point: point.clone(),
                    }
                    .into(),
                }
            })),
            None => found.push(everything(Used::Layer {
                name: name.clone(),
                overlay: overlay.clone(),
            })),
        }
    }
    found
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
    use std::io;

    use super::*;
    use crate::layers::{Directories, locate};

    const TABLE: &[u8] = b"1 1 0:2 / / rw - rootfs none rw\n\
          2 1 0:5 / /dev rw - devtmpfs none rw\n\
          3 1 0:6 / /scratch rw - tmpfs none rw\n\
          4 1 0:7 / /sysroot ro - overlay overlay ro,lowerdir=/link:/scratch/a:/mnt/c:/sysroot,upperdir=/overlay/up,workdir=/overlay/work\n\
          5 4 0:2 /lib/modules /sysroot/lib/modules rw - rootfs none rw\n\
          6 2 0:2 /firmware /dev/firmware rw - rootfs none rw\n\
          7 1 0:2 /data /mnt rw - rootfs none rw\n\
          8 1 0:9 / /run rw - tmpfs none rw\n\
          9 8 0:10 / /run rw - tmpfs none rw\n";

    /// Directories of a machine that is not there.
    #[derive(Default)]
    struct Named {
        /// Paths of the old root with its mounts.
        now: Vec<(&'static str, u64, &'static str)>,
        /// Paths of the old root that lead to a mount that does not answer.
        silent: Vec<&'static str>,
        /// Directories of the initramfs without mounts, and whether they are empty.
        below: Vec<(&'static str, bool)>,
        /// What overlays show of the initramfs.
        seen: Option<Vec<&'static str>>,
    }

    impl Directories for Named {
        fn follow(&self, path: &[u8]) -> io::Result<Option<(u64, Vec<u8>)>> {
            if self.silent.contains(&str::from_utf8(path).unwrap()) {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let mut named = self.now.iter();
            let found = named.find(|(name, ..)| name.as_bytes() == path);
            Ok(found.map(|(_, mount, real)| (*mount, real.as_bytes().to_vec())))
        }

        fn follow_below(&self, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
            let found = self.below.iter().any(|(name, _)| name.as_bytes() == path);
            Ok(found.then(|| path.to_vec()))
        }

        fn is_empty(&self, path: &[u8]) -> bool {
            self.below.contains(&(str::from_utf8(path).unwrap(), true))
        }

        fn ending_in(&self, names: &[u8]) -> io::Result<Vec<Vec<u8>>> {
            let end = format!("/{}", str::from_utf8(names).unwrap());
            let all = self.below.iter().map(|(name, _)| *name);
            let found = all.filter(|name| name.ends_with(&end));
            Ok(found.map(|name| name.as_bytes().to_vec()).collect())
        }

        fn seen_in(&self, _: &Mount) -> Option<Vec<Vec<u8>>> {
            let seen = self.seen.as_ref()?.iter();
            Some(seen.map(|path| path.as_bytes().to_vec()).collect())
        }
    }

    fn named() -> Named {
        Named {
            now: vec![
                ("/link", 1, "/layers/b"),
                ("/scratch/a", 3, "/scratch/a"),
                ("/mnt/c", 7, "/mnt/c"),
                ("/sysroot", 4, "/sysroot"),
                ("/overlay/up", 1, "/overlay/up"),
                ("/overlay/work", 1, "/overlay/work"),
            ],
            below: vec![("/sysroot", false), ("/overlay/up", true)],
            ..Named::default()
        }
    }

    fn paths(table: &[u8], directories: Named) -> Vec<String> {
        let mounts = mounts::parse(table).unwrap();
        let outlives = |mount: &Mount| outlives(mount, &mounts, b"/sysroot", 4);
        let layers = locate(&mounts, &mounts[0], None, || Ok(Box::new(directories)));
        let found = find(&mounts, &mounts[0], None, outlives, &layers);
        found
            .into_iter()
            .map(|used| String::from_utf8(used.path).unwrap())
            .collect()
    }

    #[test]
    fn what_the_new_root_is_made_of_survives() {
        assert_eq!(
            paths(TABLE, named()),
            [
                "/lib/modules",
                "/firmware",
                "/layers/b",
                "/data/c",
                "/sysroot",
                "/overlay/up",
                "/overlay/work"
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
        assert_eq!(paths(table, Named::default()), ["/modules", "/"]);
    }

    /// What is kept for an overlay of these layers, beside a tmpfs on /rw that came from /mnt/rw.
    fn kept(layers: &str, directories: Named) -> Vec<String> {
        let table = format!(
            "1 1 0:2 / / rw - rootfs none rw\n\
             4 1 0:7 / /sysroot rw - overlay overlay rw,{layers}\n\
             5 4 0:8 / /sysroot/media/rw rw - tmpfs none rw\n\
             6 1 0:9 / /cover rw - tmpfs none rw\n"
        );
        paths(table.as_bytes(), directories)
    }

    #[test]
    fn a_layer_that_a_mount_covers_is_kept() {
        let covered = |empty| Named {
            now: vec![("/cover", 6, "/cover")],
            below: vec![("/cover", empty)],
            ..Named::default()
        };
        assert_eq!(kept("lowerdir=/cover", covered(false)), ["/cover"]);
        assert_eq!(kept("upperdir=/cover", covered(true)), ["/cover"]);
        // Without an empty one, too, nothing can be listed.
        assert_eq!(kept("lowerdir=/cover", covered(true)), ["/cover"]);
    }

    #[test]
    fn a_layer_behind_a_mount_that_does_not_answer_lies_below_it() {
        let silent = |below| Named {
            silent: vec!["/cover/a"],
            below,
            ..Named::default()
        };
        let there = || silent(vec![("/cover/a", false)]);
        assert_eq!(kept("lowerdir=/cover/a", there()), ["/cover/a"]);
        // Or on that mount, or anywhere.
        let not_there = [Vec::new(), vec![("/cover/a", true)]];
        for below in not_there {
            assert!(kept("lowerdir=/cover/a", silent(below)).contains(&"/".into()));
        }
    }

    #[test]
    fn a_layer_that_cannot_be_located_keeps_everything() {
        for layers in [
            "lowerdir=/renamed",
            "upperdir=/unbound/upper",
            "lowerdir=renamed",
            "lowerdir=../up",
        ] {
            assert_eq!(kept(layers, Named::default()), ["/"], "{layers}");
        }
        // What is left where a mount was that the layer was named by.
        let empty = || Named {
            now: vec![("/mnt", 1, "/mnt")],
            below: vec![("/mnt", true)],
            ..Named::default()
        };
        for layers in ["lowerdir=/mnt", "lowerdir=mnt"] {
            assert!(kept(layers, empty()).contains(&"/".into()), "{layers}");
        }
    }

    #[test]
    fn an_overlay_over_its_own_layer_elsewhere_keeps_nothing() {
        let table = "1 1 0:2 / / rw - rootfs none rw\n\
             4 1 0:8 / /sysroot rw - tmpfs none rw\n\
             5 4 0:7 / /sysroot/usr ro - overlay overlay ro,lowerdir=/sysroot/usr\n";
        let over = Named {
            now: vec![("/sysroot/usr", 5, "/sysroot/usr")],
            ..Named::default()
        };
        assert!(paths(table.as_bytes(), over).is_empty());
    }

    #[test]
    fn an_overlay_of_the_program_itself_keeps_nothing() {
        let mounts = mounts::parse(
            b"1 1 0:2 / / rw - rootfs none rw\n\
              4 1 0:7 / /sysroot ro - overlay overlay ro,lowerdir=/gone/0:/gone/root\n",
        )
        .unwrap();
        let outlives = |mount: &Mount| mount.id == 4;
        let layers = locate(&mounts, &mounts[0], Some(4), || unreachable!());
        let found = find(&mounts, &mounts[0], Some(4), outlives, &layers);
        assert_eq!(found, []);
    }

    #[test]
    fn a_layer_whose_mount_was_moved_lies_elsewhere() {
        let moved = || Named {
            now: vec![
                ("/sysroot/media/rw", 5, "/sysroot/media/rw"),
                ("/sysroot/media/rw/upper", 5, "/sysroot/media/rw/upper"),
            ],
            ..Named::default()
        };
        for layers in [
            "lowerdir=/media/rw",
            "upperdir=/media/rw/upper",
            "upperdir=media/rw/upper",
        ] {
            assert!(kept(layers, moved()).is_empty(), "{layers}");
        }
        // Another name that only ends alike, and another directory on that mount.
        for layers in ["lowerdir=/edia/rw", "upperdir=/media/rw/other"] {
            assert_eq!(kept(layers, moved()), ["/"], "{layers}");
        }
    }

    #[test]
    fn a_relative_layer_keeps_what_it_may_mean() {
        let directories = || Named {
            below: vec![("/a/lower", false), ("/b/lower", true), ("/c", false)],
            ..Named::default()
        };
        let both = ["/a/lower", "/b/lower"];
        assert_eq!(kept("lowerdir=lower", directories()), both);
        assert_eq!(kept("upperdir=lower", directories()), both);
    }

    #[test]
    fn a_layer_given_by_descriptor_keeps_what_is_seen_of_it() {
        let seen = |seen| Named {
            now: vec![("/", 1, "/")],
            seen,
            ..Named::default()
        };
        for path in ["/", "/proc/self/fd/7", "/dev/fd/7"] {
            let kept = |option, directories| kept(&format!("{option}={path}"), directories);
            assert!(kept("lowerdir+", seen(Some(Vec::new()))).is_empty());
            assert_eq!(kept("lowerdir", seen(Some(vec!["/layer"]))), ["/layer"]);
            assert_eq!(kept("datadir+", seen(None)), ["/"]);
            assert_eq!(kept("upperdir", seen(Some(Vec::new()))), ["/"]);
        }
    }

    #[test]
    fn a_path_that_was_deleted_after_it_was_bound_is_none() {
        let table = b"1 1 0:2 / / rw - rootfs none rw\n\
              4 1 0:7 / /sysroot ro - ext4 /dev/vda ro\n\
              5 4 0:2 /note//deleted /sysroot/note rw - rootfs none rw\n\
              6 4 0:2 /deleted /sysroot/deleted rw - rootfs none rw\n";
        assert_eq!(paths(table, Named::default()), ["/deleted"]);
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
