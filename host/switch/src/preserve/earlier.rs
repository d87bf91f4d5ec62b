//! What an earlier run has left: its copies, and what it bound. A unit may be started
//! again, and nothing must be stacked.

use std::io;
use std::os::fd::OwnedFd;

use nix::mount::{MntFlags, umount2};
use rustix::fs::{self, AtFlags};
use rustix::io::Errno;
use switch_root_core::keep::Keep;
use switch_root_core::locations::{DIRECTORY, PRESERVED, PRIVATE, WHOLE};
use switch_root_core::path::{is_at_or_below, join};

use super::store::{Store, within};
use crate::deletion::{self, Action};
use crate::proc::Proc;
use crate::{listing, mounts};

switch_root_core::outcomes! {
    /// What is left of an earlier run.
    pub enum Left in "copy-warnings" {
        /// The unit was started a second time. Mounts may be stacked on each other now; the uppermost
        /// counts.
        "SR-W82" Unknown { reason: String } = "whether an earlier run has bound something is not known: {reason}",
        "SR-W83" Bound { path: String, error: nix::Error } = "{path}, which an earlier run has bound, cannot be detached: {error}",
    }
}

/// Removes the mounts that an earlier run made of its copies. Returns what went wrong,
/// as sentences.
pub fn unmount(store: &Store, new_root: &[u8], proc: &Proc) -> Vec<Left> {
    let points = match find(store, new_root, proc) {
        Ok(points) => points,
        Err(reason) => {
            let reason = reason.to_string();
            return vec![Left::Unknown { reason }];
        }
    };
    // Those in the new root stand behind what they were made of.
    let detach = |point: Vec<u8>| {
        let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
        let error = umount2(point.as_slice(), flags).err()?;
        let path = switch_root_core::escape::path(&point);
        Some(Left::Bound { path, error })
    };
    points.into_iter().rev().filter_map(detach).collect()
}

fn find(store: &Store, new_root: &[u8], proc: &Proc) -> io::Result<Vec<Vec<u8>>> {
    let table = proc.read("self/mountinfo")?;
    let all = mounts::parse(&table).map_err(io::Error::other)?;
    let id = listing::mount_id(&store.run)?;
    let Some(run) = all.iter().find(|mount| mount.id == id) else {
        return Ok(Vec::new());
    };
    let directory = join(&run.root, DIRECTORY.as_bytes());
    let copies = [
        join(&directory, PRESERVED.as_bytes()),
        join(&join(&directory, PRIVATE.as_bytes()), WHOLE.as_bytes()),
    ];
    let places = [store.preserved().0, store.whole().0];
    let ours = all.iter().filter(|mount| {
        mount.device == run.device
            && copies.iter().any(|copy| is_at_or_below(&mount.root, copy))
            && (places.contains(&mount.point) || is_at_or_below(&mount.point, new_root))
    });
    Ok(ours.map(|mount| mount.point.clone()).collect())
}

/// Removes a directory and all that it holds, where it is there.
///
/// # Errors
/// What it holds cannot be removed, or it is no directory.
pub fn remove(directory: &OwnedFd, name: &str) -> io::Result<()> {
    let inside = match within(directory, name) {
        Ok(inside) => inside,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    deletion::run(inside, &Keep::default(), Action::Delete)?;
    Ok(fs::unlinkat(directory, name, AtFlags::REMOVEDIR)?)
}
