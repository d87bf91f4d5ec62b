//! The init of the new root: tells when it was started, stays until it is told
//! to go, and hands over the report.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, RawFd};
use std::process::ExitCode;

/// Where it tells when it was started, and then what the report says.
pub const TELL: RawFd = 100;
/// What it reads until it ends.
pub const STAY: RawFd = 101;
/// Where switch_root leaves its report.
const REPORT: &str = "/run/switch-root/report.json";

/// Microseconds of CLOCK_MONOTONIC, which is one clock for all processes.
pub fn now() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    time.tv_sec.cast_unsigned() * 1_000_000 + time.tv_nsec.cast_unsigned() / 1000
}

/// Runs as PID 1.
pub fn run() -> ExitCode {
    let started = now();
    // SAFETY: the race opened these two descriptors under these numbers, and
    // nothing else in this process owns them.
    let (mut tell, mut stay) = unsafe { (File::from_raw_fd(TELL), File::from_raw_fd(STAY)) };
    let told = tell.write_all(&started.to_le_bytes());
    let mut nothing = Vec::new();
    let stayed = stay.read_to_end(&mut nothing);
    let report = std::fs::read(REPORT).unwrap_or_default();
    let handed = tell.write_all(&report);
    if told.is_ok() && stayed.is_ok() && handed.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
