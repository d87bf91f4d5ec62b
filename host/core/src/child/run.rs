//! Running a program that is given its input, and asked for what it writes.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::unistd::Pid;
use rustix::fs::{MemfdFlags, memfd_create};

use super::streams::{Beside, Bounds, collect};

/// What came of it.
#[derive(Clone, Debug)]
pub struct Ran {
    /// How it ended.
    pub status: ExitStatus,
    /// Whether it was killed at its deadline.
    pub timed_out: bool,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
}

impl Ran {
    /// What it wrote to standard error, as far as it is text.
    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }
}

/// Runs a program to its end. `attend` is called a few times in a second; its error ends the
/// program.
///
/// # Errors
/// The program cannot be started, or what `attend` says.
pub fn run(
    command: &mut Command,
    input: &[u8],
    bounds: Bounds,
    attend: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Ran> {
    command.stdin(in_memory(input)?).stdout(Stdio::piped());
    to_its_end(command, bounds, attend)
}

/// Runs a program that reads one file and writes another, as [`run`] does.
///
/// # Errors
/// See there.
pub fn run_between(
    command: &mut Command,
    (input, output): (File, File),
    bounds: Bounds,
    attend: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Ran> {
    command.stdin(input).stdout(output);
    to_its_end(command, bounds, attend)
}

fn to_its_end(
    command: &mut Command,
    bounds: Bounds,
    attend: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<Ran> {
    let mut running = Running(command.stderr(Stdio::piped()).spawn()?);
    let stdout = running.0.stdout.take().map(OwnedFd::from);
    let stderr = running.0.stderr.take().map(OwnedFd::from);
    // What goes into a file is not read here.
    let has_stdout = stdout.is_some();
    let mut streams: Vec<File> = [stdout, stderr]
        .into_iter()
        .flatten()
        .map(File::from)
        .collect();
    let process = Pid::from_raw(running.0.id().cast_signed());
    let beside = Beside {
        descriptor: None,
        attend,
    };
    let collected = collect(&mut streams, process, bounds, Some(beside))?;
    let mut read = collected.streams.into_iter().peekable();
    Ok(Ran {
        status: running.0.wait()?,
        timed_out: collected.timed_out,
        stdout: read.next_if(|_| has_stdout).unwrap_or_default(),
        stderr: read.next().unwrap_or_default(),
    })
}

/// A file with this input: a pipe would have to be written to while the program runs, for as long
/// as it does not read.
fn in_memory(input: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create(c"input", MemfdFlags::CLOEXEC)?);
    file.write_all(input)?;
    file.rewind()?;
    Ok(file)
}

/// A process that does not outlive this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Of one that has ended, nothing comes of it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn shell(script: &str, seconds: u64, bytes: usize) -> io::Result<Ran> {
        let bounds = Bounds {
            deadline: Instant::now() + Duration::from_secs(seconds),
            bytes,
        };
        let mut command = Command::new("sh");
        run(command.args(["-c", script]), b"in", bounds, &mut || Ok(()))
    }

    #[test]
    fn a_program_is_given_its_input_and_asked_for_both_streams() {
        let ran = shell("cat; echo bad >&2; exit 3", 60, 100).unwrap();
        assert_eq!(ran.status.code(), Some(3));
        assert_eq!((&*ran.stdout, &*ran.errors()), (&b"in"[..], "bad\n"));
        assert!(!ran.timed_out);
    }

    #[test]
    fn a_program_that_does_not_read_is_killed_at_its_deadline() {
        let input = vec![b'x'; 4 << 20];
        let bounds = Bounds {
            deadline: Instant::now() + Duration::from_millis(100),
            bytes: 10,
        };
        let mut command = Command::new("sleep");
        let ran = run(command.arg("1000"), &input, bounds, &mut || Ok(())).unwrap();
        assert!(ran.timed_out);
    }

    #[test]
    fn a_program_reads_one_file_and_writes_another() {
        let (input, mut output) = (in_memory(b"in").unwrap(), in_memory(b"").unwrap());
        let bounds = Bounds {
            deadline: Instant::now() + Duration::from_secs(60),
            bytes: 100,
        };
        let mut command = Command::new("sh");
        command.args(["-c", "cat; echo bad >&2"]);
        let files = (input, output.try_clone().unwrap());
        let ran = run_between(&mut command, files, bounds, &mut || Ok(())).unwrap();
        output.rewind().unwrap();
        assert_eq!(io::read_to_string(output).unwrap(), "in");
        assert_eq!((&*ran.stdout, &*ran.errors()), (&b""[..], "bad\n"));
    }

    #[test]
    fn what_is_not_kept_does_not_stop_who_writes() {
        let script = "head -c 1000000 /dev/zero; echo end >&2";
        let ran = shell(script, 60, 10).unwrap();
        assert_eq!((ran.stdout.len(), &*ran.errors()), (10, "end\n"));
    }

    #[test]
    fn a_program_is_killed_at_its_deadline_or_by_an_error() {
        let ran = shell("echo begun; exec sleep 1000", 0, 100).unwrap();
        assert!(ran.timed_out && ran.status.code() != Some(0));
        let bounds = Bounds {
            deadline: Instant::now() + Duration::from_secs(1000),
            bytes: 10,
        };
        let mut command = Command::new("sleep");
        let attend = &mut || Err(io::ErrorKind::Interrupted.into());
        let error = run(command.arg("1000"), b"", bounds, attend).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
    }
}
