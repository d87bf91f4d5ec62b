//! Where the layers of overlays lie that outlive the switch.
//!
//! The kernel keeps a layer's name as the mount was given it, and says nothing else of the
//! layer. What the name leads to may have changed since: something was mounted over it, its
//! mount was moved, the directory was renamed, or the name was relative to a working
//! directory that nobody knows. So each directory of the initramfs is found that the name
//! may mean. Where none is found, and no other mount that has it, the layer may be anywhere.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use switch_root_core::outcome::warn;
use switch_root_core::path::{Path, join};
use switch_root_core::resolve::in_root;

use crate::mounts::in_initramfs;
use crate::mounts::{self, Layer, Mount};
use crate::planner::{self, Layers};
use crate::proc::Proc;
use crate::{answering, listing};

switch_root_core::outcomes! {
    /// That a layer of an overlay is not located.
    pub enum Unlocated in "new-root" {
        /// A warning: its path leads to a network or FUSE file system whose server is out of reach.
        /// Check that; nothing is deleted where the layer may lie in the initramfs.
        "SR-N62" Silent { path: Path, seconds: u64 } = "locating {path}, which an overlay is or may be made of, took more than {seconds} s, since a mount there does not answer; where nothing else locates it, the whole initramfs is kept",
    }
}

/// Where a path leads: the number of the mount, and the path without links.
pub type Located = (u64, Vec<u8>);

/// What can be found out about names of directories. Without mounts, the paths are those of
/// the initramfs' own file system, as if nothing was mounted on it.
pub trait Directories {
    /// Follows a path of the old root, over what is mounted there now. Fails with
    /// `TimedOut` where that does not answer.
    fn follow(&self, path: &[u8]) -> io::Result<Option<Located>>;
    /// Follows a path of the initramfs without its mounts. The path comes back without links.
    fn follow_below(&self, path: &[u8]) -> io::Result<Option<Vec<u8>>>;
    /// Whether a directory of the initramfs without its mounts is empty.
    fn is_empty(&self, path: &[u8]) -> bool;
    /// The directories of the initramfs without its mounts whose paths end in these names.
    fn ending_in(&self, names: &[u8]) -> io::Result<Vec<Vec<u8>>>;
    /// The directories of the initramfs without its mounts whose files an overlay shows, in
    /// its root directory and below. `None` where that cannot be told.
    fn seen_in(&self, overlay: &Mount) -> Option<Vec<Vec<u8>>>;
}

/// Locates the layers of all overlays but the one that the program itself has made, the mount
/// `own`. Looks for nothing without one.
pub fn locate<'d>(
    mounts: &[Mount],
    root: &Mount,
    own: Option<u64>,
    directories: impl FnOnce() -> io::Result<Box<dyn Directories + 'd>>,
) -> Layers {
    let overlays = mounts.iter().filter(|mount| own != Some(mount.id));
    let layers: Vec<(&Mount, Layer)> = overlays
        .flat_map(|mount| {
            mounts::overlay_layers(mount)
                .into_iter()
                .map(move |layer| (mount, layer))
        })
        .collect();
    if layers.is_empty() {
        return Layers::Known(Vec::new());
    }
    let directories = match directories() {
        Ok(directories) => directories,
        Err(error) => return Layers::NotKnown(error.to_string()),
    };
    let located = layers.into_iter().map(|(overlay, layer)| planner::Layer {
        overlay: overlay.point.as_slice().into(),
        places: places(&layer, overlay, mounts, root, &*directories),
        name: layer.path.into(),
    });
    Layers::Known(located.collect())
}

/// The directories of the initramfs, mounted as `root`, that a layer of `overlay` may be.
/// `None` where the layer cannot be located at all.
fn places(
    layer: &Layer,
    overlay: &Mount,
    mounts: &[Mount],
    root: &Mount,
    directories: &dyn Directories,
) -> Option<Vec<Vec<u8>>> {
    let path = layer.path.as_slice();
    if is_of_a_descriptor(path) {
        // Nothing tells where an empty directory lies that is written to.
        return directories.seen_in(overlay).filter(|_| !layer.written);
    }
    let Hits {
        mut found,
        mut located,
    } = match path.starts_with(b"/") {
        true => absolute(layer, overlay, mounts, root, directories)?,
        false => relative(layer, directories)?,
    };
    if !located && let Some(moved) = on_a_moved_mount(path, overlay, mounts, root, directories) {
        found.extend(moved);
        located = true;
    }
    found.sort();
    found.dedup();
    located.then_some(found)
}

/// What a name leads to.
struct Hits {
    /// Directories of the initramfs. An empty one counts, too: where a lower layer is removed
    /// that holds nothing, the overlay's root directory cannot be listed any more.
    found: Vec<Vec<u8>>,
    /// Whether the layer is among them, or on another file system. Of empty directories
    /// nothing tells the layer from what is left where a mount was.
    located: bool,
}

impl Hits {
    fn of(layer: &Layer, found: Vec<Vec<u8>>, directories: &dyn Directories) -> Self {
        // What is written to lies below the root of a mount, and may be empty.
        let tells = |path: &Vec<u8>| layer.written || !directories.is_empty(path);
        let located = found.iter().any(tells);
        Self { found, located }
    }
}

/// Whether it is the name of a mount that was attached nowhere, given by its descriptor: `/`,
/// which may be the initramfs as well, or a link of the proc file system.
fn is_of_a_descriptor(path: &[u8]) -> bool {
    let of_a_process = |rest: &[u8]| {
        let mut names = rest.split(|byte| *byte == b'/');
        names.next().is_some() && names.next() == Some(b"fd")
    };
    path == b"/"
        || path.starts_with(b"/dev/fd/")
        || path.strip_prefix(b"/proc/").is_some_and(of_a_process)
}

/// Follows an absolute name. `None` where that cannot be done.
fn absolute(
    layer: &Layer,
    overlay: &Mount,
    mounts: &[Mount],
    root: &Mount,
    directories: &dyn Directories,
) -> Option<Hits> {
    let path = layer.path.as_slice();
    let mut found = Vec::new();
    let mut elsewhere = false;
    let leads_to = match directories.follow(path) {
        // It leads to a mount that does not answer; the layer may lie below that.
        Err(error) if error.kind() == io::ErrorKind::TimedOut => None,
        leads_to => leads_to.ok()?,
    };
    if let Some((mount, real)) = leads_to {
        // An overlay may be mounted over its own layer.
        let mount = match mount == overlay.id {
            true => overlay.parent,
            false => mount,
        };
        let mount = mounts.iter().find(|other| other.id == mount)?;
        match in_initramfs(mount, &real, root) {
            Some(path) => found.push(path),
            None => elsewhere = mount.device != root.device,
        }
    }
    // Below whatever is mounted over it by now, on the initramfs or on a part of it that is
    // bound elsewhere.
    let own = mounts.iter().filter(|mount| mount.device == root.device);
    for below in own.filter_map(|mount| in_initramfs(mount, path, root)) {
        found.extend(directories.follow_below(&below).ok()?);
    }
    let mut hits = Hits::of(layer, found, directories);
    hits.located |= elsewhere;
    Some(hits)
}

/// Finds all that a relative name may mean. `None` where that cannot be done.
fn relative(layer: &Layer, directories: &dyn Directories) -> Option<Hits> {
    let path = layer.path.as_slice();
    if path.split(|byte| *byte == b'/').any(|name| name == b"..") {
        return None;
    }
    let found = directories.ending_in(path).ok()?;
    Some(Hits::of(layer, found, directories))
}

/// Finds a layer whose mount was moved since: a mount point that ends in the first names of
/// the layer's path, and has the others. Those on the initramfs come back.
fn on_a_moved_mount(
    path: &[u8],
    overlay: &Mount,
    mounts: &[Mount],
    root: &Mount,
    directories: &dyn Directories,
) -> Option<Vec<Vec<u8>>> {
    let names = path.strip_prefix(b"/").unwrap_or(path);
    let ends = (0..names.len()).filter(|end| names[*end] == b'/');
    let mut found = None;
    for end in ends.chain([names.len()]) {
        let (first, rest) = (&names[..end], &names[end..]);
        let points = mounts.iter().filter(|mount| {
            mount.id != overlay.id && mount.id != root.id && ends_in(&mount.point, first)
        });
        for mount in points {
            let whole = [mount.point.as_slice(), rest].concat();
            let Ok(Some((there, real))) = directories.follow(&whole) else {
                continue;
            };
            if there == mount.id {
                let found: &mut Vec<_> = found.get_or_insert_default();
                found.extend(in_initramfs(mount, &real, root));
            }
        }
    }
    found
}

/// Whether a path ends in these names, whole ones.
fn ends_in(path: &[u8], names: &[u8]) -> bool {
    let names = [b"/", names].concat();
    path.ends_with(&names)
}

/// Those of this machine.
pub struct OfThisMachine<'a> {
    /// The initramfs, without what is mounted on it.
    alone: &'a OwnedFd,
    /// The proc file system.
    proc: &'a Proc,
    /// Everything that is mounted.
    mounts: &'a [Mount],
    /// How long a path may take that leads over other mounts; less, once one did not answer.
    patience: &'a Cell<Duration>,
}

/// How long another path may take once one did not answer: many may lead to the same mount.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// What a lookup says of a path that leads nowhere.
fn there<T>(found: rustix::io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl<'a> OfThisMachine<'a> {
    /// Finds out nothing yet.
    pub fn new(
        alone: &'a OwnedFd,
        proc: &'a Proc,
        mounts: &'a [Mount],
        patience: &'a Cell<Duration>,
    ) -> Self {
        Self {
            alone,
            proc,
            mounts,
            patience,
        }
    }

    /// Looks up what may lead over mounts that do not answer.
    fn over_mounts<T>(&self, what: &[u8], find: impl Fn() -> T) -> io::Result<T> {
        let patience = self.patience.get();
        answering::look_up(self.mounts, patience, find).ok_or_else(|| {
            let (path, seconds) = (what.into(), patience.as_secs());
            warn(&Unlocated::Silent { path, seconds }.into());
            self.patience.set(IMPATIENCE);
            io::ErrorKind::TimedOut.into()
        })
    }

    /// Calls `each` for all that is in the initramfs, with its path and whether it is a
    /// directory.
    fn each(&self, mut each: impl FnMut(&[u8], bool) -> io::Result<()>) -> io::Result<()> {
        let mut to_do = vec![b"/".to_vec()];
        while let Some(path) = to_do.pop() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let directory = listing::open(self.alone, &path, flags)?;
            for entry in Dir::read_from(&directory)? {
                let entry = entry?;
                let name = entry.file_name().to_bytes();
                if matches!(name, b"." | b"..") {
                    continue;
                }
                let here = join(&path, name);
                let is_directory = entry.file_type() == FileType::Directory;
                each(&here, is_directory)?;
                if is_directory {
                    to_do.push(here);
                }
            }
        }
        Ok(())
    }
}

impl Directories for OfThisMachine<'_> {
    fn follow(&self, path: &[u8]) -> io::Result<Option<Located>> {
        let follow = || {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let Some(place) = there(fs::open(path, flags, Mode::empty()))? else {
                return Ok(None);
            };
            Ok(Some((
                listing::mount_id(&place)?,
                self.proc.path_of(&place)?,
            )))
        };
        self.over_mounts(path, follow)?
    }

    fn follow_below(&self, path: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let place = there(in_root(self.alone.as_fd(), path, OFlags::PATH))?;
        // In a tree that is attached nowhere, paths begin at its root.
        place.map(|place| self.proc.path_of(place)).transpose()
    }

    fn is_empty(&self, path: &[u8]) -> bool {
        let entries = in_root(self.alone.as_fd(), path, OFlags::RDONLY | OFlags::DIRECTORY)
            .and_then(Dir::new);
        // What cannot be read may hold something.
        entries.is_ok_and(|mut entries| {
            entries.all(|entry| {
                entry.is_ok_and(|entry| matches!(entry.file_name().to_bytes(), b"." | b".."))
            })
        })
    }

    fn ending_in(&self, names: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let mut found = Vec::new();
        self.each(|path, is_directory| {
            if is_directory && ends_in(path, names) {
                found.push(path.to_vec());
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn seen_in(&self, overlay: &Mount) -> Option<Vec<Vec<u8>>> {
        let compare = || self.compare(overlay);
        self.over_mounts(&overlay.point, compare).ok().flatten()
    }
}

impl OfThisMachine<'_> {
    /// See [`Directories::seen_in`].
    fn compare(&self, overlay: &Mount) -> Option<Vec<Vec<u8>>> {
        // What is covered, or shown in part, cannot be compared.
        let whole = self.mounts.iter().find(|mount| {
            mount.device == overlay.device
                && mount.root == b"/"
                && mounts::top(self.mounts, &mount.point).is_some_and(|top| top.id == mount.id)
        })?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let shown = fs::open(whole.point.as_slice(), flags, Mode::empty()).ok()?;
        if listing::mount_id(&shown).ok()? != whole.id {
            return None;
        }
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let mut found = BTreeSet::new();
        self.each(|path, is_directory| {
            if is_directory {
                return Ok(());
            }
            let own = fs::statat(self.alone, &path[1..], flags)?;
            for (cut, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                let (directory, rest) = (&path[..cut.max(1)], &path[cut + 1..]);
                if !found.contains(directory)
                    && fs::statat(&shown, rest, flags).is_ok_and(|shown| is_same(&own, &shown))
                {
                    found.insert(directory.to_vec());
                }
            }
            Ok(())
        })
        .ok()?;
        Some(found.into_iter().collect())
    }
}

/// Whether an overlay shows the file of a layer. It has another device number there, and
/// the upper half of its inode's number may tell layers apart.
fn is_same(own: &Stat, shown: &Stat) -> bool {
    let what = |stat: &Stat| {
        let time = (stat.st_mtime, stat.st_mtime_nsec);
        (stat.st_ino as u32, stat.st_mode, stat.st_size, time)
    };
    what(own) == what(shown)
}
