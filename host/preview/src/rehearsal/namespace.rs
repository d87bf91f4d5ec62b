//! A rehearsal in namespaces, from outside: starts the supervisor and takes its answer.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::interrupt;
use switch_root_core::outcome::Message;

use super::messages::{Played, Request};
use super::output;
use super::roles;

switch_root_core::outcomes! {
    /// Why a rehearsal has no result.
    pub(crate) enum NoAnswer in "rehearsals" {
        /// The system's own words follow.
        "SR-J19" Start = "cannot start the rehearsal",
        "SR-J20" Wait = "cannot wait for the rehearsal",
        /// The process that makes the namespaces was ended from outside, for want of memory, say.
        "SR-J21" Silent { said: String } = "the rehearsal ended without an answer; it said: {said}",
        /// A large image, a slow machine, or a virtual machine without KVM.
        "SR-J22" TooLong = "the rehearsal took too long and was ended; allow more with --timeout SECONDS",
    }
}

/// What the supervisor gets beyond its own limit of time before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// How often it is looked whether it has ended.
const STEP: Duration = Duration::from_millis(10);

/// Plays a request.
///
/// # Errors
/// The system forbids namespaces, the image cannot be unpacked, or the user interrupts.
pub fn play(request: &Request) -> Result<Played> {
    let failed = |error: std::io::Error| Error::system(NoAnswer::Start, &error);
    let text = serde_json::to_vec(request).map_err(|error| failed(error.into()))?;
    let mut child = Command::new("/proc/self/exe")
        .arg(roles::SUPERVISOR)
        // For people who look at the processes.
        .arg(&request.image)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let collect = |stream: OwnedFd| output::collect(File::from(stream));
    let stdin = child.stdin.take();
    let answer = child.stdout.take().map(|it| collect(it.into()));
    let errors = child.stderr.take().map(|it| collect(it.into()));
    let mut running = Running(child);
    // It reads all of it before it does anything else, or ends.
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(&text);
    }
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms) + GRACE;
    running.wait(deadline)?;
    drop(running);
    let text = |stream: Option<output::Collected>| stream.map(output::Collected::join);
    let answer = text(answer).unwrap_or_default();
    let answer: std::result::Result<Played, (bool, Message)> = serde_json::from_str(&answer)
        .map_err(|_| {
            let said = text(errors).unwrap_or_default();
            let said = switch_root_core::escape::message(said.trim(), 4096);
            Error::new(Kind::System, NoAnswer::Silent { said })
        })?;
    answer.map_err(|(input, message)| {
        let kind = if input { Kind::Input } else { Kind::System };
        Error::new(kind, message)
    })
}

/// A process that does not outlive this value.
pub struct Running(pub Child);

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// It did not end until `deadline`, or the user interrupts.
    pub fn wait(&mut self, deadline: Instant) -> Result<()> {
        loop {
            match self.0.try_wait() {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => {}
                Err(error) => return Err(Error::system(NoAnswer::Wait, &error)),
            }
            interrupt::check()?;
            if Instant::now() > deadline {
                return Err(too_long());
            }
            std::thread::sleep(STEP);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of one that has ended, nothing comes of it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// That it took too long.
pub fn too_long() -> Error {
    Error::new(Kind::System, NoAnswer::TooLong)
}
