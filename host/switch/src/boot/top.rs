//! The uppermost layer of the new root: directories of the root image, as they are there,
//! and nothing in them. In an overlay a directory has owner, mode, times and extended
//! attributes of the uppermost layer that has it.

use std::collections::BTreeSet;
use std::io;

use rustix::fs::{self, Gid, Mode, OFlags, Timespec, Timestamps, Uid};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;

use super::attributes::Attributes;
use super::mounted::Mounted;
use crate::listing::open;
use crate::mount_calls::Setting;

switch_root_core::outcomes! {
    /// Why nothing can be restored.
    pub enum NoTop in "layers" {
        /// The kernel has no memory for another file system, or lacks tmpfs.
        "SR-L32" Mounting { reason: io::Error } = "no tmpfs could be mounted: {reason}",
    }
}

/// Why there is no such layer.
pub struct NotMade {
    /// The directory that could not be restored.
    pub path: Vec<u8>,
    /// What failed.
    pub reason: String,
}

/// Mounts one with these directories of the root image; those above each are among them.
///
/// # Errors
/// The first one that could not be restored: nothing is mounted then.
pub fn make(root: &Mounted, directories: &BTreeSet<&[u8]>) -> Result<Mounted, NotMade> {
    let failed = |path: &[u8], reason: String| NotMade {
        path: path.to_vec(),
        reason,
    };
    // What an overlay is made of it cannot be written to in any case.
    let settings = [Setting::Text("mode", "0700")];
    let top = Mounted::mount("top", "tmpfs", &settings, MountAttrFlags::empty())
        .map_err(|reason| failed(b"/", NoTop::Mounting { reason }.into()))?;
    // All of them first: a default access control list passes to what is made below, and
    // what is made below changes the time of the directory.
    for path in directories {
        let name = path.strip_prefix(b"/").unwrap_or(path);
        if !name.is_empty() {
            fs::mkdirat(&top.directory, name, Mode::RWXU)
                .map_err(|error| failed(path, error.to_string()))?;
        }
    }
    for path in directories {
        restore(root, &top, path).map_err(|error| failed(path, error.to_string()))?;
    }
    Ok(top)
}

/// Gives a directory what it has in the root image.
fn restore(root: &Mounted, top: &Mounted, path: &[u8]) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let from = open(&root.directory, path, flags)?;
    let to = open(&top.directory, path, flags)?;
    let stat = fs::fstat(&from)?;
    let (user, group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
    fs::fchown(&to, Some(user), Some(group))?;
    fs::fchmod(&to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    // Every layer has a root directory, and none is left out for what no tmpfs knows.
    let tolerated = |error| error == Errno::OPNOTSUPP && path == b"/";
    Attributes::of(&from)?.set(&to, tolerated)?;
    let modified = Timespec {
        tv_sec: stat.st_mtime,
        tv_nsec: stat.st_mtime_nsec as _,
    };
    let times = Timestamps {
        last_access: modified,
        last_modification: modified,
    };
    Ok(fs::futimens(&to, &times)?)
}
