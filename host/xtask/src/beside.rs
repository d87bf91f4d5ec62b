//! Two things at the same time: much of what is built keeps one core busy for minutes, since
//! a program that is optimized as a whole is the work of one thread.

use std::cell::Cell;
use std::fs;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, bail};

/// What two builds take at the same time, in KiB: optimizing the largest program as a whole
/// takes some 3 GiB.
const ROOM: u64 = 6 << 20;

/// Whether something failed, so that nothing more is begun.
static FAILED: AtomicBool = AtomicBool::new(false);

thread_local! {
    static BEHIND: Cell<bool> = const { Cell::new(false) };
}

/// Does `front` and `behind` at the same time, or one after the other on a machine that has
/// little memory. What the programs print that [`crate::run::run`] starts for `behind` is
/// shown when they end.
///
/// # Errors
/// What failed of the two. The other begins no more programs then.
pub fn beside<A, B: Send>(
    front: impl FnOnce() -> Result<A>,
    behind: impl FnOnce() -> Result<B> + Send,
) -> Result<(A, B)> {
    if !has_room(&fs::read_to_string("/proc/meminfo").unwrap_or_default()) {
        return Ok((front()?, behind()?));
    }
    thread::scope(|scope| {
        let behind = scope.spawn(|| {
            BEHIND.set(true);
            noted(behind())
        });
        let front = noted(front());
        let behind = behind.join().unwrap_or_else(|panic| resume_unwind(panic));
        match (front, behind) {
            (Ok(front), Ok(behind)) => Ok((front, behind)),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
            // The second one was only given up for the first, or both say what is wrong.
            (Err(front), Err(behind)) => bail!("{front:#}\nand beside it: {behind:#}"),
        }
    })
}

/// Whether what this thread starts is shown when it ends.
pub fn is_behind() -> bool {
    BEHIND.get()
}

/// Fails where something beside this failed.
///
/// # Errors
/// That.
pub fn go_on() -> Result<()> {
    if FAILED.load(Ordering::Relaxed) {
        bail!("not begun, since what was done at the same time has failed");
    }
    Ok(())
}

fn noted<T>(result: Result<T>) -> Result<T> {
    if result.is_err() {
        FAILED.store(true, Ordering::Relaxed);
    }
    result
}

/// Whether this text of `/proc/meminfo` says that there is room for two builds. Where it says
/// nothing, one after the other is never wrong.
fn has_room(meminfo: &str) -> bool {
    let available = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|size| size.trim().strip_suffix(" kB"))
        .and_then(|size| size.parse::<u64>().ok());
    available.is_some_and(|size| size >= ROOM)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_is_done_beside_happens_at_the_same_time_and_both_results_are_there() {
        let (to_front, from_behind) = mpsc::channel();
        let (to_behind, from_front) = mpsc::channel();
        let front = || {
            to_behind.send(1)?;
            Ok(from_behind.recv()? + 10)
        };
        let behind = move || {
            to_front.send(2)?;
            Ok((from_front.recv()?, is_behind()))
        };
        assert_eq!(beside(front, behind).unwrap(), (12, (1, true)));
        assert!(!is_behind());
    }

    #[test]
    fn there_is_room_where_the_kernel_says_so_and_only_there() {
        let said = |size: &str| format!("MemTotal: 1 kB\nMemAvailable:   {size} kB\nX: 2 kB\n");
        assert!(has_room(&said("6291456")));
        assert!(!has_room(&said("6291455")));
        assert!(!has_room(&said("-")));
        assert!(!has_room(""));
    }
}
