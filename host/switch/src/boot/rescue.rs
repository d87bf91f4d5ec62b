//! What is executed where the machine cannot be started and its operator wants
//! to look why.

use std::ffi::CString;

use nix::unistd::execv;

use crate::start;
use crate::text::Path;

/// Executes the rescue program of the initramfs. Comes back where that cannot
/// be, or must not: `panic=` asks for a restart, and a machine that restarts by
/// itself is not to offer a shell to whoever stands before it.
pub fn run(program: &str, panic: Option<i64>) {
    let shown = Path::from(program.as_bytes());
    if let Some(seconds) = panic {
        tracing::error!(
            "the rescue program {shown} is not started, since panic={seconds} is given"
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
