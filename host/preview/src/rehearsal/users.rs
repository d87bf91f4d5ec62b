//! A user namespace, in which the caller is root and nobody outside of it.

use std::fs;
use std::io::{self, Read, Write};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Gid, Uid, fork, getegid, geteuid, pipe, setgroups, setresgid, setresuid,
};
use switch_root_core::error::{Error, Kind};

use super::free_ids::Maps;

switch_root_core::outcomes! {
    /// Why there are no namespaces.
    pub(crate) enum Forbidden in "rehearsals" {
        /// The sentence names the switch of the kernel that forbids them, if one does.
        "SR-J23" Namespaces { attempt: String, error: String, reason: &'static str } = "cannot rehearse in namespaces: {attempt}: {error}; {reason}, or rehearse in a virtual machine with --vm --kernel FILE",
    }
}

/// What the kernel says of user namespaces, and what to do.
const SWITCHES: [(&str, &str, &str); 3] = [
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "the kernel forbids them to unprivileged users: set kernel.unprivileged_userns_clone=1 with sysctl",
    ),
    (
        "/proc/sys/user/max_user_namespaces",
        "0",
        "the kernel allows none: set user.max_user_namespaces to more than 0 with sysctl",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "AppArmor restricts them: give srctl a profile that allows `userns`, or set kernel.apparmor_restrict_unprivileged_userns=0 with sysctl",
    ),
];

/// That namespaces cannot be used, with the remedy.
pub fn forbidden(attempt: &str, error: &io::Error) -> Error {
    let reason = SWITCHES.iter().find_map(|(path, value, remedy)| {
        let found = fs::read_to_string(path).ok()?;
        (found.trim() == *value).then_some(*remedy)
    });
    let reason = reason.unwrap_or(
        "a container, a seccomp filter or a security module may forbid it: allow user namespaces there",
    );
    Error::new(
        Kind::System,
        Forbidden::Namespaces {
            attempt: attempt.to_owned(),
            error: error.to_string(),
            reason,
        },
    )
}

/// Makes the namespaces of the rehearsal but that of processes, and becomes root in
/// them. The process has one thread.
///
/// # Errors
/// The system forbids it.
pub fn enter() -> Result<(), Error> {
    let attempt = "it does not let us make a user namespace";
    let failed = |error: io::Error| forbidden(attempt, &error);
    let spaces = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        // A sysfs belongs to a network namespace, and only who owns that may mount it.
        | CloneFlags::CLONE_NEWNET;
    let (user, group) = (geteuid(), getegid());
    if !user.is_root() {
        unshare(spaces).map_err(|error| failed(error.into()))?;
        return fs::write("/proc/self/setgroups", "deny")
            .and_then(|()| fs::write("/proc/self/uid_map", format!("0 {user} 1")))
            .and_then(|()| fs::write("/proc/self/gid_map", format!("0 {group} 1")))
            .map_err(failed);
    }
    // Root of the namespace must be nobody outside of it: as root there, the image's
    // programs could write to what is root's.
    let not_root = |error: io::Error| {
        let attempt = "it does not let us run the programs of the image as users that own nothing here, and they are never run as root";
        forbidden(attempt, &error)
    };
    let maps = Maps::free().map_err(not_root)?;
    map(spaces, &maps).map_err(|error| match error {
        Unmapped::Namespaces(error) => failed(error),
        Unmapped::Users(error) => not_root(error),
    })?;
    let root = (Uid::from_raw(0), Gid::from_raw(0));
    setgroups(&[])
        .and_then(|()| setresgid(root.1, root.1, root.1))
        .and_then(|()| setresuid(root.0, root.0, root.0))
        // Else what /proc tells of this process is not its own any more.
        .and_then(|()| prctl::set_dumpable(true))
        .map_err(|error| failed(error.into()))
}

enum Unmapped {
    Namespaces(io::Error),
    Users(io::Error),
}

/// Makes the namespaces, and lets a process outside of them give us users, which only
/// somebody with CAP_SETUID there may.
fn map(spaces: CloneFlags, maps: &Maps) -> Result<(), Unmapped> {
    let unmade = |error: nix::Error| Unmapped::Namespaces(error.into());
    let (mut ready, mut made) = {
        let (read, write) = pipe().map_err(unmade)?;
        (fs::File::from(read), fs::File::from(write))
    };
    let process = std::process::id();
    // SAFETY: this process has one thread, so the child may do all that we may.
    match unsafe { fork() }.map_err(unmade)? {
        ForkResult::Parent { child } => {
            drop(ready);
            let entered = unshare(spaces);
            if entered.is_ok() {
                made.write_all(b"!").map_err(Unmapped::Namespaces)?;
            }
            drop(made);
            let ended = waitpid(child, None).map_err(unmade)?;
            entered.map_err(unmade)?;
            match ended {
                WaitStatus::Exited(_, 0) => Ok(()),
                WaitStatus::Exited(_, error) => {
                    Err(Unmapped::Users(io::Error::from_raw_os_error(error)))
                }
                _ => Err(Unmapped::Users(io::ErrorKind::Interrupted.into())),
            }
        }
        ForkResult::Child => {
            drop(made);
            let mapped = ready.read_exact(&mut [0]).and_then(|()| {
                fs::write(format!("/proc/{process}/uid_map"), &maps.users)?;
                fs::write(format!("/proc/{process}/gid_map"), &maps.groups)
            });
            let status = match mapped {
                Ok(()) => 0,
                Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
            };
            // SAFETY: ends the child without the exit handlers of the program that it
            // was forked from.
            unsafe { libc::_exit(status) }
        }
    }
}
