//! Programs that are run as on a kernel without seccomp.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::sys::prctl;

/// Offsets in the kernel's `struct seccomp_data`: the number of the call, and the lower half
/// of its first argument.
const NUMBER: u32 = 0;
const ARGUMENT: u32 = 16;

/// Lets a command run where seccomp(2) and prctl(PR_SET_SECCOMP) fail as they do on a kernel
/// that was built without: with EINVAL.
pub fn without_seccomp(command: &mut Command) -> &mut Command {
    // SAFETY: the function makes two system calls and allocates nothing.
    unsafe { command.pre_exec(forbid) }
}

fn forbid() -> io::Result<()> {
    let load = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let end = libc::BPF_RET | libc::BPF_K;
    let step = |code: u32, (jt, jf): (u8, u8), k: u32| libc::sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    };
    let mut steps = [
        step(load, (0, 0), NUMBER),
        step(equal, (3, 0), libc::SYS_seccomp as u32),
        step(equal, (0, 3), libc::SYS_prctl as u32),
        step(load, (0, 0), ARGUMENT),
        step(equal, (0, 1), libc::PR_SET_SECCOMP as u32),
        step(end, (0, 0), libc::SECCOMP_RET_ERRNO | Errno::EINVAL as u32),
        step(end, (0, 0), libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    prctl::set_no_new_privs()?;
    // SAFETY: `program` points to as many instructions as it says.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    Errno::result(outcome).map(drop).map_err(io::Error::from)
}
