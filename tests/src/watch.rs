//! Watches the system calls of process 1 and its children, with ptrace(2), and makes one
//! of them fail.
//!
//! Only one of the processes runs at a time: it goes on until it would wait for another
//! one. So two runs make the same calls in the same order, and a call can be named by its
//! number. Where all wait, all are let go, as it would be without us.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use syscalls::Sysno;

use crate::arguments::describe;
use crate::fault::{Call, Fault, Happens, Watch};
use crate::outcome::End;

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It runs, or waits in the kernel.
    Running,
    /// It is stopped, and can go on at any time.
    Stopped,
    /// It is stopped before a call that may wait for another process.
    Waiting(Waits),
    /// It has ended, or is none of our business any more.
    Gone,
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    /// For something to be read from a descriptor.
    Readable(RawFd),
    /// For a process to end.
    End,
}

struct Process {
    pid: Pid,
    place: Place,
    /// How many calls it has begun.
    calls: usize,
    /// The call that it is in, by its place in the list of all.
    inside: Option<usize>,
    /// What that call is to give back instead.
    instead: Option<i64>,
}

/// The processes that are watched.
pub struct Watcher<'a> {
    /// `/proc`, as this process sees it.
    proc: &'a OwnedFd,
    /// Tells when something has happened.
    signals: SignalFd,
    fault: Option<Fault>,
    first: Pid,
    /// Whether the subject has been executed.
    begun: bool,
    /// Whether nobody is held back any more: once all have waited for something that none
    /// of them does.
    free: bool,
    end: Option<End>,
    processes: Vec<Process>,
    calls: Vec<Call>,
}

impl<'a> Watcher<'a> {
    /// Begins to watch a child of this thread, from the next program on that it executes.
    /// `proc` is the `/proc` of this process.
    ///
    /// # Errors
    /// Those of ptrace(2).
    pub fn seize(first: Pid, watch: Watch, proc: &'a OwnedFd) -> io::Result<Self> {
        let options = Options::PTRACE_O_TRACESYSGOOD
            | Options::PTRACE_O_TRACEFORK
            | Options::PTRACE_O_TRACEVFORK
            | Options::PTRACE_O_TRACECLONE
            | Options::PTRACE_O_TRACEEXEC
            | Options::PTRACE_O_EXITKILL;
        let mut children = SigSet::empty();
        children.add(Signal::SIGCHLD);
        children.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&children, flags)?;
        ptrace::seize(first, options)?;
        let mut watcher = Self {
            proc,
            signals,
            fault: match watch {
                Watch::Record => None,
                Watch::Fault(fault) => Some(fault),
            },
            first,
            begun: false,
            free: false,
            end: None,
            processes: Vec::new(),
            calls: Vec::new(),
        };
        watcher.enlist(first, Place::Running);
        Ok(watcher)
    }

    /// A descriptor that can be read when there is something to [`Self::attend`] to.
    ///
    /// # Errors
    /// That of dup(2).
    pub fn signals(&self) -> io::Result<OwnedFd> {
        self.signals.as_fd().try_clone_to_owned()
    }

    /// Sees to everything that has happened. The program that process 1 executes in the
    /// end is left alone.
    ///
    /// # Errors
    /// Those of ptrace(2) and waitpid(2).
    pub fn attend(&mut self) -> io::Result<()> {
        while self.signals.read_signal()?.is_some() {}
        self.attend_to(WaitPidFlag::WNOHANG)
    }

    /// Waits until all processes have ended. Gives back how process 1 did, and the calls
    /// in the order in which they were begun.
    ///
    /// # Errors
    /// Those of ptrace(2) and waitpid(2).
    pub fn finish(mut self) -> io::Result<(End, Vec<Call>)> {
        self.attend_to(WaitPidFlag::empty())?;
        let end = self
            .end
            .ok_or_else(|| io::Error::other("process 1 did not end"))?;
        Ok((end, self.calls))
    }

    fn attend_to(&mut self, flag: WaitPidFlag) -> io::Result<()> {
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL | flag)) {
                Err(Errno::EINTR) => continue,
                Err(Errno::ECHILD) => return Ok(()),
                other => other?,
            };
            let Some(pid) = status.pid() else {
                return Ok(());
            };
            match self.event(pid, status) {
                // It was killed meanwhile: its end is told, too.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                other => other?,
            }
        }
    }

    fn event(&mut self, pid: Pid, status: WaitStatus) -> io::Result<()> {
        let index = match self.processes.iter().position(|it| it.pid == pid) {
            Some(index) => index,
            // A child that is there before its parent says so.
            None => self.enlist(pid, Place::Running),
        };
        match status {
            WaitStatus::Exited(_, status) => self.ended(index, End::Exited(status)),
            WaitStatus::Signaled(_, signal, _) => self.ended(index, End::Killed(signal as i32)),
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) if self.begun => {
                ptrace::detach(pid, None)?;
                self.processes[index].place = Place::Gone;
                self.next()
            }
            WaitStatus::PtraceEvent(_, _, libc::PTRACE_EVENT_EXEC) => {
                self.begun = true;
                self.processes[index].inside = None;
                // The first stop is at the end of the call that executed the subject.
                self.processes[index].calls = 0;
                ptrace::syscall(pid, None)?;
                Ok(())
            }
            WaitStatus::PtraceEvent(
                _,
                _,
                libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE,
            ) => {
                let child = Pid::from_raw(ptrace::getevent(pid)? as libc::pid_t);
                if !self.processes.iter().any(|it| it.pid == child) {
                    self.enlist(child, Place::Running);
                }
                ptrace::syscall(pid, None)?;
                Ok(())
            }
            // A child that has just been made.
            WaitStatus::PtraceEvent(_, Signal::SIGTRAP, libc::PTRACE_EVENT_STOP) => {
                self.processes[index].place = Place::Stopped;
                match self.running() {
                    0 => self.next(),
                    _ => Ok(()),
                }
            }
            WaitStatus::PtraceEvent(..) => Ok(ptrace::syscall(pid, None)?),
            WaitStatus::PtraceSyscall(_) => match self.processes[index].inside {
                None => self.entry(index),
                Some(call) => self.exit(index, call),
            },
            WaitStatus::Stopped(_, signal) => self.signal(index, signal),
            _ => Ok(()),
        }
    }

    /// A process gets a signal.
    fn signal(&mut self, index: usize, signal: Signal) -> io::Result<()> {
        let pid = self.processes[index].pid;
        // Made by the kernel: what caused it would be tried again, without end, since the
        // kernel does not kill a process 1 that is watched. So it is let go.
        let by_kernel = ptrace::getsiginfo(pid)?.si_code > 0;
        if pid == self.first && by_kernel && matches!(signal, Signal::SIGSEGV | Signal::SIGILL) {
            self.processes[index].place = Place::Gone;
            ptrace::detach(pid, None)?;
            return self.next();
        }
        Ok(ptrace::syscall(pid, signal)?)
    }

    fn enlist(&mut self, pid: Pid, place: Place) -> usize {
        self.processes.push(Process {
            pid,
            place,
            calls: 0,
            inside: None,
            instead: None,
        });
        self.processes.len() - 1
    }

    fn ended(&mut self, index: usize, end: End) -> io::Result<()> {
        self.processes[index].place = Place::Gone;
        if self.processes[index].pid == self.first {
            self.end = Some(end);
            return Ok(());
        }
        match self.running() {
            0 => self.next(),
            _ => Ok(()),
        }
    }

    /// A call begins.
    fn entry(&mut self, index: usize) -> io::Result<()> {
        let process = &mut self.processes[index];
        let mut registers = ptrace::getregs(process.pid)?;
        // The kernel has this here at the beginning of a call, and a result at the end:
        // that of the call that executed the subject, or made the process.
        if registers.rax != (-i64::from(libc::ENOSYS)).cast_unsigned() {
            return Ok(ptrace::syscall(process.pid, None)?);
        }
        let name = Sysno::new(registers.orig_rax as usize).map_or_else(
            || registers.orig_rax.to_string(),
            |call| call.name().to_owned(),
        );
        let arguments = [registers.rdi, registers.rsi, registers.rdx, registers.r10];
        let number = process.calls;
        process.calls += 1;
        // Describing takes long: with a fault, only what is around it.
        let described = self.fault.is_none_or(|fault| {
            fault.process == index && (fault.number..fault.number + 2).contains(&number)
        });
        process.inside = Some(self.calls.len());
        self.calls.push(Call {
            process: index,
            number,
            argument: match described {
                true => describe(self.proc, process.pid, &name, arguments),
                false => String::new(),
            },
            name: name.clone(),
            result: None,
        });
        let fault = self
            .fault
            .filter(|fault| (fault.process, fault.number) == (index, number));
        match fault.map(|fault| fault.happens) {
            Some(Happens::Kill) => return Ok(kill(process.pid, Signal::SIGKILL)?),
            Some(Happens::KillAll) => return Ok(kill(self.first, Signal::SIGKILL)?),
            Some(Happens::Error(errno)) => {
                process.instead = Some(-i64::from(errno));
                if name != "close" {
                    // Another call in its place, which any filter lets through.
                    registers.orig_rax = libc::SYS_getpid.cast_unsigned();
                    ptrace::setregs(process.pid, registers)?;
                }
            }
            None if self.free => {}
            None => {
                if let Some(waits) = waits(&name, arguments, process.pid) {
                    process.place = Place::Waiting(waits);
                    return self.next();
                }
            }
        }
        Ok(ptrace::syscall(process.pid, None)?)
    }

    /// A call ends.
    fn exit(&mut self, index: usize, call: usize) -> io::Result<()> {
        let process = &mut self.processes[index];
        process.inside = None;
        let mut registers = ptrace::getregs(process.pid)?;
        if let Some(result) = process.instead.take() {
            registers.rax = result.cast_unsigned();
            ptrace::setregs(process.pid, registers)?;
        }
        let result = registers.rax.cast_signed();
        self.calls[call].result = Some(result);
        if self.calls[call].name == "getrandom" {
            // The order in hash tables has a part in which memory is asked for.
            let words = u64::try_from(result).unwrap_or(0) / size_of::<libc::c_long>() as u64;
            for word in 0..words {
                let place = registers.rdi + word * size_of::<libc::c_long>() as u64;
                ptrace::write(process.pid, place as ptrace::AddressType, 0)?;
            }
        }
        Ok(ptrace::syscall(process.pid, None)?)
    }

    fn running(&self) -> usize {
        let running = |it: &&Process| it.place == Place::Running;
        self.processes.iter().filter(running).count()
    }

    /// Lets a process go on that can.
    fn next(&mut self) -> io::Result<()> {
        let ready = |process: &Process| match process.place {
            Place::Stopped => true,
            Place::Waiting(Waits::Readable(fd)) => readable(process.pid, fd),
            _ => false,
        };
        let stopped =
            |process: &Process| matches!(process.place, Place::Stopped | Place::Waiting(_));
        let next: Vec<usize> = match self.processes.iter().position(ready) {
            Some(index) => vec![index],
            None if self.running() > 0 => Vec::new(),
            None => (0..self.processes.len())
                .filter(|index| stopped(&self.processes[*index]))
                .collect(),
        };
        self.free |= next.len() > 1;
        for index in next {
            let process = &mut self.processes[index];
            process.place = Place::Running;
            match ptrace::syscall(process.pid, None) {
                // It was killed, and its end is still to be told.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// What a call waits for, if it is one that does.
fn waits(name: &str, arguments: [u64; 4], pid: Pid) -> Option<Waits> {
    match name {
        "read" if blocks(pid, arguments[0] as RawFd) => {
            Some(Waits::Readable(arguments[0] as RawFd))
        }
        "wait4" | "waitid" => Some(Waits::End),
        // The descriptor comes first in what it is told of each, and the first is the
        // one that the subject reads from.
        "poll" => {
            let first = ptrace::read(pid, arguments[0] as ptrace::AddressType).ok()?;
            Some(Waits::Readable(first as RawFd))
        }
        _ => None,
    }
}

/// Whether reading from a descriptor of a process waits for something to be there.
fn blocks(pid: Pid, fd: RawFd) -> bool {
    let look = || -> io::Result<bool> {
        let flags = rustix::fs::fcntl_getfl(copy(pid, fd)?)?;
        Ok(!flags.contains(rustix::fs::OFlags::NONBLOCK))
    };
    look().unwrap_or(false)
}

/// Whether something can be read from a descriptor of a process, or its end be seen.
fn readable(pid: Pid, fd: RawFd) -> bool {
    let look = || -> io::Result<bool> {
        let copy = copy(pid, fd)?;
        let mut polled = [PollFd::new(copy.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut polled, PollTimeout::ZERO)? > 0)
    };
    // What cannot be looked at fails without waiting.
    look().unwrap_or(true)
}

/// A descriptor of another process, here.
fn copy(pid: Pid, fd: RawFd) -> io::Result<OwnedFd> {
    let number = rustix::process::Pid::from_raw(pid.as_raw());
    let number = number.ok_or(io::ErrorKind::InvalidInput)?;
    let process = pidfd_open(number, PidfdFlags::empty())?;
    Ok(pidfd_getfd(process, fd, PidfdGetfdFlags::empty())?)
}
