//! The least that a switch of our kind takes: it runs as PID 1 in the place of a
//! subject, and does nothing but what cannot be left out.
//!
//! A child without privileges, confined by a filter that allows nearly everything,
//! answers three times at once; the mounts are moved, the root is pivoted, and another
//! child deletes. No WebAssembly, no check, no report: what our programs take beyond
//! this is ours to shorten, and what this takes is not.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::prctl::set_no_new_privs;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{
    ForkResult, Gid, Uid, chdir, execv, fork, pipe2, pivot_root, setgroups, setresgid, setresuid,
};

use crate::bare;

/// What the switch says to its child, and the child to it, in bytes: about as much as
/// the real one does.
const QUESTION: usize = 100;
const ANSWER: usize = 20;

/// Runs as PID 1 until init takes its place.
pub fn run() -> ExitCode {
    match switch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("floor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn switch() -> io::Result<()> {
    let (questions, ask) = pipe2(OFlag::O_CLOEXEC)?;
    let (answers, reply) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: this process has one thread.
    let child = match unsafe { fork() }? {
        ForkResult::Child => {
            // The parent hears of a failure when the pipe closes.
            let _ = answer(questions, reply);
            // SAFETY: ends the child without the exit handlers of this program.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => child,
    };
    drop((questions, reply));
    let (mut ask, mut answers) = (File::from(ask), File::from(answers));
    for _ in 0..2 {
        answers.read_exact(&mut [0; ANSWER])?;
        ask.write_all(&[0; QUESTION])?;
    }
    answers.read_exact(&mut [0; ANSWER])?;
    kill(child, Signal::SIGKILL)?;

    let old_root: OwnedFd = File::open("/")?.into();
    let none = None::<&str>;
    for point in ["dev", "proc", "sys", "run"] {
        let (from, to) = (format!("/{point}"), format!("/sysroot/{point}"));
        mount(Some(&*from), &*to, none, MsFlags::MS_MOVE, none)?;
    }
    chdir("/sysroot")?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    chdir("/")?;
    waitpid(child, None)?;
    // SAFETY: this process has one thread.
    if let ForkResult::Child = unsafe { fork() }? {
        let _ = bare::empty(old_root);
        // SAFETY: as above.
        unsafe { libc::_exit(0) }
    }
    match execv(c"/sbin/init", &[c"/sbin/init"])? {}
}

/// The child's side: gives up what the judge gives up, and answers.
fn answer(questions: OwnedFd, reply: OwnedFd) -> io::Result<()> {
    const NOBODY: u32 = 65534;
    let (user, group) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
    setgroups(&[])?;
    setresgid(group, group, group)?;
    setresuid(user, user, user)?;
    set_no_new_privs()?;
    confine()?;
    let (mut questions, mut reply) = (File::from(questions), File::from(reply));
    loop {
        reply.write_all(&[0; ANSWER])?;
        questions.read_exact(&mut [0; QUESTION])?;
    }
}

/// The shortest filter that says no to something.
fn confine() -> io::Result<()> {
    /// No system call has this number or a larger one.
    const BEYOND: u32 = 1000;
    let step = |code: u32, jf: u8, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf,
        k,
    };
    let mut steps = [
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, BEYOND),
        step(
            libc::BPF_RET | libc::BPF_K,
            0,
            libc::SECCOMP_RET_KILL_PROCESS,
        ),
        step(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog {
        len: steps.len() as u16,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: `program` points to as many instructions as it says, which the kernel
    // copies.
    let set = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
