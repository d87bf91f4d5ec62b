//! The initramfs without the mounts of its own directories on themselves.
//!
//! From version 256 on systemd mounts the /usr of an initramfs on itself, read-only. What is
//! below such a mount are the files of the initramfs all the same, and to take it for another
//! file system would lose them. It is taken away in a mount namespace of a process of our
//! own; whoever has the descriptors of [`View`] looks at the initramfs from there, and this
//! process stays where it is, as does the mount.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;

use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, Pid, fork, pause, pipe2};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use switch_root_core::outcome::Message;
use switch_root_core::path::Path;

use crate::mounts::{self, Mount};
use crate::old_root;
use crate::proc::Proc;

switch_root_core::outcomes! {
    /// That what is below a self bind mount is lost.
    pub enum Covered in "not-copied" {
        /// The reason is one of the next. systemd mounts `/usr` so, read-only, from version 256 on, and what is below survives all the
        /// same; but not where something else is mounted on or below it, or where the kernel denies a
        /// mount namespace. Unmount the other one before the switch, or set `ProtectSystem=no` in
        /// `/usr/lib/systemd/system.conf.d/` of the initramfs.
        "SR-W72" Lost { point: Path, why: Why } = "{point} of the initramfs is mounted on itself, and {why}: nothing of it survives",
    }
}

switch_root_core::outcomes! {
    /// Why it is lost, as a part of a sentence.
    pub enum Why in "not-copied" {
        /// Unmount the other one before the switch.
        "SR-W73" Other { other: Path } = "is not looked into, since {other} is a mount, too",
        /// The kernel denies a mount namespace.
        "SR-W74" Unseen { error: String } = "cannot be looked at without that mount ({error})",
        "SR-W84" Killed = "the process that would show it was killed",
    }
}

/// What is looked at.
pub struct View {
    /// The root of the initramfs.
    root: OwnedFd,
    /// Its mounts are there for as long as this is open.
    _namespace: OwnedFd,
}

/// The mounts of directories on themselves, and what can be seen without them.
#[derive(Default)]
pub struct Uncovered {
    /// These directories are looked into.
    pub points: Vec<Path>,
    /// The view that has them, where there are any.
    pub view: Option<View>,
    /// Why others are not.
    pub warnings: Vec<Message>,
}

/// Looks for directories of the initramfs that are mounted on themselves, and opens it without
/// these mounts. `root` is the mount on `/`.
pub fn uncover(mounts: &[Mount], root: &Mount, new_root: &[u8], proc: &Proc) -> Uncovered {
    let found = on_themselves(mounts, root, new_root);
    let mut uncovered = Uncovered::default();
    for point in &found {
        match on_top(point, &found, mounts) {
            None => uncovered.points.push(point.clone()),
            Some(other) => {
                let (point, why) = (point.clone(), Why::Other { other });
                uncovered.warnings.push(Covered::Lost { point, why }.into());
            }
        }
    }
    if uncovered.points.is_empty() {
        return uncovered;
    }
    match View::without(&uncovered.points, proc) {
        Ok(view) => uncovered.view = Some(view),
        Err(error) => {
            let points = std::mem::take(&mut uncovered.points).into_iter();
            let unseen = points.map(|point| {
                let error = error.to_string();
                let why = Why::Unseen { error };
                Message::from(Covered::Lost { point, why })
            });
            uncovered.warnings.extend(unseen);
        }
    }
    uncovered
}

/// The directories of the initramfs that are mounted on themselves.
fn on_themselves(mounts: &[Mount], root: &Mount, new_root: &[u8]) -> Vec<Path> {
    let above: &[u8] = match root.root.as_slice() {
        b"/" => b"",
        above => above,
    };
    let on_itself = |mount: &&Mount| {
        mount.device == root.device
            && mount
                .root
                .strip_prefix(above)
                .is_some_and(|inside| inside == mount.point)
            && mount.point != b"/"
            && mount.point != new_root
    };
    let found = mounts.iter().filter(on_itself);
    found.map(|mount| mount.point.as_slice().into()).collect()
}

/// Whatever else is mounted on such a directory, or below it: it would be taken away, too,
/// and an empty directory would be seen in its place.
fn on_top(point: &Path, on_themselves: &[Path], mounts: &[Mount]) -> Option<Path> {
    let other = |mount: &&Mount| {
        mounts::within(mount, &point.0) && !on_themselves.iter().any(|one| one.0 == mount.point)
    };
    let other = mounts.iter().find(other)?;
    Some(other.point.as_slice().into())
}

impl View {
    /// Opens the initramfs without the mounts on these directories.
    ///
    /// # Errors
    /// It cannot be looked at in this way. Nothing has changed for this process.
    pub fn without(points: &[Path], proc: &Proc) -> io::Result<Self> {
        let (told, tell) = pipe2(OFlag::O_CLOEXEC)?;
        // SAFETY: there is one thread, so the child may use all that it inherits.
        match unsafe { fork() }? {
            ForkResult::Child => {
                drop(told);
                show(points, proc, tell.into())
            }
            ForkResult::Parent { child } => {
                drop(tell);
                let view = take(child, told.into());
                // It has ended already, or waits.
                let _ = kill(child, Signal::SIGKILL);
                let _ = waitpid(child, None);
                view
            }
        }
    }

    /// The root of the initramfs.
    pub fn root(&self) -> &OwnedFd {
        &self.root
    }
}

/// Takes what the child has opened.
fn take(child: Pid, mut told: File) -> io::Result<View> {
    let mut words = [[0; 4]; 3];
    told.read_exact(words.as_flattened_mut())
        .map_err(|_| io::Error::other(Why::Killed))?;
    let [error, root, namespace] = words.map(i32::from_ne_bytes);
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let child = rustix::process::Pid::from_raw(child.as_raw())
        .ok_or_else(|| io::Error::from_raw_os_error(libc::ESRCH))?;
    let child = pidfd_open(child, PidfdFlags::empty())?;
    Ok(View {
        root: pidfd_getfd(&child, root, PidfdGetfdFlags::empty())?,
        _namespace: pidfd_getfd(&child, namespace, PidfdGetfdFlags::empty())?,
    })
}

/// What the child does: it opens both, says so, and waits to be ended.
fn show(points: &[Path], proc: &Proc, mut tell: File) -> ! {
    // Or else it would wait for ever after a parent that was killed.
    let _ = prctl::set_pdeathsig(Signal::SIGKILL);
    // Open until the parent has them.
    let opened = open_without(points, proc);
    let words: [RawFd; 3] = match &opened {
        Ok([root, namespace]) => [0, root.as_raw_fd(), namespace.as_raw_fd()],
        Err(error) => [error.raw_os_error().unwrap_or(libc::EIO), 0, 0],
    };
    if tell
        .write_all(words.map(i32::to_ne_bytes).as_flattened())
        .is_err()
    {
        // SAFETY: ends the child without the exit handlers of the program
        // that it was forked from.
        unsafe { libc::_exit(1) }
    }
    loop {
        pause();
    }
}

/// Goes into a mount namespace of its own, and takes the mounts away there: the root of the
/// initramfs as it is seen there, and the namespace.
fn open_without(points: &[Path], proc: &Proc) -> io::Result<[OwnedFd; 2]> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    // Or else they would go everywhere.
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    for point in points.iter().rev() {
        let flags = MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW;
        umount2(OsStr::from_bytes(&point.0), flags)?;
    }
    let root = old_root::open().map_err(io::Error::other)?;
    Ok([root, proc.mount_namespace()?])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"1 1 0:2 /base / rw - rootfs none rw\n\
        2 1 0:2 /base/usr /usr ro - rootfs none rw\n\
        3 2 0:2 /base/usr/lib /usr/lib ro - rootfs none rw\n\
        4 1 0:2 /base/opt /opt rw - rootfs none rw\n\
        5 4 0:7 / /opt/data rw - tmpfs none rw\n\
        6 1 0:2 /base/usr /srv rw - rootfs none rw\n\
        7 1 0:9 /base/var /var rw - ext4 none rw\n\
        8 1 0:2 /base/sysroot /sysroot rw - rootfs none rw\n";

    #[test]
    fn only_what_nothing_else_is_mounted_on_is_looked_into() {
        let mounts = mounts::parse(TABLE).unwrap();
        let found = on_themselves(&mounts, &mounts[0], b"/sysroot");
        let shown: Vec<String> = found.iter().map(Path::to_string).collect();
        assert_eq!(shown, ["/usr", "/usr/lib", "/opt"]);
        let others = found.iter().map(|point| on_top(point, &found, &mounts));
        let data = Some(Path::from(&b"/opt/data"[..]));
        assert_eq!(others.collect::<Vec<_>>(), [None, None, data]);
    }

    /// Whoever runs it: nothing is mounted there, or nobody may look.
    #[test]
    fn what_cannot_be_taken_away_is_told() {
        let table =
            b"1 1 0:2 / / rw - rootfs none rw\n2 1 0:2 /no/mount /no/mount ro - rootfs none rw\n";
        let mounts = mounts::parse(table).unwrap();
        let proc = Proc::open().unwrap();
        let uncovered = uncover(&mounts, &mounts[0], b"/sysroot", &proc);
        assert!(uncovered.view.is_none() && uncovered.points.is_empty());
        let [warning] = &uncovered.warnings[..] else {
            panic!("{:?}", uncovered.warnings);
        };
        assert!(warning.text.starts_with(
            "/no/mount of the initramfs is mounted on itself, and cannot be looked at without that mount ("
        ), "{warning}");
    }
}
