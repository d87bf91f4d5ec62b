//! Whether the new root, and what else must be examined over other mounts, answers at all.
//!
//! A file system that a server or another program answers for may never do so: NFS with the
//! network down, FUSE whose program was stopped. Process 1 would wait for ever, and the
//! machine with it, without a word. So a child is sent ahead: what it comes back from,
//! process 1 examines itself; if it does not come back in time from the new root the switch is
//! refused, and whatever else it does not come back from counts as not known.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, fork, pipe2};
use switch_root_core::outcome::warn;
use switch_root_core::path::Path;

use crate::mounts::Mount;

switch_root_core::outcomes! {
    /// That a file system does not answer.
    #[derive(PartialEq, Eq)]
    pub enum Silent in "new-root" {
        /// The file system that is named waits for a server or a program: NFS with the network down,
        /// FUSE whose program was stopped. Where it is not on the new root, the way there leads through
        /// it, or the new root is made of it.
        "SR-N60" NewRoot { path: Path, seconds: u64, suspects: String } = "examining the new root {path} took more than {seconds} s, since {suspects}; check its server, the network or the program that serves it, and switch again",
        /// A warning: there was no memory for a process. The new root, or where a layer of an overlay
        /// lies, is examined without a deadline.
        "SR-N61" Unwatched { error: Errno } = "failed to start a process that examines file systems ahead: {error}; one that does not answer would block the boot",
    }
}

/// How long the new root may take to be examined.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How many mounts are named that may not answer.
const NAMED: usize = 4;

/// File systems that the kernel answers for by itself, out of memory or from a block
/// device. All others are served by somebody, and one that is not known is, too: that costs
/// no more than a process.
const BY_THE_KERNEL: &[&str] = &[
    "bcachefs",
    "binfmt_misc",
    "bpf",
    "btrfs",
    "cgroup",
    "cgroup2",
    "configfs",
    "cramfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "erofs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "jffs2",
    "jfs",
    "mqueue",
    "nilfs2",
    "nsfs",
    "ntfs3",
    "nullfs",
    // What it is made of is in the table of mounts, too.
    "overlay",
    "proc",
    "pstore",
    "ramfs",
    "reiserfs",
    "romfs",
    "rootfs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tmpfs",
    "tracefs",
    "ubifs",
    "udf",
    "vfat",
    "xfs",
];

/// Refuses where examining the new root takes longer than [`PATIENCE`]. Costs nothing where
/// all that is mounted is the kernel's own.
///
/// # Errors
/// A sentence for the operator.
pub fn examine_ahead(
    mounts: &[Mount],
    new_root: &[u8],
    patience: Duration,
    examine: impl FnOnce(),
) -> Result<(), Silent> {
    let suspects = suspects(mounts, new_root);
    if suspects.is_empty() {
        return Ok(());
    }
    if comes_back(examine, patience) {
        return Ok(());
    }
    Err(Silent::NewRoot {
        path: new_root.into(),
        seconds: patience.as_secs(),
        suspects: accuse(&suspects),
    })
}

/// Says which mount does not answer, as far as that is known.
fn accuse(suspects: &[&Mount]) -> String {
    let named = suspects.iter().take(NAMED).map(|mount| {
        let kind = switch_root_core::escape::message(&String::from_utf8_lossy(&mount.kind), 64);
        let point = Path::from(mount.point.as_slice());
        format!("the {kind} mounted on {point}")
    });
    let named: Vec<String> = named.collect();
    match suspects.len() - named.len() {
        0 if named.len() == 1 => format!("{} does not answer", named[0]),
        0 => format!("one of these does not answer: {}", named.join(", ")),
        rest => format!(
            "one of these does not answer: {}, or {rest} more",
            named.join(", ")
        ),
    }
}

/// Looks something up, which may lead to any mount, once a child has done it in time. `None`
/// where that takes longer.
pub fn look_up<T>(mounts: &[Mount], patience: Duration, find: impl Fn() -> T) -> Option<T> {
    let ahead = || drop(find());
    let safe = suspects(mounts, b"/").is_empty() || comes_back(ahead, patience);
    safe.then(find)
}

/// Whether a child comes back from a job in time.
fn comes_back(job: impl FnOnce(), patience: Duration) -> bool {
    in_a_child(job, patience).unwrap_or_else(|error| {
        warn(&Silent::Unwatched { error }.into());
        // It may answer all the same.
        true
    })
}

/// The mounts that may not answer, first the one on the new root; another one may lie on
/// the way to it or be what it is made of.
fn suspects<'m>(mounts: &'m [Mount], new_root: &[u8]) -> Vec<&'m Mount> {
    let served = |mount: &&Mount| {
        let known = |kind: &&str| kind.as_bytes() == mount.kind;
        !BY_THE_KERNEL.iter().any(known)
    };
    let mut suspects: Vec<_> = mounts.iter().filter(served).collect();
    suspects.sort_by_key(|mount| mount.point != new_root);
    suspects
}

/// Has a child do something. Says whether it ended in time.
fn in_a_child(job: impl FnOnce(), limit: Duration) -> nix::Result<bool> {
    let (done, doing) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: there is one thread, so the child may use all that it inherits.
    match unsafe { fork() }? {
        ForkResult::Child => {
            drop(done);
            job();
            drop(doing);
            // SAFETY: ends the child without the exit handlers of the program that it was
            // forked from.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(doing);
            let ended = closed_within(&done, limit);
            if ended == Ok(true) {
                let _ = waitpid(child, None);
            } else {
                let _ = kill(child, Signal::SIGKILL);
                // Not waited for: where it hangs in the kernel it cannot even be killed.
                let _ = waitpid(child, Some(WaitPidFlag::WNOHANG));
            }
            ended
        }
    }
}

/// Waits until nobody has the other end of a pipe open. Says whether it came to that.
fn closed_within(pipe: &OwnedFd, limit: Duration) -> nix::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut polled, timeout) {
            Ok(1..) => return Ok(true),
            Ok(_) if left.is_zero() => return Ok(false),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mounts;

    fn table(kind: &str) -> Vec<Mount> {
        let text = format!(
            "1 1 0:2 / / rw - rootfs none rw\n2 1 0:5 / /proc rw - proc proc rw\n\
             3 1 0:6 / /cache rw - {kind} none rw\n4 1 8:1 / /sysroot ro - {kind} /dev/a ro\n"
        );
        mounts::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn only_file_systems_that_somebody_serves_are_suspected() {
        for kind in ["ext4", "overlay", "squashfs", "tmpfs"] {
            assert_eq!(suspects(&table(kind), b"/sysroot").len(), 0, "{kind}");
        }
        for kind in ["nfs4", "fuse", "fuse.mergerfs", "fuseblk", "9p", "novel"] {
            let mounts = table(kind);
            let ids = |new_root: &[u8]| -> Vec<_> {
                let suspects = suspects(&mounts, new_root);
                suspects.iter().map(|mount| mount.id).collect()
            };
            assert_eq!(ids(b"/sysroot"), [4, 3], "{kind}");
            assert_eq!(ids(b"/other"), [3, 4], "{kind}");
        }
    }

    #[test]
    fn mount_at_fault_is_named_alone_where_it_is_known() {
        let mut mounts = table("nfs4");
        let one = accuse(&suspects(&mounts, b"/sysroot")[..1]);
        assert_eq!(one, "the nfs4 mounted on /sysroot does not answer");
        let two = accuse(&suspects(&mounts, b"/sysroot"));
        assert_eq!(
            two,
            "one of these does not answer: the nfs4 mounted on /sysroot, the nfs4 mounted on /cache"
        );
        for _ in 0..5 {
            mounts.push(mounts[3].clone());
        }
        assert!(accuse(&suspects(&mounts, b"/")).ends_with(", or 3 more"));
    }

    #[test]
    fn what_takes_too_long_is_refused_by_name() {
        let wait = || std::thread::sleep(Duration::from_secs(60));
        let started = Instant::now();
        let short = Duration::from_millis(50);
        let refusal = examine_ahead(&table("nfs4"), b"/sysroot", short, wait).unwrap_err();
        let refusal = refusal.to_string();
        assert!(started.elapsed() < Duration::from_secs(30));
        assert!(
            refusal.contains("one of these does not answer: the nfs4 mounted on /sysroot"),
            "{refusal}"
        );
        assert_eq!(
            examine_ahead(&table("nfs4"), b"/sysroot", PATIENCE, || {}),
            Ok(())
        );
    }

    #[test]
    fn lookup_that_takes_too_long_finds_nothing() {
        let short = Duration::from_millis(50);
        let wait = || std::thread::sleep(Duration::from_secs(5));
        let started = Instant::now();
        assert_eq!(look_up(&table("nfs4"), short, wait), None);
        assert!(started.elapsed() < Duration::from_secs(5));
        for kind in ["nfs4", "ext4"] {
            assert_eq!(look_up(&table(kind), PATIENCE, || 1), Some(1), "{kind}");
        }
    }

    #[test]
    fn a_child_that_dies_is_no_refusal() {
        // SAFETY: ends the child.
        let die = || unsafe { libc::_exit(1) };
        assert_eq!(in_a_child(die, PATIENCE), Ok(true));
    }
}
