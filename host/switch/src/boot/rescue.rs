//! What is executed where the machine cannot be started and its operator wants
//! to look why.

use std::ffi::CString;

use nix::unistd::execv;
use switch_root_core::path::Path;

use crate::proc::Proc;
use crate::start;

/// Executes the rescue program of the initramfs. Comes back where that cannot be,
/// or must not: a machine that restarts by itself is not to offer a shell to
/// whoever stands before it.
pub fn run(program: &str, proc: Option<&Proc>) {
    let shown = Path::from(program.as_bytes());
    if let Some(seconds) = proc.and_then(restarts_after) {
        tracing::error!(
            "the rescue program {shown} is not started, since the kernel is to restart the machine after a panic (panic={seconds})"
        );
        return;
    }
    tracing::error!("starting the rescue program {shown}");
    let Ok(path) = CString::new(program) else {
        return;
    };
    start::restore();
    let Err(error) = execv(&path, &[&path]);
    tracing::error!(
        "the rescue program {shown} cannot be executed: {error}; switch_root.rescue= names it"
    );
}

/// What the kernel has for `panic=`, be it from its command line or built in:
/// seconds, below zero for at once. `None` where it waits for ever.
fn restarts_after(proc: &Proc) -> Option<i64> {
    let text = proc.read("sys/kernel/panic").ok()?;
    let seconds = String::from_utf8(text).ok()?.trim().parse().ok()?;
    (seconds != 0).then_some(seconds)
}
