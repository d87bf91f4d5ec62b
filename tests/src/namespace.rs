//! Starts supervisors and takes their outcomes: the side of the test that calls.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use switch_root_core::child::{Bounds, run};

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
    answer(Command::new(supervisor).arg("--check"), &[], GRACE)
}

/// Plays a scene with the `supervisor` binary. `staging` is an empty directory that
/// nobody else uses.
///
/// # Errors
/// A sentence: what kept the scene from being played.
pub fn play(supervisor: &Path, scene: &Scene, staging: &Path) -> Result<Outcome, String> {
    let text = serde_json::to_vec(scene).map_err(|error| error.to_string())?;
    let limit = GRACE + Duration::from_millis(scene.time_limit_ms);
    answer(Command::new(supervisor).arg(staging), &text, limit)
}

/// Gives the supervisor its input and reads its answer, for no longer than `limit`. Its children
/// die with it: they asked the kernel for that.
fn answer<T: DeserializeOwned>(
    command: &mut Command,
    input: &[u8],
    limit: Duration,
) -> Result<T, String> {
    let bounds = Bounds {
        deadline: Instant::now() + limit,
        bytes: usize::MAX,
    };
    let ran = run(command, input, bounds, &mut || Ok(()))
        .map_err(|error| format!("running the supervisor: {error}"))?;
    let result: Result<T, String> = serde_json::from_slice(&ran.stdout).map_err(|error| {
        format!(
            "the supervisor ended with {} and no answer ({error}): {}",
            ran.status,
            ran.errors()
        )
    })?;
    result
}
