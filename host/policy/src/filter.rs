//! The system calls that the judge may make, and the seccomp filter that holds it
//! to them.
//!
//! The filter is a search tree. For each number that a system call could have the
//! kernel runs a new filter once, to know beforehand which ones it always allows
//! (seccomp_cache_prepare() in kernel/seccomp.c), and compiles it: a chain of
//! comparisons, as seccompiler and the other libraries write it, took a tenth of a millisecond of
//! every boot.

use libc::sock_filter;

/// What running, compiling and answering take.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    // Making new code visible to all processors, on other architectures than x86.
    libc::SYS_membarrier,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// How a process ends itself by a signal, as abort(3) does: with its own number as the
/// first argument. The worker has one thread, whose number is that of the process.
const SIGNALS: [libc::c_long; 2] = [libc::SYS_tkill, libc::SYS_tgkill];

/// Offsets in the kernel's `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
/// The lower half of the first argument, on little-endian machines.
const ARGUMENT: u32 = 16;

/// The numbers of system calls that this architecture's programs make, as the kernel
/// names it in linux/audit.h: the number of the ELF machine, 64 bits, little-endian.
#[cfg(target_arch = "x86_64")]
const MACHINE: u32 = 62 | 0xc000_0000;
#[cfg(target_arch = "aarch64")]
const MACHINE: u32 = 183 | 0xc000_0000;

/// What is to be done with a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    Allow,
    /// Allowed where this is the first argument.
    First(u32),
    Kill,
}

/// Confines the calling thread, which is alone in its process, to [`ALLOWED`] and to
/// signals to itself; anything else kills its process.
/// Needs `no_new_privs` or CAP_SYS_ADMIN. Says whether the filter is in force.
pub fn install() -> bool {
    let mut program = program(std::process::id());
    let Ok(len) = u16::try_from(program.len()) else {
        return false;
    };
    let program = libc::sock_fprog {
        len,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: `program` points to `len` instructions, which the kernel copies and
    // checks.
    let installed = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            0,
            &raw const program,
        )
    };
    installed == 0
}

/// The rule of each number, for the process `own`, as ranges in ascending order: where
/// one begins, and what holds up to the next.
fn ranges(own: u32) -> Vec<(u32, Rule)> {
    let mut calls: Vec<(u32, Rule)> = ALLOWED
        .iter()
        .map(|call| (*call as u32, Rule::Allow))
        .collect();
    // mimalloc, which some callers allocate with, names the memory that it maps.
    let name = Rule::First(libc::PR_SET_VMA as u32);
    calls.push((libc::SYS_prctl as u32, name));
    // Where there is no other user to become, all that root runs could be ended.
    calls.extend(SIGNALS.map(|call| (call as u32, Rule::First(own))));
    calls.sort_unstable_by_key(|(call, _)| *call);
    let mut ranges = vec![(0, Rule::Kill)];
    for (call, rule) in calls {
        // The one below is allowed as well, or ends here.
        if ranges.last().is_some_and(|(start, _)| *start == call) {
            ranges.pop();
        }
        if ranges.last().is_none_or(|(_, before)| *before != rule) {
            ranges.push((call, rule));
        }
        ranges.push((call + 1, Rule::Kill));
    }
    ranges
}

fn program(own: u32) -> Vec<sock_filter> {
    let mut program = vec![
        load(ARCHITECTURE),
        jump(libc::BPF_JEQ, MACHINE, 1, 0),
        end(libc::SECCOMP_RET_KILL_PROCESS),
        load(NUMBER),
    ];
    search(&ranges(own), &mut program);
    program
}

/// Appends the search of a number in these ranges.
fn search(ranges: &[(u32, Rule)], program: &mut Vec<sock_filter>) {
    match ranges {
        [] => {}
        [(_, Rule::Allow)] => program.push(end(libc::SECCOMP_RET_ALLOW)),
        [(_, Rule::Kill)] => program.push(end(libc::SECCOMP_RET_KILL_PROCESS)),
        [(_, Rule::First(argument))] => program.extend([
            load(ARGUMENT),
            jump(libc::BPF_JEQ, *argument, 1, 0),
            end(libc::SECCOMP_RET_KILL_PROCESS),
            end(libc::SECCOMP_RET_ALLOW),
        ]),
        _ => {
            let (below, above) = ranges.split_at(ranges.len() / 2);
            let mut lower = Vec::new();
            search(below, &mut lower);
            // Half of what is looked for; a jump reaches 255 instructions.
            program.push(jump(libc::BPF_JGE, above[0].0, lower.len() as u8, 0));
            program.append(&mut lower);
            search(above, program);
        }
    }
}

fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

/// Skips `holds` instructions where the comparison holds, and `fails` where not.
fn jump(comparison: u32, with: u32, holds: u8, fails: u8) -> sock_filter {
    let code = libc::BPF_JMP | comparison | libc::BPF_K;
    instruction(code, with, holds, fails)
}

fn end(action: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The process that the filter is for.
    const OWN: u32 = 4711;

    /// What the filter says of a system call, by running it.
    fn run(architecture: u32, number: u32, argument: u32) -> u32 {
        let program = program(OWN);
        let (mut at, mut value) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            match u32::from(step.code) {
                code if code == libc::BPF_LD | libc::BPF_W | libc::BPF_ABS => {
                    value = match step.k {
                        NUMBER => number,
                        ARCHITECTURE => architecture,
                        ARGUMENT => argument,
                        other => panic!("nothing is at {other}"),
                    }
                }
                code if code == libc::BPF_RET => return step.k,
                code => {
                    let holds = match code & 0xf0 {
                        libc::BPF_JEQ => value == step.k,
                        libc::BPF_JGE => value >= step.k,
                        other => panic!("no comparison: {other}"),
                    };
                    at += usize::from(if holds { step.jt } else { step.jf });
                }
            }
        }
    }

    #[test]
    fn exactly_what_is_listed_is_allowed() {
        for number in (0..2000).chain([1 << 30, (1 << 30) + 1, u32::MAX]) {
            let listed = ALLOWED.iter().any(|call| *call as u32 == number);
            let expected = if listed {
                libc::SECCOMP_RET_ALLOW
            } else {
                libc::SECCOMP_RET_KILL_PROCESS
            };
            assert_eq!(run(MACHINE, number, 0), expected, "{number}");
        }
    }

    #[test]
    fn memory_may_be_named_and_nothing_else_of_prctl() {
        let prctl = libc::SYS_prctl as u32;
        let vma = libc::PR_SET_VMA as u32;
        assert_eq!(run(MACHINE, prctl, vma), libc::SECCOMP_RET_ALLOW);
        for other in [0, 1, vma - 1, vma + 1, libc::PR_SET_SECCOMP as u32] {
            assert_eq!(
                run(MACHINE, prctl, other),
                libc::SECCOMP_RET_KILL_PROCESS,
                "{other}"
            );
        }
    }

    #[test]
    fn only_its_own_process_is_sent_signals() {
        for call in SIGNALS.map(|call| call as u32) {
            assert_eq!(run(MACHINE, call, OWN), libc::SECCOMP_RET_ALLOW);
            // 0 and the negative numbers of kill(2) are nobody here.
            for other in [0, 1, OWN - 1, OWN + 1, u32::MAX] {
                let said = run(MACHINE, call, other);
                assert_eq!(said, libc::SECCOMP_RET_KILL_PROCESS, "{other}");
            }
        }
    }

    /// Forks a process that does something and nothing else.
    fn forked(work: impl FnOnce()) -> nix::unistd::Pid {
        // SAFETY: the child makes system calls and ends.
        match unsafe { nix::unistd::fork() }.unwrap() {
            nix::unistd::ForkResult::Parent { child } => child,
            nix::unistd::ForkResult::Child => {
                work();
                // SAFETY: ends the process without the exit handlers of the tests.
                unsafe { libc::_exit(3) }
            }
        }
    }

    #[test]
    fn a_confined_process_cannot_signal_a_sibling_of_its_user() {
        use nix::sys::signal::{Signal, kill};
        use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
        let sibling = forked(|| {
            loop {
                // SAFETY: waits for a signal.
                unsafe { libc::pause() };
            }
        });
        for call in SIGNALS {
            let confined = |target: Option<nix::unistd::Pid>| {
                let child = forked(|| {
                    let _ = nix::sys::prctl::set_no_new_privs();
                    if install() {
                        let own = nix::unistd::getpid();
                        let target = target.unwrap_or(own).as_raw();
                        let (second, third) = match call == libc::SYS_tgkill {
                            true => (target, libc::SIGTERM),
                            false => (libc::SIGTERM, 0),
                        };
                        // SAFETY: sends a signal to a process of this test.
                        unsafe { libc::syscall(call, target, second, third) };
                    }
                });
                match waitpid(child, None).unwrap() {
                    WaitStatus::Signaled(_, signal, _) => signal,
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(confined(Some(sibling)), Signal::SIGSYS);
            assert_eq!(confined(None), Signal::SIGTERM, "itself");
        }
        let alive = waitpid(sibling, Some(WaitPidFlag::WNOHANG)).unwrap();
        assert_eq!(alive, WaitStatus::StillAlive);
        kill(sibling, Signal::SIGKILL).unwrap();
        waitpid(sibling, None).unwrap();
    }

    #[test]
    fn calls_of_another_architecture_are_not_taken_for_ours() {
        // 32-bit x86, whose number 4 is write(2), and 3 read(2).
        for number in 0..500 {
            assert_eq!(
                run(3 | 0x4000_0000, number, 0),
                libc::SECCOMP_RET_KILL_PROCESS
            );
        }
    }

    #[test]
    fn no_number_takes_more_than_a_few_comparisons() {
        assert!(program(OWN).len() < 128, "{}", program(OWN).len());
    }
}
