//! How the judge gives up everything that it does not need.

use std::fs;
use std::os::fd::RawFd;

use caps::CapSet;
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};
use switch_root_core::report::Protections;

use crate::{address_space, filter};

/// `nobody` and `nogroup` on every Linux.
const NOBODY: u32 = 65534;

/// Confines the calling process. Steps that this kernel or namespace does not
/// have are left out, and missing in what is returned.
///
/// `keep` are the only two file descriptors that stay open.
pub fn enter(keep: [RawFd; 2], policy_memory: u64) -> Protections {
    let mut protections = Protections::default();
    // First choice of the kernel when memory runs out: PID 1 cannot be killed,
    // and a machine without memory would panic.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let address_space = address_space::mapped()
        // More than the boot binary ever maps at this point.
        .unwrap_or(64 << 20)
        .saturating_add(policy_memory);
    let closed = close_all_but(keep);

    let user = Uid::from_raw(NOBODY);
    let group = Gid::from_raw(NOBODY);
    let grouped = setgroups(&[]).and_then(|()| setresgid(group, group, group));
    // In a user namespace that maps root alone there is no other user; the
    // capabilities go all the same.
    let user_changed = setresuid(user, user, user);
    protections.unprivileged_user = grouped.is_ok() && user_changed.is_ok();
    protections.no_capabilities = drop_capabilities();
    protections.no_new_privileges = prctl::set_no_new_privs().is_ok();
    // After the change of user, which clears it.
    let _ = prctl::set_pdeathsig(Some(nix::sys::signal::Signal::SIGKILL));
    let _ = prctl::set_dumpable(false);

    protections.no_files = closed
        && setrlimit(Resource::RLIMIT_NOFILE, 0, 0).is_ok()
        && setrlimit(Resource::RLIMIT_FSIZE, 0, 0).is_ok();
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = setrlimit(Resource::RLIMIT_NPROC, 0, 0);
    if setrlimit(Resource::RLIMIT_AS, address_space, address_space).is_ok() {
        protections.address_space = address_space;
    }
    protections.seccomp = filter::install();
    protections
}

/// Closes all other descriptors. Says whether that is certain.
fn close_all_but(mut keep: [RawFd; 2]) -> bool {
    keep.sort_unstable();
    let mut first: libc::c_uint = 0;
    let mut closed = true;
    for fd in keep.map(|fd| fd as libc::c_uint) {
        if fd > first {
            closed &= close_range(first, fd - 1);
        }
        first = fd + 1;
    }
    closed & close_range(first, libc::c_uint::MAX)
}

fn close_range(first: libc::c_uint, last: libc::c_uint) -> bool {
    // SAFETY: closes descriptors that nothing in this process uses from here
    // on: it was forked to run the judge, which has its two pipes.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) == 0 }
}

fn drop_capabilities() -> bool {
    let sets = [
        CapSet::Ambient,
        CapSet::Inheritable,
        CapSet::Effective,
        CapSet::Permitted,
    ];
    let cleared = sets.into_iter().all(|set| caps::clear(None, set).is_ok());
    cleared && caps::read(None, CapSet::Permitted).is_ok_and(|left| left.is_empty())
}
