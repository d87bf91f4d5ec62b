//! Two things at the same time: much of what is built keeps one core busy for minutes, since
//! a program that is optimized as a whole is the work of one thread.

use std::cell::RefCell;
use std::fs;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, bail};

/// What all builds together take, in KiB: optimizing the largest program as a whole takes
/// some 2 GiB, and others go on meanwhile.
const ROOM: u64 = 8 << 20;

/// What a thread does beside others.
#[derive(Clone, Default)]
struct Lane {
    /// Whether something is in front of it.
    behind: bool,
    /// Set where what is done at the same time has failed, for each thing that this is a
    /// part of.
    failed: Vec<Arc<AtomicBool>>,
}

thread_local! {
    static LANE: RefCell<Lane> = RefCell::default();
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
    let failed = Arc::new(AtomicBool::new(false));
    let outer = LANE.take();
    let mut inner = outer.clone();
    inner.failed.push(Arc::clone(&failed));
    let second = Lane {
        behind: true,
        ..inner.clone()
    };
    let noted = |ended: bool| failed.fetch_or(!ended, Ordering::Relaxed);
    let (front, behind) = thread::scope(|scope| {
        let behind = scope.spawn(|| {
            LANE.set(second);
            let result = behind();
            noted(result.is_ok());
            result
        });
        LANE.set(inner);
        let front = front();
        noted(front.is_ok());
        let behind = behind.join().unwrap_or_else(|panic| resume_unwind(panic));
        (front, behind)
    });
    LANE.set(outer);
    match (front, behind) {
        (Ok(front), Ok(behind)) => Ok((front, behind)),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => Err(error),
        // The second one was only given up for the first, or both say what is wrong.
        (Err(front), Err(behind)) => bail!("{front:#}\nand beside it: {behind:#}"),
    }
}

/// Whether what this thread starts is shown when it ends.
pub fn is_behind() -> bool {
    LANE.with_borrow(|lane| lane.behind)
}

/// Fails where something beside this failed.
///
/// # Errors
/// That.
pub fn go_on() -> Result<()> {
    let given_up = LANE.with_borrow(|lane| {
        let mut failed = lane.failed.iter();
        failed.any(|failed| failed.load(Ordering::Relaxed))
    });
    if given_up {
        bail!("not begun, since what was done at the same time has failed");
    }
    Ok(())
}

/// Whether this text of `/proc/meminfo` says that there is room for all builds. Where it says
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
    fn where_one_fails_the_other_begins_nothing_more() {
        let (fails, wait) = mpsc::channel::<()>();
        let front = || -> Result<()> {
            drop(fails);
            bail!("the first one")
        };
        let behind = move || {
            let nested = beside(
                || {
                    // Until the one in front is about to fail; that it has is seen soon.
                    let _ = wait.recv();
                    while go_on().is_ok() {
                        thread::yield_now();
                    }
                    go_on()
                },
                || Ok(()),
            );
            nested.map(drop)
        };
        let error = beside(front, behind).unwrap_err().to_string();
        assert!(error.starts_with("the first one\nand beside it: not begun"));
        assert!(go_on().is_ok());
    }

    #[test]
    fn there_is_room_where_the_kernel_says_so_and_only_there() {
        let said = |size: &str| format!("MemTotal: 1 kB\nMemAvailable:   {size} kB\nX: 2 kB\n");
        assert!(has_room(&said("8388608")));
        assert!(!has_room(&said("8388607")));
        assert!(!has_room(&said("-")));
        assert!(!has_room(""));
    }
}
