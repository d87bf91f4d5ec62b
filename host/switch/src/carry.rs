//! Where in the new root something can be bound: what `carry` answers come to.

use std::os::fd::AsFd;

use policy::answer::check_target;
use policy::{FileKind, escape};
use rustix::fs::{self, FileType, OFlags};

use crate::init::resolve;
use crate::new_root::NewRoot;
use crate::plan::Carry;
use crate::proc::Proc;

/// Decides on one target, which keeps the rules of the contract.
///
/// # Errors
/// Why it is not bound there, as half a sentence. That does not stop the boot:
/// the path survives all the same.
pub fn place(
    new_root: &NewRoot,
    target: &[u8],
    kind: FileKind,
    inits: &[Vec<u8>],
    proc: &Proc,
) -> Result<Carry, String> {
    let shown = escape::path(target);
    let directory = kind == FileKind::Directory;
    if kind == FileKind::Symlink {
        return Err("a symbolic link cannot be bound".into());
    }
    match resolve(new_root.fd.as_fd(), target, OFlags::PATH | OFlags::NOFOLLOW) {
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
            // A directory on the way may be a link: the rules hold for where
            // it leads, too.
            let path = proc
                .path_of(&found)
                .map_err(|error| format!("{shown} of the new root cannot be located: {error}"))?;
            let real = path.strip_prefix(new_root.path.as_slice()).unwrap_or(&path);
            check_target(real, inits)?;
            Ok(Carry {
                target: target.into(),
                make: false,
            })
        }
        Err(rustix::io::Errno::NOENT) if new_root.read_only => Err(format!(
            "the new root is read-only and has no {shown} to bind it on"
        )),
        Err(rustix::io::Errno::NOENT) => {
            let parent = match target.iter().rposition(|byte| *byte == b'/') {
                None | Some(0) => &b"/"[..],
                Some(end) => &target[..end],
            };
            resolve(
                new_root.fd.as_fd(),
                parent,
                OFlags::PATH | OFlags::DIRECTORY,
            )
            .map_err(|error| {
                format!(
                    "{} of the new root cannot be used: {error}",
                    escape::path(parent)
                )
            })?;
            Ok(Carry {
                target: target.into(),
                make: true,
            })
        }
        Err(error) => Err(format!(
            "{shown} of the new root cannot be resolved: {error}"
        )),
    }
}
