//! Reading a file system image in a process of its own. The libraries that read such images were
//! made for images that somebody's own tools have made: some recurse as deep as directories are,
//! some make room for whatever an image says. A process that ends by that, or by its limits, is
//! one image that is not read, and neither the end of the program nor of the machine's memory.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setrlimit,
};
use switch_root_core::child::{Bounds, run_between};
use switch_root_core::error::{Error, Result, Words};
use switch_root_core::interrupt;
use switch_root_core::outcome::Message;

use super::convert::{Request, convert};

switch_root_core::outcomes! {
    /// Why the process that reads an image inside has made nothing of it: what follows the path
    /// of the image and a colon.
    pub enum Ended in "images" {
        /// It is damaged, or was made to use up memory and time of the machine that reads it: make
        /// it again.
        "SR-Q35" Early { how: String, memory: u64, seconds: u64 } = "the process that reads it ended {how}: the image is damaged, or takes more than the {memory} MiB and {seconds} seconds that there are for it",
        "SR-Q36" TooLong { seconds: u64 } = "reading it took more than {seconds} seconds",
        /// The system's own words follow. `/proc` must be mounted, and `TMPDIR` have room.
        "SR-Q37" NoProcess = "the process that reads it cannot be started",
        "SR-Q38" NoFile = "a temporary file for what it holds cannot be made",
        "SR-Q39" NoLimits = "the process that reads it cannot be limited",
    }
}

/// The argument of the process.
const ARGUMENT: &str = "read-inner-image";

/// Memory that it may map. A file of erofs is decompressed whole, and has up to half of that.
const MEMORY: u64 = 1 << 30;

/// Seconds of a processor that it may take: much more than any initramfs does.
const PROCESSOR: u64 = 300;

/// Seconds after which it is ended where it gets no processor, or waits for a disk.
const PATIENCE: u64 = 900;

/// Of what it says, in bytes.
const SAID: usize = 64 << 10;

/// Its exit status where it says why the image is not read.
const REFUSED: u8 = 1;

/// Whether this program can be started again as such a process: it has said so by [`take`].
/// Others, such as tests and fuzzing, read images themselves.
static POSSIBLE: AtomicBool = AtomicBool::new(false);

/// Runs what these arguments are for, which include the program's name; nothing where they are
/// for somebody else. To be called before anything else, and by each program that is to read
/// images of others.
pub fn take(arguments: &[OsString]) -> Option<ExitCode> {
    POSSIBLE.store(true, Ordering::Relaxed);
    let argument = |number: usize| arguments.get(number).and_then(|it| it.to_str());
    if argument(1)? != ARGUMENT {
        return None;
    }
    let request = argument(2).and_then(|text| serde_json::from_str(text).ok());
    let Some(request) = request else {
        let _ = writeln!(
            io::stderr(),
            "srctl: {ARGUMENT} is a part of srctl that only srctl starts: nothing was done; use srctl plan IMAGE"
        );
        // As for any use that is wrong.
        return Some(ExitCode::from(2));
    };
    Some(match read(&request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever started it has ended where this fails.
            let _ = serde_json::to_writer(io::stderr(), &error.message());
            ExitCode::from(REFUSED)
        }
    })
}

/// Reads the image in standard input, and writes an archive to standard output.
fn read(request: &Request) -> Result<()> {
    let failed = |error: io::Error| Error::system(Ended::NoLimits, &error);
    limit(request).map_err(failed)?;
    let file = |descriptor: io::Result<_>| descriptor.map(File::from).map_err(failed);
    let image = file(io::stdin().as_fd().try_clone_to_owned())?;
    let archive = file(io::stdout().as_fd().try_clone_to_owned())?;
    convert(image, request, archive)
}

fn limit(request: &Request) -> io::Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    for (resource, most) in [
        (Resource::As, MEMORY),
        (Resource::Cpu, PROCESSOR),
        // Names and headers count as well, so that the end of the archive alone comes to it.
        (
            Resource::Fsize,
            request.limits.bytes.saturating_add(1 << 20),
        ),
        (Resource::Core, 0),
    ] {
        // No more can be had than whoever started srctl allows.
        let allowed = getrlimit(resource).maximum;
        let most = Some(allowed.map_or(most, |allowed| allowed.min(most)));
        let both = Rlimit {
            current: most,
            maximum: most,
        };
        setrlimit(resource, both)?;
    }
    Ok(())
}

/// The archive that the image in a file becomes. It has no name.
///
/// # Errors
/// Why the image is not read, or the user interrupts.
pub(super) fn archive(image: File, request: &Request) -> Result<File> {
    let no_file = |error| Error::system(Ended::NoFile, &error);
    let archive = tempfile::tempfile().map_err(no_file)?;
    let output = archive.try_clone().map_err(no_file)?;
    match POSSIBLE.load(Ordering::Relaxed) {
        true => start(image, request, output)?,
        false => convert(image, request, output)?,
    }
    Ok(archive)
}

fn start(image: File, request: &Request, archive: File) -> Result<()> {
    let failed = |error: io::Error| Error::of_copy(Ended::NoProcess, &error);
    let request = serde_json::to_string(request).map_err(|error| failed(error.into()))?;
    let mut command = Command::new("/proc/self/exe");
    command
        .args([ARGUMENT, &request])
        .env_clear()
        // The allocator of srctl maps 1 GiB as it begins, of which nothing but itself could
        // have any: not even the stack could grow within the limit.
        .env("MIMALLOC_ARENA_RESERVE", "0");
    let bounds = Bounds {
        deadline: Instant::now() + Duration::from_secs(PATIENCE),
        bytes: SAID,
    };
    let go_on = &mut || Ok(interrupt::check()?);
    let ran = run_between(&mut command, (image, archive), bounds, go_on).map_err(failed)?;
    // A key interrupts both at once.
    interrupt::check()?;
    if ran.timed_out {
        return Err(Error::input(Ended::TooLong { seconds: PATIENCE }));
    }
    if ran.status.success() {
        return Ok(());
    }
    let said = match ran.status.code() == Some(REFUSED.into()) {
        true => serde_json::from_slice::<Message>(&ran.stderr).ok(),
        false => None,
    };
    Err(said.map_or_else(
        || {
            Error::input(Ended::Early {
                how: how(ran.status),
                memory: MEMORY >> 20,
                seconds: PROCESSOR,
            })
        },
        Error::input,
    ))
}

/// How a process ended, as the end of a sentence.
fn how(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("by signal {signal}"),
        (_, Some(code)) => format!("with status {code}"),
        _ => "strangely".to_owned(),
    }
}
