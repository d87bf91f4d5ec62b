//! Starts supervisors and takes their outcomes: the side of the test that calls.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;

use crate::outcome::Outcome;
use crate::scene::Scene;

/// What a supervisor is given beyond the scene's own limit before it is killed: it has
/// to make the tree and to look at it twice.
const GRACE: Duration = Duration::from_secs(120);

/// Whether scenes can be played on this machine.
///
/// # Errors
/// A sentence: what is not allowed here.
pub fn possible(supervisor: &Path) -> Result<(), String> {
    let child =
        spawn(Command::new(supervisor).arg("--check")).map_err(|error| error.to_string())?;
    answer(child, &[], GRACE)
}

/// Plays a scene with the `supervisor` binary. `staging` is an empty directory that
/// nobody else uses.
///
/// # Errors
/// A sentence: what kept the scene from being played.
pub fn play(supervisor: &Path, scene: &Scene, staging: &Path) -> Result<Outcome, String> {
    let text = serde_json::to_vec(scene).map_err(|error| error.to_string())?;
    let child = spawn(Command::new(supervisor).arg(staging)).map_err(|error| error.to_string())?;
    answer(
        child,
        &text,
        GRACE + Duration::from_millis(scene.time_limit_ms),
    )
}

fn spawn(command: &mut Command) -> io::Result<Child> {
    let streams = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    streams.spawn()
}

/// Gives the supervisor its input and reads its answer, for no longer than `limit`.
fn answer<T: DeserializeOwned>(
    mut child: Child,
    input: &[u8],
    limit: Duration,
) -> Result<T, String> {
    let process = Pid::from_raw(child.id().cast_signed());
    let stdin = child.stdin.take();
    let (sender, receiver) = mpsc::channel::<io::Result<Output>>();
    let reader = std::thread::spawn(move || {
        // The receiver waits for us and nobody else.
        let _ = sender.send(child.wait_with_output());
    });
    if let Some(mut stdin) = stdin {
        stdin
            .write_all(input)
            .map_err(|error| format!("writing to the supervisor: {error}"))?;
    }
    let output = match receiver.recv_timeout(limit) {
        Ok(output) => output,
        Err(_) => {
            // Its children die with it: they asked the kernel for that.
            kill(process, Signal::SIGKILL).map_err(|error| error.to_string())?;
            receiver.recv().map_err(|error| error.to_string())?
        }
    };
    reader
        .join()
        .map_err(|_| "the thread that reads the supervisor's answer panicked")?;
    let output = output.map_err(|error| format!("reading from the supervisor: {error}"))?;
    let result: Result<T, String> = serde_json::from_slice(&output.stdout).map_err(|error| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!(
            "the supervisor ended with {} and no answer ({error}): {errors}",
            output.status
        )
    })?;
    result
}
