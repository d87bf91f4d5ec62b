//! A file system that holds nothing but places to bind paths of the initramfs on, and the
//! directories above them, with the modes and owners that they have there.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use switch_root_core::path::{Path, is_at_or_below};
use switch_root_core::report::Report;

use crate::listing;
use crate::mount_calls::{Extent, Setting, attach, copy, make, make_read_only};

switch_root_core::outcomes! {
    /// What is not shown to others than root.
    pub enum Unbound in "switch-warnings" {
        /// Others than root do not see it. Bind it by hand where it is needed.
        "SR-W14" Path { path: Path, error: io::Error } = "{path} of the initramfs cannot be bound below /run/switch-root/preserved: {error}; root finds it below /run/switch-root/private/initramfs",
    }
}

/// See the module.
pub struct Skeleton {
    /// Its mount, attached nowhere before [`Skeleton::attach`].
    root: OwnedFd,
    /// What is bound.
    paths: Vec<Path>,
}

impl Skeleton {
    /// Makes one for these paths of the initramfs, read-only, without devices and
    /// set-user-id programs.
    ///
    /// # Errors
    /// The kernel does not make it, or has no memory for it.
    pub fn make(initramfs: &OwnedFd, paths: &[&Path]) -> io::Result<Self> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let root = make("tmpfs", &[Setting::Text("mode", "0755")], attributes)
            .map_err(|failure| io::Error::from(failure.error))?;
        let mut above = BTreeMap::new();
        for path in paths {
            match place(initramfs, &root, &path.0, &mut above) {
                // It was removed meanwhile, which shows when it is to be bound.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => outcome?,
            }
        }
        // Afterwards: nothing could be made in a directory of mode 0.
        for (path, stat) in &above {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let directory = listing::open(&root, path, flags)?;
            own(&directory, stat)?;
        }
        make_read_only(&root, Extent::One)?;
        let paths = paths.iter().map(|path| (*path).clone()).collect();
        Ok(Self { root, paths })
    }

    /// Attaches it to a place, and binds the paths out of the initramfs, which must be
    /// attached by then. A path that cannot be bound is recorded.
    ///
    /// # Errors
    /// It cannot be attached itself.
    pub fn attach(
        &self,
        initramfs: &OwnedFd,
        place: OwnedFd,
        report: &mut Report,
    ) -> io::Result<()> {
        attach(&self.root, &place)?;
        // There may be few descriptors.
        drop(place);
        for path in &self.paths {
            if let Err(error) = self.bind(initramfs, path) {
                let path = path.clone();
                report.warn(Unbound::Path { path, error });
            }
        }
        Ok(())
    }

    fn bind(&self, initramfs: &OwnedFd, path: &Path) -> io::Result<()> {
        let original = listing::open(initramfs, &path.0, OFlags::PATH)?;
        if kind(&fs::fstat(&original)?) == FileType::Symlink {
            // Nothing can be mounted on a link; a copy of it is there.
            return Ok(());
        }
        let tree = copy(original, Extent::One)?;
        let place = listing::open(&self.root, &path.0, OFlags::PATH)?;
        Ok(attach(tree, place)?)
    }

    /// Opens the place of a mount point of the initramfs, if it is at or below one of the
    /// paths.
    pub fn place_of(&self, point: &Path) -> Option<io::Result<OwnedFd>> {
        let path = self
            .paths
            .iter()
            .find(|path| is_at_or_below(&point.0, &path.0))?;
        let open = || {
            let bound = listing::open_at_mount(&self.root, &path.0)?;
            match &point.0[path.0.len()..] {
                b"" => Ok(bound),
                rest => listing::open(bound, rest, OFlags::PATH),
            }
        };
        Some(open())
    }
}

/// Makes the place of a path, and the directories above it. Of these `above` has what they
/// are in the initramfs, by path.
fn place(
    initramfs: &OwnedFd,
    root: &OwnedFd,
    path: &[u8],
    above: &mut BTreeMap<Vec<u8>, Stat>,
) -> io::Result<()> {
    let stat = fs::fstat(listing::open(initramfs, path, OFlags::PATH)?)?;
    let ends = (1..path.len()).filter(|end| path[*end] == b'/');
    for end in std::iter::once(0).chain(ends) {
        let directory = &path[..end];
        if above.contains_key(directory) {
            continue;
        }
        let stat = fs::fstat(listing::open(initramfs, directory, OFlags::PATH)?)?;
        if end > 0 {
            let (parent, name) = parent(root, directory)?;
            fs::mkdirat(parent, name, Mode::RWXU)?;
        }
        above.insert(directory.to_vec(), stat);
    }
    let (parent, name) = parent(root, path)?;
    match kind(&stat) {
        FileType::Directory => fs::mkdirat(parent, name, Mode::RWXU)?,
        FileType::Symlink => {
            let link = listing::open(initramfs, path, OFlags::PATH)?;
            let target = fs::readlinkat(link, c"", Vec::new())?;
            fs::symlinkat(target, &parent, name)?;
            let (owner, group) = owner(&stat);
            fs::chownat(parent, name, owner, group, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        _ => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            drop(fs::openat(parent, name, flags, Mode::empty())?);
        }
    }
    Ok(())
}

/// The directory that a path lies in, and its name there.
fn parent<'p>(root: &OwnedFd, path: &'p [u8]) -> io::Result<(OwnedFd, &'p [u8])> {
    let cut = path
        .iter()
        .rposition(|byte| *byte == b'/')
        .ok_or(Errno::INVAL)?;
    let directory = listing::open(root, &path[..cut], OFlags::PATH | OFlags::DIRECTORY)?;
    Ok((directory, &path[cut + 1..]))
}

/// Gives a directory the owner and the mode of another one.
fn own(directory: impl AsFd, stat: &Stat) -> io::Result<()> {
    let (owner, group) = owner(stat);
    fs::fchown(&directory, owner, group)?;
    // After the owner, which takes bits of the mode away.
    let mode = Mode::from_raw_mode(stat.st_mode & 0o7777);
    Ok(fs::fchmod(&directory, mode)?)
}

fn owner(stat: &Stat) -> (Option<Uid>, Option<Gid>) {
    (
        Some(Uid::from_raw(stat.st_uid)),
        Some(Gid::from_raw(stat.st_gid)),
    )
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}
