//! Where in the new root something can be bound, and binding it: what `carry` answers
//! come to.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use policy::answer::check_target;
use rustix::fs::{self, FileType, Mode, OFlags};
use switch_root_core::escape;
use switch_root_core::file_kind::FileKind;
use switch_root_core::path::join;
use switch_root_core::preserved::{Carry, Survivor};
use switch_root_core::resolve::in_root;

use crate::mount_calls::attach;
use crate::planner::{Machine, NewRoot, check_carry};
use crate::proc::Proc;

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
) -> Result<Carry, String> {
    let Machine { init, places, .. } = machine;
    let shown = escape::path(target);
    let directory = kind == FileKind::Directory;
    match in_root(new_root, target, OFlags::PATH | OFlags::NOFOLLOW) {
        Ok(found) => {
            let stat = fs::fstat(&found)
                .map_err(|error| format!("{shown} of the new root cannot be examined: {error}"))?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Symlink => {
                    return Err(format!("{shown} of the new root is a symbolic link"));
                }
                FileType::Directory if !directory => {
                    return Err(format!("{shown} of the new root is a directory"));
                }
                FileType::Directory => {}
                _ if directory => {
                    return Err(format!("{shown} of the new root is not a directory"));
                }
                _ => {}
            }
            if init.trail.contains(&(stat.st_dev, stat.st_ino)) {
                return Err(format!(
                    "{shown} of the new root leads to the init, or to what starts it"
                ));
            }
            // A directory on the way may be a link: the rules hold for where
            // it leads, too.
            let real = real_path(&found, &machine.new_root, proc, &shown)?;
            check_target(&real, &init.paths).map_err(|rule| rule.to_string())?;
            check_carry(places, &real, Some((stat.st_dev, stat.st_ino)))?;
            Ok(Carry {
                target: target.into(),
                real: real.into(),
                make: false,
            })
        }
        Err(rustix::io::Errno::NOENT) if machine.new_root.read_only => Err(format!(
            "the new root is read-only and has no {shown} to bind it on"
        )),
        Err(rustix::io::Errno::NOENT) => {
            let cut = target.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
            let (parent, name) = (&target[..cut.max(1)], &target[cut + 1..]);
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let found = in_root(new_root, parent, flags).map_err(|error| {
                let parent = escape::path(parent);
                format!("{parent} of the new root cannot be used: {error}")
            })?;
            let real = real_path(&found, &machine.new_root, proc, &shown)?;
            let real = join(&real, name);
            check_target(&real, &init.paths).map_err(|rule| rule.to_string())?;
            check_carry(places, &real, None)?;
            Ok(Carry {
                target: target.into(),
                real: real.into(),
                make: true,
            })
        }
        Err(error) => Err(format!(
            "{shown} of the new root cannot be resolved: {error}"
        )),
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
) -> Result<Vec<u8>, String> {
    let path = proc
        .path_of(place)
        .map_err(|error| format!("{shown} of the new root cannot be located: {error}"))?;
    match path.strip_prefix(new_root.path.as_slice()) {
        Some(b"") => Ok(b"/".to_vec()),
        Some(inside) => Ok(inside.to_vec()),
        None => Ok(path),
    }
}

/// Says that a survivor cannot be bound where it is to be carried.
pub fn not_bound(survivor: &Survivor, error: &std::io::Error) -> String {
    let target = survivor
        .carried_to
        .as_ref()
        .map(|carry| carry.target.to_string())
        .unwrap_or_default();
    format!(
        "{} survives, but cannot be bound at {target} of the new root: {error}",
        survivor.path
    )
}
