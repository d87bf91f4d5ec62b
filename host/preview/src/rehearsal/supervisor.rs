//! A rehearsal in namespaces, from within. Runs in a process of its own, which has one
//! thread, takes the request on standard input, and gives what came of it back on
//! standard output.
//!
//! The supervisor makes the namespaces, unpacks the initramfs, and stays outside of the
//! namespace of processes; process 1 of that one ([`first`]) becomes `switch_root`. When
//! it ends, the kernel ends all others in there, and with the last process go all mounts.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{ForkResult, fork, pipe2};
use rustix::mount::MountAttrFlags;
use switch_root_core::child::{Bounds, End, collect, own_descriptors, wait};
use switch_root_core::error::{Error, Kind, Result, Words};
use switch_root_core::escape;

use super::messages::{self, KEPT, Message, Played, Request, say};
use super::opened::Opened;
use super::stage::detached;
use super::unpack::{Unpacked, prepare, unpack};
use super::{first, users};

switch_root_core::outcomes! {
    /// What the system refused to the process that makes the namespaces.
    pub(crate) enum Refused in "rehearsals" {
        /// The system's own words follow. They are not about the image.
        "SR-J14" Start = "the supervisor cannot start",
        "SR-J15" Signal = "prctl",
        "SR-J16" Duplicate = "dup",
        "SR-J17" Initramfs = "cannot make the initramfs",
        "SR-J18" Rehearse { image: String } = "cannot rehearse {image}",
    }
}

/// What a request may take, in bytes.
const REQUEST: u64 = 256 << 20;

/// Plays the request on standard input; the exit status only tells whether there is an
/// answer on standard output.
pub fn run() -> ExitCode {
    let answer = listen().and_then(|request| play(&request));
    let answer = answer.map_err(|error| (error.kind == Kind::Input, error.message()));
    match serde_json::to_writer(io::stdout(), &answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn listen() -> Result<Request> {
    let failed = |error: io::Error| Error::system(Refused::Start, &error);
    // What whoever started srctl left open is nothing for the image's programs.
    own_descriptors().map_err(failed)?;
    // Where whoever started us has ended already, there is no request either.
    set_pdeathsig(Signal::SIGKILL).map_err(|error| failed(error.into()))?;
    messages::read(io::stdin(), REQUEST).map_err(failed)
}

fn play(request: &Request) -> Result<Played> {
    let deadline = Instant::now() + Duration::from_millis(request.timeout_ms);
    // Opened as who we are: in the namespace we may be nobody.
    let opened = Opened::new(request)?;
    users::enter()?;
    // The change of user has taken it away.
    set_pdeathsig(Signal::SIGKILL)
        .map_err(|error| Error::system(Refused::Signal, &error.into()))?;
    let shown = escape::path(request.image.as_os_str().as_bytes());
    let root = make_tmpfs(request.max_bytes)
        .map_err(|error| users::forbidden("it does not let us mount a tmpfs", &error))?;
    let prepared =
        prepare(root.as_fd()).map_err(|error| Error::system(Refused::Initramfs, &error))?;
    let unpacked = unpack(
        opened
            .image
            .try_clone()
            .map_err(|error| Error::system(Refused::Duplicate, &error))?,
        &shown,
        root.as_fd(),
        prepared,
        request.max_bytes,
    )?;
    unshare(CloneFlags::CLONE_NEWPID).map_err(|error| {
        users::forbidden(
            "it does not let us make a namespace of processes",
            &error.into(),
        )
    })?;
    watch(request, &opened, &root, unpacked, deadline)
        .map_err(|error| Error::system(Refused::Rehearse { image: shown }, &error))
}

/// Makes the tmpfs of the initramfs, mounted nowhere yet.
fn make_tmpfs(bytes: u64) -> io::Result<OwnedFd> {
    // An inode takes about as much of the kernel's own memory, which `size` is not for.
    let inodes = (bytes / 1024).clamp(1024, 1 << 24).to_string();
    let size = bytes.to_string();
    let options = [("mode", "0755"), ("size", &size), ("nr_inodes", &inodes)];
    detached("tmpfs", &options, MountAttrFlags::empty())
}

/// Starts process 1, and waits for its end.
fn watch(
    request: &Request,
    opened: &Opened,
    root: &OwnedFd,
    unpacked: Unpacked,
    deadline: Instant,
) -> io::Result<Played> {
    let (read, write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (errors_read, errors_write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    // SAFETY: this process has one thread, so the child may do all that we may.
    let process = match unsafe { fork() }? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let why = match first::run(request, opened, root, (&write, &errors_write)) {
                Err(why) => why,
                Ok(never) => match never {},
            };
            let _ = say(&Message::Failed(why));
            std::process::exit(1);
        }
    };
    drop((write, errors_write));
    let bounds = Bounds {
        deadline,
        bytes: KEPT,
    };
    // With process 1 all others end: what can be read then is all there is.
    let collected = collect(
        &mut [read, errors_read].map(File::from),
        process,
        bounds,
        None,
    )?;
    let end = match (wait(process)?, collected.timed_out) {
        (_, true) => End::TimedOut,
        (end, false) => end,
    };
    let text = |number: usize| String::from_utf8_lossy(&collected.streams[number]).into_owned();
    let mut said = messages::hear(&text(0));
    said.log.insert_str(0, &text(1));
    let mut notes = unpacked.passed_over;
    let more = unpacked.passed_over_count - notes.len() as u64;
    if more > 0 {
        notes.push(format!("{more} more members are not unpacked"));
    }
    if unpacked.foreign > 0 {
        notes.push(format!(
            "{} members of the image belong to users or groups that are not known here, and belong to root instead",
            unpacked.foreign
        ));
    }
    Ok(Played {
        said,
        end: Some(end),
        placeholders: unpacked.placeholders,
        notes,
    })
}
