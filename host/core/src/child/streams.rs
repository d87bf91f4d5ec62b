//! Reads what a process and its descendants write, for as long as it runs.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How long a signal may stay unnoticed that comes just before something is waited for.
const STEP: Duration = Duration::from_millis(200);

/// How long a process may run, and how much of what it writes is kept.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// When it is killed.
    pub deadline: Instant,
    /// Of each stream, in bytes. The rest is read, so that who writes is not stopped.
    pub bytes: usize,
}

/// What is done while streams are read.
pub struct Beside<'a> {
    /// Can be read when there is something to attend to.
    pub descriptor: Option<BorrowedFd<'a>>,
    /// Attends to it. Called a few times in a second besides, and ends the reading by an error.
    pub attend: &'a mut dyn FnMut() -> io::Result<()>,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// By stream.
    pub streams: Vec<Vec<u8>>,
    /// Whether the process was killed at its deadline.
    pub timed_out: bool,
}

/// Reads streams until a process has ended, which is waited for afterwards, or kills it at its
/// deadline. Where it is the first one of a PID namespace, all others in there end with it.
///
/// # Errors
/// Those of poll(2), pidfd_open(2) and pidfd_send_signal(2), and of what is done beside.
pub fn collect(
    streams: &mut [File],
    process: Pid,
    bounds: Bounds,
    mut beside: Option<Beside<'_>>,
) -> io::Result<Collected> {
    let number = rustix::process::Pid::from_raw(process.as_raw());
    let alive = pidfd_open(
        number.ok_or(io::ErrorKind::InvalidInput)?,
        PidfdFlags::empty(),
    )?;
    let mut texts = vec![Vec::new(); streams.len()];
    let mut open = vec![true; streams.len()];
    let (mut ended, mut timed_out) = (false, false);
    // What is left in the streams is read after the end, without waiting for more.
    loop {
        let left = bounds.deadline.saturating_duration_since(Instant::now());
        let wait = match (ended, timed_out) {
            (true, _) => Duration::ZERO,
            // Killed, but the kernel has not ended it yet.
            (false, true) => STEP,
            (false, false) => left.min(STEP) + Duration::from_millis(1),
        };
        let other = beside.as_ref().and_then(|beside| beside.descriptor);
        let readable = poll_streams(streams, &open, &alive, other, wait)?;
        let mut block = vec![0; 1 << 16];
        for (index, stream) in streams.iter_mut().enumerate() {
            if readable[index] {
                match stream.read(&mut block) {
                    Ok(length @ 1..) => {
                        let room = bounds.bytes.saturating_sub(texts[index].len());
                        texts[index].extend_from_slice(&block[..length.min(room)]);
                    }
                    Ok(0) | Err(_) => open[index] = false,
                }
            }
        }
        if let Some(beside) = &mut beside {
            (beside.attend)()?;
        }
        if ended && !readable[..streams.len()].contains(&true) {
            break;
        }
        ended = readable[streams.len()];
        if left.is_zero() && !ended && !timed_out {
            timed_out = true;
            pidfd_send_signal(&alive, Signal::KILL)?;
        }
    }
    Ok(Collected {
        streams: texts,
        timed_out,
    })
}

/// Waits until a stream that is open can be read, or the process has ended. Says which,
/// the process behind them, and what else is attended to last.
fn poll_streams(
    streams: &[File],
    open: &[bool],
    process: &OwnedFd,
    other: Option<BorrowedFd<'_>>,
    wait: Duration,
) -> io::Result<Vec<bool>> {
    // A stream that has ended would end each wait at once, so it is left out.
    let mut polled: Vec<PollFd> = streams
        .iter()
        .zip(open)
        .filter(|(_, open)| **open)
        .map(|(stream, _)| PollFd::new(stream.as_fd(), PollFlags::POLLIN))
        .collect();
    polled.push(PollFd::new(process.as_fd(), PollFlags::POLLIN));
    polled.extend(other.map(|other| PollFd::new(other, PollFlags::POLLIN)));
    match poll(
        &mut polled,
        PollTimeout::try_from(wait).unwrap_or(PollTimeout::MAX),
    ) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let mut events = polled
        .iter()
        .map(|fd| fd.revents().is_some_and(|events| !events.is_empty()));
    let mut next = |open: bool| open && events.next().unwrap_or(false);
    let mut readable: Vec<bool> = open.iter().map(|open| next(*open)).collect();
    readable.push(next(true));
    Ok(readable)
}
