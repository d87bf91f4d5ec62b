//! A rehearsal in namespaces, from outside: starts the supervisor and takes its answer.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use switch_root_core::child::{Bounds, run};
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::interrupt;
use switch_root_core::outcome::Message;

use super::messages::{KEPT, Played, Request};
use super::roles;

switch_root_core::outcomes! {
    /// Why a rehearsal has no result.
    pub(crate) enum NoAnswer in "rehearsals" {
        /// The system's own words follow.
        "SR-J19" Start = "cannot start the rehearsal",
        /// The process that makes the namespaces was ended from outside, for want of memory, say.
        "SR-J21" Silent { said: String } = "the rehearsal ended without an answer; it said: {said}",
        /// A large image, a slow machine, or a virtual machine without KVM.
        "SR-J22" TooLong = "the rehearsal took too long and was ended; allow more with --timeout SECONDS",
    }
}

/// What the supervisor gets beyond its own limit of time before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Plays a request.
///
/// # Errors
/// The system forbids namespaces, the image cannot be unpacked, or the user interrupts.
pub fn play(request: &Request) -> Result<Played> {
    let text = serde_json::to_vec(request)
        .map_err(|error| Error::system(NoAnswer::Start, &error.into()))?;
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(roles::SUPERVISOR)
        // For people who look at the processes.
        .arg(&request.image)
        .env_clear();
    let bounds = Bounds {
        deadline: Instant::now() + Duration::from_millis(request.timeout_ms) + GRACE,
        bytes: KEPT,
    };
    let ran = run(&mut command, &text, bounds, &mut go_on)
        .map_err(|error| Error::of_copy(NoAnswer::Start, &error))?;
    if ran.timed_out {
        return Err(too_long());
    }
    let answer: std::result::Result<Played, (bool, Message)> = serde_json::from_slice(&ran.stdout)
        .map_err(|_| {
            let said = switch_root_core::escape::message(ran.errors().trim(), 4096);
            Error::new(Kind::System, NoAnswer::Silent { said })
        })?;
    answer.map_err(|(input, message)| {
        let kind = if input { Kind::Input } else { Kind::System };
        Error::new(kind, message)
    })
}

/// Whether the user wants it to go on.
///
/// # Errors
/// Those of [`interrupt::check`].
pub fn go_on() -> io::Result<()> {
    Ok(interrupt::check()?)
}

/// That it took too long.
pub fn too_long() -> Error {
    Error::new(Kind::System, NoAnswer::TooLong)
}
