//! One run of one subject: from its exec to the exec of the init, and on to the
//! moment when all is deleted.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, CpuSet, sched_setaffinity, unshare};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::{ForkResult, Pid, chdir, execv, fork, pipe2, pivot_root};
use serde_json::{Value, json};

use crate::init::{STAY, TELL, now};
use crate::subjects::Subject;
use crate::tree::{self, A_DIRECTORY};

/// After this time a run has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one run showed.
#[derive(Clone, Debug, Default)]
pub struct Race {
    /// Microseconds from the exec of the subject to the first instruction of init.
    pub to_init: f64,
    /// Microseconds from the exec of the subject until all is deleted.
    pub to_deleted: f64,
    /// The most memory that PID 1 held at once, in KiB, and our judge's beside it.
    pub peak_kib: f64,
    /// Our report.
    pub report: Value,
}

/// How long our deletion took, in microseconds, as the report says.
pub fn deletion_time(race: &Race) -> f64 {
    race.report["deletion"]["time_us"]
        .as_f64()
        .unwrap_or(f64::NAN)
}

/// Runs a subject on a new initramfs with this many files.
pub fn run(subject: &Subject, files: u32) -> Result<Race, String> {
    let answer =
        apart(|| play(subject, files)).map_err(|error| format!("{}: {error}", subject.name))?;
    let figure = |name: &str| answer[name].as_f64().unwrap_or(f64::NAN);
    let report: Value =
        serde_json::from_str(answer["report"].as_str().unwrap_or_default()).unwrap_or_default();
    Ok(Race {
        to_init: figure("to_init"),
        to_deleted: figure("to_deleted"),
        peak_kib: figure("peak_kib") + report["judge"]["peak_kib"].as_f64().unwrap_or(0.0),
        report,
    })
}

/// Does something in a process and a mount namespace of its own, so that
/// whatever it leaves behind goes with it.
pub fn apart<T: Into<Value>>(work: impl FnOnce() -> io::Result<T>) -> Result<Value, String> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|error| error.to_string())?;
    // SAFETY: this program has one thread.
    match unsafe { fork() }.map_err(|error| error.to_string())? {
        ForkResult::Child => {
            drop(reader);
            let outcome = namespace().and_then(|()| work()).map(Into::into);
            let answer: Value = match outcome {
                Ok(value) => json!({ "ok": value }),
                Err(error) => json!({ "error": error.to_string() }),
            };
            let written = File::from(writer).write_all(answer.to_string().as_bytes());
            std::process::exit(i32::from(written.is_err()));
        }
        ForkResult::Parent { child } => {
            drop(writer);
            let mut text = String::new();
            let read = File::from(reader).read_to_string(&mut text);
            let _ = nix::sys::wait::waitpid(child, None);
            // Empty again, since what was mounted there went with the namespace.
            let _ = fs::remove_dir(staging_of(child));
            read.map_err(|error| error.to_string())?;
            let mut answer: Value =
                serde_json::from_str(&text).map_err(|error| format!("no answer: {error}"))?;
            match answer["error"].as_str() {
                Some(error) => Err(error.to_owned()),
                None => Ok(answer["ok"].take()),
            }
        }
    }
}

fn namespace() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    Ok(mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )?)
}

/// An empty directory to mount on.
pub fn staging() -> io::Result<PathBuf> {
    let path = staging_of(Pid::this());
    fs::create_dir_all(&path)?;
    Ok(path)
}

fn staging_of(process: Pid) -> PathBuf {
    std::env::temp_dir().join(format!("switch-root-bench-{process}"))
}

fn play(subject: &Subject, files: u32) -> io::Result<Value> {
    let root = staging()?;
    furnish(&root, subject, files)?;
    let old_root = File::open(&root)?;
    enter(&root)?;
    let (tell_reader, tell) = pipe2(OFlag::O_CLOEXEC)?;
    let (stay, stay_writer) = pipe2(OFlag::O_CLOEXEC)?;
    unshare(CloneFlags::CLONE_NEWPID)?;
    // SAFETY: this process has one thread.
    let child = match unsafe { fork() }? {
        ForkResult::Child => {
            let error = start(subject, &tell, &stay).err();
            eprintln!("{}: {error:?}", subject.name);
            std::process::exit(1);
        }
        ForkResult::Parent { child } => child,
    };
    drop((tell, stay));
    let mut tell_reader = File::from(tell_reader);
    let mut time = [0; 8];
    tell_reader.read_exact(&mut time)?;
    let started = u64::from_le_bytes(time);
    tell_reader
        .read_exact(&mut time)
        .map_err(|_| io::Error::other("the init was not started"))?;
    let init = u64::from_le_bytes(time);
    let deleted = wait_until_deleted(&old_root, files)?;
    // The deletion writes its report after the last file.
    if subject.name.starts_with("switch_root") {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(stay_writer);
    let mut report = String::new();
    tell_reader.read_to_string(&mut report)?;
    Ok(json!({
        "to_init": init - started,
        "to_deleted": deleted - started,
        "peak_kib": ended(child)?.1.ru_maxrss,
        "report": report,
    }))
}

/// Makes initramfs and new root below a directory.
fn furnish(root: &Path, subject: &Subject, files: u32) -> io::Result<()> {
    tree::tmpfs(root, "size=8g,nr_inodes=4m,mode=0755")?;
    for folder in ["bin", "dev", "proc", "sys", "run", "etc", "sysroot"] {
        fs::create_dir_all(root.join(folder))?;
    }
    tree::fill(root, files)?;
    // busybox and klibc look for it before they delete anything.
    executable(&root.join("init"), b"#!/bin/sh\n")?;
    executable(
        &root.join("bin").join(subject.called),
        &fs::read(&subject.program)?,
    )?;
    for library in &subject.libraries {
        let place = root.join(library.strip_prefix("/").unwrap_or(library));
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        executable(&place, &fs::read(library)?)?;
    }
    for (path, contents) in &subject.policies {
        let place = root.join(path.trim_start_matches('/'));
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(place, contents)?;
    }
    for (point, mode) in [
        ("dev", "0755"),
        ("run", "0755"),
        ("sys", "0755"),
        ("sysroot", "0755"),
    ] {
        tree::tmpfs(&root.join(point), &format!("mode={mode}"))?;
    }
    let new_root = root.join("sysroot");
    for folder in ["sbin", "dev", "proc", "sys", "run", "etc"] {
        fs::create_dir_all(new_root.join(folder))?;
    }
    // busybox and klibc move no mounts: the console is the new root's own.
    let null = nix::sys::stat::makedev(1, 3);
    let mode = Mode::from_bits_truncate(0o666);
    mknod(&new_root.join("dev/null"), SFlag::S_IFCHR, mode, null)?;
    executable(
        &new_root.join("sbin/init"),
        &fs::read(std::env::current_exe()?)?,
    )
}

fn executable(path: &Path, contents: &[u8]) -> io::Result<()> {
    fs::write(path, contents)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

/// Makes the directory the root, and forgets the old one.
fn enter(root: &Path) -> io::Result<()> {
    chdir(root)?;
    pivot_root(".", ".")?;
    umount2(".", MntFlags::MNT_DETACH)?;
    Ok(chdir("/")?)
}

/// Becomes the subject, as PID 1.
fn start(subject: &Subject, tell: &OwnedFd, stay: &OwnedFd) -> io::Result<()> {
    mount(
        Some("proc"),
        "/proc",
        Some("proc"),
        MsFlags::empty(),
        None::<&str>,
    )?;
    let tell = duplicate(tell, TELL)?;
    duplicate(stay, STAY)?;
    if subject.one_core {
        let mut one = CpuSet::new();
        one.set(0)?;
        sched_setaffinity(Pid::from_raw(0), &one)?;
    }
    let program = format!("/bin/{}", subject.called);
    let command = std::iter::once(program.as_str())
        .chain(subject.options.iter().map(String::as_str))
        .chain(["/sysroot", "/sbin/init"]);
    let command: Vec<CString> = command
        .map(|part| CString::new(OsStr::new(part).as_bytes()))
        .collect::<Result<_, _>>()?;
    // SAFETY: the descriptor was made just now, and stays open for the init.
    let mut tell = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(tell) });
    tell.write_all(&now().to_le_bytes())?;
    match execv(&command[0], &command)? {}
}

/// Gives a descriptor a number that survives exec.
fn duplicate(fd: &OwnedFd, number: RawFd) -> io::Result<RawFd> {
    // SAFETY: the number is above all that this process has opened.
    let made = unsafe { libc::dup2(fd.as_raw_fd(), number) };
    if made < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(made)
    }
}

/// Waits until the tmpfs holds no more inodes than the directories are, which
/// busybox leaves behind. Returns when that was.
fn wait_until_deleted(root: &File, files: u32) -> io::Result<u64> {
    let most = u64::from(files.div_ceil(A_DIRECTORY)) + 40;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let usage = rustix::fs::fstatfs(root)?;
        let inodes = usage.f_files - usage.f_ffree;
        if inodes <= most {
            return Ok(now());
        }
        if Instant::now() > deadline {
            let message = format!("{inodes} inodes of the initramfs are still there");
            return Err(io::Error::other(message));
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Waits for a process: its wait status, and what it and those that it waited for used.
pub fn ended(child: Pid) -> io::Result<(i32, libc::rusage)> {
    let mut status = 0;
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointers are to live values.
    let waited = unsafe { libc::wait4(child.as_raw(), &raw mut status, 0, usage.as_mut_ptr()) };
    if waited < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zeroes is a valid rusage, and wait4 has filled it.
    Ok((status, unsafe { usage.assume_init() }))
}
