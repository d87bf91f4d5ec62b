//! Where in the new root something can be bound, and binding it: what `carry` answers
//! come to.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use policy::answer::check_target;
use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;
use switch_root_core::path::{Path, join};
use switch_root_core::preserved::{Carry, Survivor};
use switch_root_core::resolve::in_root;

use crate::mount_calls::attach;
use crate::planner::{Machine, NewRoot, check_carry};
use crate::proc::Proc;

switch_root_core::outcomes! {
    /// Why something is not bound at a path of the new root, as half a sentence.
    pub enum NoTarget in "carried-paths" {
        /// Choose another target.
        "SR-V08" LeadsToInit { path: String } = "{path} of the new root leads to the init, or to what starts it",
        /// Carry what the link leads to, to where the link leads to.
        "SR-V10" Link { path: String } = "{path} of the new root is a symbolic link",
        /// Files are bound on files, directories on directories.
        "SR-V11" Directory { path: String } = "{path} of the new root is a directory",
        "SR-V12" NotDirectory { path: String } = "{path} of the new root is not a directory",
        /// Make the file or directory in its image.
        "SR-V13" ReadOnly { path: String } = "the new root is read-only and has no {path} to bind it on",
        /// Directories above a target are not made: make them in the image.
        "SR-V14" Parent { parent: String, error: Errno } = "{parent} of the new root cannot be used: {error}",
        "SR-V15" Examining { path: String, error: Errno } = "{path} of the new root cannot be examined: {error}",
        "SR-V16" Locating { path: String, error: std::io::Error } = "{path} of the new root cannot be located: {error}",
        "SR-V17" Resolving { path: String, error: Errno } = "{path} of the new root cannot be resolved: {error}",
    }
}

switch_root_core::outcomes! {
    /// That something is not bound where a policy carries it.
    pub enum NotBound in "switch-warnings" {
        /// Copy it from `/run/switch-root/preserved`. Mostly the target's directory was not there or
        /// could not be written to.
        "SR-W30" Because { path: Path, target: String, error: String } = "{path} survives, but cannot be bound at {target} of the new root: {error}",
    }
}

/// Decides on one target, which keeps the rules of the contract.
///
/// # Errors
/// Why it is not bound there, as half a sentence. That does not stop the boot:
/// the path survives all the same.
pub fn place(
    new_root: BorrowedFd<'_>,
    machine: &Machine,
    target: &[u8],
    kind: FileKind,
    proc: &Proc,
) -> Result<Carry, Message> {
    let Machine { init, places, .. } = machine;
    let path = escape::path(target);
    let directory = kind == FileKind::Directory;
    match in_root(new_root, target, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(found) => {
            let stat = fs::fstat(&found).map_err(|error| NoTarget::Examining {
                path: path.clone(),
                error,
            })?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => Err(NoTarget::Link { path: path.clone() })?,
                FileType::Directory if !directory => {
                    Err(NoTarget::Directory { path: path.clone() })?
                }
                FileType::Directory => {}
                _ if directory => Err(NoTarget::NotDirectory { path: path.clone() })?,
                _ => {}
            }
            if init.trail.contains(&(stat.st_dev, stat.st_ino)) {
                Err(NoTarget::LeadsToInit { path: path.clone() })?;
            }
            // A directory on the way may be a link: the rules hold for where
            // it leads, too.
            let real = real_path(&found, &machine.new_root, proc, &path)?;
            check_target(&real, &init.paths)?;
            check_carry(places, &real, Some((stat.st_dev, stat.st_ino)))?;
            Ok(Carry {
                target: target.into(),
                real: real.into(),
                make: false,
            })
        }
        Err(Errno::NOENT) if machine.new_root.read_only => Err(NoTarget::ReadOnly { path }.into()),
        Err(Errno::NOENT) => {
            let cut = target.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let (parent, name) = (&target[..cut.max(1)], &target[cut + 1..]);
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let found = in_root(new_root, parent, flags).map_err(|error| {
                let parent = escape::path(parent);
                NoTarget::Parent { parent, error }
            })?;
            let real = real_path(&found, &machine.new_root, proc, &path)?;
            let real = join(&real, name);
            check_target(&real, &init.paths)?;
            check_carry(places, &real, None)?;
            Ok(Carry {
                target: target.into(),
                real: real.into(),
                make: true,
            })
        }
        Err(error) => Err(NoTarget::Resolving { path, error }.into()),
    }
}

/// Binds a survivor, as a mount that is attached nowhere yet, at its target in the new
/// root.
///
/// # Errors
/// What keeps it from being bound; that does not stop the boot.
pub fn bind(survivor: &Survivor, tree: &OwnedFd, new_root: &OwnedFd) -> std::io::Result<()> {
    let Some(carry) = &survivor.carried_to else {
        return Ok(());
    };
    let target = carry.target.0.as_slice();
    if carry.make {
        let cut = target.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let (parent, name) = (&target[..cut.max(1)], &target[cut + 1..]);
        let parent = in_root(new_root.as_fd(), parent, OFlags::PATH | OFlags::DIRECTORY)?;
        if survivor.kind == FileKind::Directory {
            fs::mkdirat(&parent, name, Mode::from_raw_mode(0o755))?;
        } else {
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            drop(fs::openat(
                &parent,
                name,
                flags,
                Mode::from_raw_mode(0o644),
            )?);
        }
    }
    let place = in_root(new_root.as_fd(), target, OFlags::PATH | OFlags::NOFOLLOW)?;
    Ok(attach(tree, place)?)
}

/// The path of an open place of the new root, as it will be after the switch.
fn real_path(
    place: impl AsFd,
    new_root: &NewRoot,
    proc: &Proc,
    shown: &str,
) -> Result<Vec<u8>, NoTarget> {
    let path = proc.path_of(place).map_err(|error| NoTarget::Locating {
        path: shown.to_owned(),
        error,
    })?;
    match path.strip_prefix(new_root.path.as_slice()) {
        Some(b"") => Ok(b"/".to_vec()),
        Some(inside) => Ok(inside.to_vec()),
        None => Ok(path),
    }
}

/// Says that a survivor cannot be bound where it is to be carried.
pub fn not_bound(survivor: &Survivor, error: &std::io::Error) -> NotBound {
    let target = survivor
        .carried_to
        .as_ref()
        .map(|carry| carry.target.to_string())
        .unwrap_or_default();
    let (path, error) = (survivor.path.clone(), error.to_string());
    NotBound::Because {
        path,
        target,
        error,
    }
}
