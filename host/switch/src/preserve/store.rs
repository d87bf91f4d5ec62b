//! The /run that outlives the switch: where the report and the copies go.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{self, AtFlags, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::io::Errno;
use switch_root_core::locations::{DIRECTORY, PRESERVED, PRIVATE, WHOLE};
use switch_root_core::path::Path;
use switch_root_core::resolve::in_root;

use crate::directories::directory_of_root;
use crate::listing;
use crate::proc::Proc;

switch_root_core::outcomes! {
    /// Why nothing outlives the switch in /run.
    pub enum NoRun in "no-run" {
        /// Copies and report must outlive the switch, so that `/run` must be a file system of its own.
        /// systemd mounts one by itself.
        "SR-W62" OfTheInitramfs { path: Path } = "{path} is a part of the initramfs, and is deleted with it; mount a tmpfs on /run before",
        /// The same; or `/run` of the initramfs is a link.
        "SR-W63" Opening { error: Errno } = "/run cannot be opened: {error}; mount a tmpfs there, which outlives the switch",
        "SR-W64" Examining { error: io::Error } = "/run cannot be examined: {error}",
    }
}

/// How directories are opened here: none of them is a link.
const FLAGS: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// A /run that is no part of the initramfs.
pub struct Store {
    /// Its directory.
    pub run: OwnedFd,
    /// Its path.
    path: Vec<u8>,
}

impl Store {
    /// Opens the /run that the running system will have: the new root's own, where that
    /// has one mounted, and the initramfs' otherwise, which is moved there.
    ///
    /// # Errors
    /// Why nothing outlives the switch there: a sentence for the operator.
    pub fn open(
        new_root: impl AsFd,
        new_root_path: &[u8],
        old_root: &OwnedFd,
        proc: &Proc,
    ) -> Result<Self, NoRun> {
        let run = |error: io::Error| NoRun::Examining { error };
        // It may be a link, which is followed as the switch follows it.
        let own = in_root(new_root.as_fd(), "/run", OFlags::RDONLY | OFlags::DIRECTORY).ok();
        let new_root_id = listing::mount_id(&new_root).map_err(run)?;
        let own = own.filter(|own| {
            is_mounted_on(own) && listing::mount_id(own).is_ok_and(|id| id != new_root_id)
        });
        let store = match own {
            Some(run) => Self {
                path: proc
                    .path_of(&run)
                    .unwrap_or_else(|_| [new_root_path, b"/run"].concat()),
                run,
            },
            None => Self {
                run: fs::open("/run", FLAGS, Mode::empty())
                    .map_err(|error| NoRun::Opening { error })?,
                path: b"/run".to_vec(),
            },
        };
        let device = |fd: &OwnedFd| fs::fstat(fd).map(|stat| stat.st_dev);
        let same = device(&store.run)
            .and_then(|run| Ok(run == device(old_root)?))
            .map_err(|error| run(error.into()))?;
        if same {
            let path = store.path.into();
            return Err(NoRun::OfTheInitramfs { path });
        }
        Ok(store)
    }

    /// Where the copies are, as a path.
    pub fn preserved(&self) -> Path {
        let inside = format!("/{DIRECTORY}/{PRESERVED}");
        [self.path.as_slice(), inside.as_bytes()].concat().into()
    }

    /// Where the copies for root alone are, as a path.
    pub fn whole(&self) -> Path {
        let inside = format!("/{DIRECTORY}/{PRIVATE}/{WHOLE}");
        [self.path.as_slice(), inside.as_bytes()].concat().into()
    }

    /// Opens the directory of the report and the copies, which is made if need be.
    ///
    /// # Errors
    /// Those of mkdir(2), open(2), chown(2) and chmod(2).
    pub fn directory(&self) -> rustix::io::Result<OwnedFd> {
        directory_of_root(&self.run, DIRECTORY, Mode::from_raw_mode(0o755))
    }

    /// Opens what an earlier run has copied, where there is something.
    pub fn earlier(&self) -> Vec<OwnedFd> {
        let open = |above: &OwnedFd, name| fs::openat(above, name, FLAGS, Mode::empty()).ok();
        let Some(directory) = open(&self.run, DIRECTORY) else {
            return Vec::new();
        };
        let whole = open(&directory, PRIVATE).and_then(|private| open(&private, WHOLE));
        open(&directory, PRESERVED)
            .into_iter()
            .chain(whole)
            .collect()
    }
}

fn is_mounted_on(directory: &OwnedFd) -> bool {
    fs::statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::empty())
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Opens a directory within another one.
///
/// # Errors
/// Those of open(2): a link is none.
pub fn within(directory: &OwnedFd, name: &str) -> rustix::io::Result<OwnedFd> {
    fs::openat(directory, name, FLAGS, Mode::empty())
}
