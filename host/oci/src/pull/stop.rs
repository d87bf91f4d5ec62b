//! Ending what goes on at the same time, once part of it has failed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::interrupt;

switch_root_core::outcomes! {
    /// Why work is given up that had not failed itself.
    pub enum Ended in "pulling" {
        /// All images of one call come, or none.
        "SR-O09" Another = "given up, since another image failed",
    }
}

/// How long something that waits may take to notice.
pub(super) const NOTICE: Duration = Duration::from_millis(50);

/// Whether everything is to end.
#[derive(Default)]
pub(super) struct Stop(AtomicBool);

impl Stop {
    /// Ends everything. Whether it was to end before.
    pub(super) fn set(&self) -> bool {
        self.0.swap(true, Ordering::Relaxed)
    }

    /// # Errors
    /// [`Kind::Interrupted`]: the user has interrupted, or something failed.
    pub(super) fn check(&self) -> Result<()> {
        interrupt::check()?;
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Interrupted, Ended::Another));
        }
        Ok(())
    }

    /// Waits, unless everything is to end.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub(super) fn sleep(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(NOTICE));
        }
    }
}
