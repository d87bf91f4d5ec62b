//! What is executed where the machine cannot be started and its operator wants
//! to look why.

use std::ffi::CString;

use nix::errno::Errno;
use nix::unistd::execv;
use switch_root_core::outcome::error;
use switch_root_core::path::Path;

use crate::proc::Proc;
use crate::start;

switch_root_core::outcomes! {
    /// What becomes of the rescue program.
    pub enum Rescue in "rescue" {
        /// The refusal stands in the line before. The program is PID 1: the kernel panics where it
        /// ends. It can mend what is wrong, and execute `/init` again.
        "SR-B60" Started { path: Path } = "starting the rescue program {path}",
        /// A machine that restarts by itself is not to offer a shell to whoever stands before it.
        /// Start it with `panic=0` to have one.
        "SR-B61" Restarting { path: Path, seconds: i64 } = "the rescue program {path} is not started, since the kernel is to restart the machine after a panic (panic={seconds})",
        /// The kernel panics. The path is one of the initramfs; its loader may be missing there.
        "SR-B62" Failed { path: Path, error: Errno } = "the rescue program {path} cannot be executed: {error}; switch_root.rescue= names it",
    }
}

/// Executes the rescue program of the initramfs. Comes back where that cannot be,
/// or must not: a machine that restarts by itself is not to offer a shell to
/// whoever stands before it.
pub fn run(program: &str, proc: Option<&Proc>) {
    let path = Path::from(program.as_bytes());
    if let Some(seconds) = proc.and_then(restarts_after) {
        return error(&Rescue::Restarting { path, seconds }.into());
    }
    error(&Rescue::Started { path: path.clone() }.into());
    let Ok(name) = CString::new(program) else {
        return;
    };
    start::restore();
    let Err(reason) = execv(&name, &[&name]);
    error(
        &Rescue::Failed {
            path,
            error: reason,
        }
        .into(),
    );
}

/// What the kernel has for `panic=`, be it from its command line or built in:
/// seconds, below zero for at once. `None` where it waits for ever.
fn restarts_after(proc: &Proc) -> Option<i64> {
    let text = proc.read("sys/kernel/panic").ok()?;
    let seconds = String::from_utf8(text).ok()?.trim().parse().ok()?;
    (seconds != 0).then_some(seconds)
}
