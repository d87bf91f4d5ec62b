//! Runs the programs that policies are built with.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::interrupt;

switch_root_core::outcomes! {
    /// What a program that policies are built with did not do.
    pub(crate) enum Failed in "policies" {
        /// Install it; the sentence says how.
        "SR-T63" Missing { program: String, install: String } = "there is no program {program}; {install}",
        /// What it printed is above the sentence.
        "SR-T64" Ended { program: String, status: ExitStatus } = "{program} ended with {status}; what it says of that stands above",
        /// The system's own words are its reason.
        "SR-T65" Run { program: String } = "cannot run {program}",
        "SR-T66" Wait { program: String } = "cannot wait for {program}",
        "SR-T67" Output { program: String } = "cannot read what {program} wrote",
        "SR-T68" Errors = "cannot use standard error",
        "SR-T69" Pipe = "cannot make a pipe",
    }
}

/// How often an interruption is looked for.
const TICK: Duration = Duration::from_millis(20);

/// Checks that the program of this name is in PATH: before anything is made for it.
///
/// # Errors
/// It is not; `install` says what to do.
pub(crate) fn look_for(program: &str, install: &str) -> Result<()> {
    match which::which(program) {
        Ok(_) => Ok(()),
        Err(_) => Err(missing(program, install)),
    }
}

fn missing(program: &str, install: &str) -> Error {
    Error::new(
        Kind::NotFound,
        Failed::Missing {
            program: program.to_owned(),
            install: install.to_owned(),
        },
    )
}

/// Runs a program to its end, and gives what it wrote to its standard output. What it
/// complains of goes to standard error as it comes: compilers explain themselves well.
///
/// `install` says what to do where there is no such program.
///
/// # Errors
/// It is not there, fails, or the user interrupts; the program and its children are ended then.
pub(crate) fn output(command: &mut Command, install: &str) -> Result<Vec<u8>> {
    let mut child = start(command.stdout(Stdio::piped()), install)?;
    let stdout = child.stdout.take();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut bytes));
        read.map(|_| bytes)
    });
    let ended = wait(&mut child, command.get_program());
    // Joined whatever came of it: who forks later must be alone.
    let bytes = reader
        .join()
        .unwrap_or_else(|_| Err(std::io::Error::other("its reader has failed")));
    ended?;
    bytes.map_err(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        Error::system(Failed::Output { program }, &error)
    })
}

static SHOW: OnceLock<fn(&[u8])> = OnceLock::new();

/// Has what programs write shown by a function, a line at a time, for who draws on the
/// terminal meanwhile. Without one they write to standard error themselves.
pub fn show_lines(show: fn(&[u8])) {
    let _ = SHOW.set(show);
}

/// Runs a program to its end. All that it writes goes to standard error.
///
/// # Errors
/// As for [`output`].
pub(crate) fn run(command: &mut Command, install: &str) -> Result<()> {
    if let Some(show) = SHOW.get() {
        return run_shown(command, install, *show);
    }
    let stderr = std::io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| Error::system(Failed::Errors, &error))?;
    let mut child = start(command.stdout(stderr), install)?;
    wait(&mut child, command.get_program())
}

fn run_shown(command: &mut Command, install: &str, show: fn(&[u8])) -> Result<()> {
    let failed = |error| Error::system(Failed::Pipe, &error);
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    let other = writer.try_clone().map_err(failed)?;
    let started = start(command.stdout(other).stderr(writer), install);
    // What still holds the other end of the pipe would keep it open.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = started?;
    let showing = thread::spawn(move || {
        let mut lines = BufReader::new(reader);
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            show(&line);
            line.clear();
        }
    });
    let ended = wait(&mut child, command.get_program());
    // All of it is shown before what came of it.
    let _ = showing.join();
    ended
}

fn start(command: &mut Command, install: &str) -> Result<Child> {
    let started = command
        .stdin(Stdio::null())
        // So that an interruption ends what it has started, too.
        .process_group(0)
        .spawn();
    started.map_err(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        match error.kind() {
            ErrorKind::NotFound => missing(&program, install),
            _ => Error::system(Failed::Run { program }, &error),
        }
    })
}

fn wait(child: &mut Child, name: &OsStr) -> Result<()> {
    let program = name.to_string_lossy().into_owned();
    match ended(child) {
        Err(error) => Err(Error::system(Failed::Wait { program }, &error)),
        Ok(ended) => match ended? {
            status if status.success() => Ok(()),
            status => Err(Error::input(Failed::Ended { program, status })),
        },
    }
}

fn ended(child: &mut Child) -> std::io::Result<Result<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Ok(status));
        }
        if let Err(interrupted) = interrupt::check() {
            let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
            child.wait()?;
            return Ok(Err(interrupted));
        }
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_gives_its_output_or_a_sentence() {
        let echoed = output(Command::new("sh").args(["-c", "echo a; echo b >&2"]), "").unwrap();
        assert_eq!(echoed, b"a\n");
        let error = run(Command::new("sh").args(["-c", "exit 4"]), "").unwrap_err();
        assert_eq!(
            error.to_string(),
            "sh ended with exit status: 4; what it says of that stands above"
        );
        let error = run(&mut Command::new("no-such-program"), "install it").unwrap_err();
        assert_eq!(error.kind, Kind::NotFound);
        assert_eq!(
            error.to_string(),
            "there is no program no-such-program; install it"
        );
    }
}
