//! Plays a scene in namespaces of its own. Runs in the `supervisor` process, which has
//! one thread, takes the scene on standard input and gives the outcome back on standard
//! output.
//!
//! Three processes: the supervisor makes the mount namespace with the initramfs as its
//! root and stays outside of the PID namespace, so that it outlives whatever happens in
//! there and can look at the initramfs through a descriptor afterwards; process 1 is
//! the subject, or its parent where the scene wants a subject that is not process 1.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open, openat};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::pty::openpty;
use nix::sched::{CloneFlags, unshare};
use nix::sys::personality::{self, Persona};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, fork, getegid, geteuid, pipe2,
    pivot_root, setsid, ttyname,
};

use switch_root_core::child::{
    Beside, Bounds, End, collect, default_signals, own_descriptors, wait,
};

use crate::apply::{NOTHING, apply, mount_pseudo};
use crate::furnish::furnish;
use crate::outcome::{Outcome, State, take_testimony};
use crate::programs::output;
use crate::scene::{Root, SQUASH, Scene};
use crate::snapshot::{Reach, served, take, usage};
use crate::steps::{Make, Step};
use crate::watch::Watcher;

/// Where the machine that runs the tests is seen while the initramfs is being made.
const HOST: &str = "/.host";

/// What process 1 says when it cannot even start the subject.
const CANNOT_START: &str = "the harness cannot start the subject: ";

/// What the machine's `/` was made into, and what is kept of it.
struct Stage {
    /// The root of the initramfs: stays the same whatever is mounted over it.
    root: OwnedFd,
    /// The `/proc` outside of the PID namespace.
    proc: OwnedFd,
    /// The terminal at `/dev/console`.
    terminal: Option<Terminal>,
    /// The numbers of mounts that a program serves.
    served: RefCell<BTreeSet<u64>>,
}

/// A terminal. It loses what was written to it when nobody has its other end open any
/// more, so we have.
struct Terminal {
    ours: OwnedFd,
    _theirs: OwnedFd,
}

/// Plays `scene`. `staging` is an empty directory; the initramfs is mounted there for a
/// moment, and where the scene wants a root on disk, what is made stays in it.
///
/// # Errors
/// What keeps the scene from being played. Whatever the subject does is no error.
pub fn play(scene: &Scene, staging: &Path) -> io::Result<Outcome> {
    own_descriptors()?;
    let stage = set_up(scene, staging)?;
    unshare(CloneFlags::CLONE_NEWPID)?;
    let (ready_read, ready_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (go_read, go_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (stdout_read, stdout_write) = pipe2(OFlag::O_CLOEXEC)?;
    let (stderr_read, stderr_write) = pipe2(OFlag::O_CLOEXEC)?;
    // SAFETY: this process has one thread, so the child may do all that we may.
    let process = match unsafe { fork() }? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let streams = (stdout_write, stderr_write);
            let error = first_process(scene, streams, ready_write, go_read);
            eprintln!("{CANNOT_START}{error}");
            std::process::exit(125);
        }
    };
    drop((ready_write, go_read, stdout_write, stderr_write));
    // The end of the file means that process 1 did not get that far; its standard error
    // says why.
    let ready = File::from(ready_read).read(&mut [0])?;
    let before = look(&stage)?;
    let watcher = match scene.watch.filter(|_| scene.first_process && ready > 0) {
        Some(watch) => Some(Watcher::seize(process, watch, &stage.proc)?),
        None => None,
    };
    if ready > 0 {
        File::from(go_write).write_all(b"!")?;
    }
    let mut streams = vec![File::from(stdout_read), File::from(stderr_read)];
    streams.extend(
        stage
            .terminal
            .as_ref()
            .map(|terminal| terminal.ours.try_clone())
            .transpose()?
            .map(File::from),
    );
    let bounds = Bounds {
        deadline: Instant::now() + Duration::from_millis(scene.time_limit_ms),
        bytes: usize::MAX,
    };
    let (collected, end, calls) = match watcher {
        None => {
            let collected = collect(&mut streams, process, bounds, None)?;
            (collected, wait(process)?, Vec::new())
        }
        Some(mut watcher) => {
            let signals = watcher.signals()?;
            let beside = Beside {
                descriptor: Some(signals.as_fd()),
                attend: &mut || watcher.attend(),
            };
            let collected = collect(&mut streams, process, bounds, Some(beside))?;
            let (end, calls) = watcher.finish()?;
            (collected, end, calls)
        }
    };
    let end = match collected.timed_out {
        true => End::TimedOut,
        false => end,
    };
    let after = look(&stage)?;
    let texts = collected.streams.into_iter();
    let mut texts: Vec<String> = texts
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .collect();
    let testimony = texts.iter_mut().find_map(take_testimony);
    let mut texts = texts.into_iter();
    let mut text = || texts.next().unwrap_or_default();
    let (stdout, stderr, console) = (text(), text(), text());
    if let Some(reason) = stderr.split(CANNOT_START).nth(1) {
        return Err(io::Error::other(format!("process 1: {reason}")));
    }
    Ok(Outcome {
        end,
        stdout,
        stderr,
        console,
        before,
        after,
        testimony,
        calls,
    })
}

/// Makes the initramfs and makes it `/`. What was there before is left at [`HOST`].
fn set_up(scene: &Scene, staging: &Path) -> io::Result<Stage> {
    let privileged = geteuid().is_root();
    if !privileged {
        become_root_of_a_namespace()?;
    }
    unshare(CloneFlags::CLONE_NEWNS)?;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NOTHING, "/", NOTHING, private, NOTHING)?;
    match &scene.root {
        Root::Memory(file_system) => mount_pseudo(staging, file_system, "mode=0755")?,
        Root::Disk => mount(Some(staging), staging, NOTHING, MsFlags::MS_BIND, NOTHING)?,
        Root::Overlay(image) => mount_overlay(staging, image.as_deref())?,
    }
    // Not later: a terminal is made by the /dev of the machine.
    let terminal = scene.console.then(terminal).transpose()?;
    let old = staging.join(HOST.trim_start_matches('/'));
    fs::create_dir(&old)?;
    pivot_root(staging, &old)?;
    chdir("/")?;
    let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let proc = open(&*format!("{HOST}/proc"), directory, Mode::empty())?;
    fill(
        scene,
        privileged,
        terminal.as_ref().map(|(_, name)| &**name),
    )?;
    let terminal = terminal.map(|(terminal, _)| terminal);
    Ok(Stage {
        root: open("/", directory, Mode::empty())?,
        proc,
        terminal,
        served: RefCell::default(),
    })
}

/// Mounts an overlay, and what its layers lie on in it.
fn mount_overlay(staging: &Path, image: Option<&Path>) -> io::Result<()> {
    let squash = staging.join(SQUASH.trim_start_matches('/'));
    fs::create_dir(&squash)?;
    mount_pseudo(&squash, "tmpfs", "mode=0755")?;
    let [lower, upper, work] = ["root", "overlay/upper", "overlay/work"].map(|it| squash.join(it));
    for directory in [&lower, &upper, &work] {
        fs::create_dir_all(directory)?;
    }
    fs::create_dir(upper.join(SQUASH.trim_start_matches('/')))?;
    if let Some(image) = image {
        // It makes a loop device that goes with the mount.
        let mut command = Command::new("mount");
        command.args(["-t", "squashfs", "-o", "loop,ro"]);
        output(command.args([image, &lower]))?;
    }
    // What is mounted on the way to it is found by descriptor, once it is covered.
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let covered = open(&squash, flags, Mode::empty())?;
    let [lower, upper, work] = [lower, upper, work].map(|it| it.display().to_string());
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    mount_pseudo(staging, "overlay", &options)?;
    let covered = format!("/proc/self/fd/{}", covered.as_raw_fd());
    Ok(mount(
        Some(&*covered),
        &squash,
        NOTHING,
        MsFlags::MS_MOVE,
        NOTHING,
    )?)
}

/// Without privileges: makes a user namespace where we have them.
fn become_root_of_a_namespace() -> io::Result<()> {
    let (user, group) = (geteuid(), getegid());
    // A sysfs belongs to a network namespace, and only who owns that may mount it.
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

/// Mounts all but `/proc`, which belongs to process 1, and makes what the scene
/// describes.
fn fill(scene: &Scene, privileged: bool, terminal: Option<&str>) -> io::Result<()> {
    for place in &scene.pseudo {
        fs::create_dir_all(place)?;
        match place.as_str() {
            "/proc" => {}
            "/sys" => mount_pseudo(Path::new(place), "sysfs", "")?,
            _ => mount_pseudo(Path::new(place), "tmpfs", "mode=0755")?,
        }
        if place == "/dev" {
            apply(&devices(privileged), Path::new("/"))?;
        }
    }
    if let Some(name) = terminal {
        File::create("/dev/console")?;
        let name = format!("{HOST}{name}");
        mount(
            Some(&*name),
            "/dev/console",
            NOTHING,
            MsFlags::MS_BIND,
            NOTHING,
        )?;
    }
    furnish(scene, Path::new(HOST))
}

/// Makes a terminal, and finds out the path of the end that programs open.
fn terminal() -> io::Result<(Terminal, String)> {
    let pair = openpty(None, None)?;
    let name = ttyname(&pair.slave)?.display().to_string();
    for end in [&pair.master, &pair.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    let (ours, _theirs) = (pair.master, pair.slave);
    Ok((Terminal { ours, _theirs }, name))
}

/// The devices that any program may expect. Nodes where we may make them, as devtmpfs
/// has them; bind mounts of the machine's otherwise.
fn devices(privileged: bool) -> Vec<Step> {
    let names = ["null", "zero", "full", "random", "urandom"];
    let step = |name: &&str| {
        let path = format!("/dev/{name}").into_bytes();
        let from = format!("{HOST}/dev/{name}");
        if privileged {
            use std::os::unix::fs::MetadataExt;
            let number = fs::metadata(from).ok()?.rdev();
            let (major, minor) = (nix::sys::stat::major(number), nix::sys::stat::minor(number));
            Some(Step {
                path,
                make: Make::Device {
                    block: false,
                    major,
                    minor,
                },
            })
        } else {
            Some(Step {
                path,
                make: Make::Bind {
                    from: from.into_bytes(),
                },
            })
        }
    };
    names.iter().filter_map(step).collect()
}

/// Becomes the subject. Returns only with an error.
fn first_process(
    scene: &Scene,
    streams: (OwnedFd, OwnedFd),
    ready: OwnedFd,
    go: OwnedFd,
) -> io::Error {
    let prepare = || -> io::Result<()> {
        set_pdeathsig(Signal::SIGKILL)?;
        dup2_stdout(&streams.0)?;
        dup2_stderr(&streams.1)?;
        dup2_stdin(File::open("/dev/null").or_else(|_| File::open("/"))?)?;
        setsid()?;
        if scene.pseudo.iter().any(|place| place == "/proc") {
            mount_pseudo(Path::new("/proc"), "proc", "")?;
            if let Some(text) = &scene.kernel_command_line {
                kernel_command_line(text)?;
            }
        }
        // Not earlier: without privileges a /proc can only be mounted where one is seen.
        umount2(HOST, MntFlags::MNT_DETACH)?;
        fs::remove_dir(HOST)?;
        scene.run_before()?;
        File::from(ready).write_all(b"!")?;
        File::from(go).read_exact(&mut [0])
    };
    if let Err(error) = prepare() {
        return error;
    }
    if scene.first_process {
        return start(scene);
    }
    // SAFETY: this process has one thread, so the child may do all that we may.
    match unsafe { fork() } {
        Ok(ForkResult::Child) => start(scene),
        Ok(ForkResult::Parent { child }) => match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, status)) => std::process::exit(status),
            other => io::Error::other(format!("the subject ended strangely: {other:?}")),
        },
        Err(error) => error.into(),
    }
}

/// Executes the subject as the kernel would: default signals, nothing blocked.
fn start(scene: &Scene) -> io::Error {
    if let Err(error) = default_signals() {
        return error;
    }
    if scene.watch.is_some() {
        // What is where in memory has a part in which calls an allocator makes.
        let fixed =
            personality::get().and_then(|now| personality::set(now | Persona::ADDR_NO_RANDOMIZE));
        if let Err(error) = fixed {
            return error.into();
        }
    }
    let strings = |list: &mut dyn Iterator<Item = &[u8]>| -> Result<Vec<CString>, _> {
        list.map(CString::new).collect()
    };
    let arguments = strings(&mut scene.command.iter().map(Vec::as_slice));
    let environment = strings(&mut scene.environment.iter().map(String::as_bytes));
    match (arguments, environment) {
        (Ok(arguments), Ok(environment)) if !arguments.is_empty() => {
            for limit in &scene.limits {
                if let Err(error) = limit.set() {
                    return error.into();
                }
            }
            let Err(error) = execve(&arguments[0], &arguments, &environment);
            error.into()
        }
        _ => io::Error::other("the scene has no command, or one with a NUL byte"),
    }
}

/// Binds files over `/proc/cmdline`, and over what the kernel makes of `panic=` in it.
/// The files are in a tmpfs that nothing else shows.
fn kernel_command_line(text: &str) -> io::Result<()> {
    mount_pseudo(Path::new(HOST_SCRATCH), "tmpfs", "")?;
    let panic = text
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("panic="))
        .next_back();
    for (name, place, text) in [
        ("cmdline", "/proc/cmdline", text),
        ("panic", "/proc/sys/kernel/panic", panic.unwrap_or("0")),
    ] {
        let file = format!("{HOST_SCRATCH}/{name}");
        fs::write(&file, format!("{text}\n"))?;
        mount(Some(&*file), place, NOTHING, MsFlags::MS_BIND, NOTHING)?;
    }
    Ok(umount2(HOST_SCRATCH, MntFlags::MNT_DETACH)?)
}

/// A directory that is there whenever `/proc` is; covered for a moment only.
const HOST_SCRATCH: &str = "/proc/bus";

/// Looks at the initramfs through what was opened before.
fn look(stage: &Stage) -> io::Result<State> {
    let mountinfo = openat(
        &stage.proc,
        "self/mountinfo",
        OFlag::O_RDONLY,
        Mode::empty(),
    )?;
    let mut mounts = Vec::new();
    File::from(mountinfo).read_to_end(&mut mounts)?;
    let mounts = String::from_utf8_lossy(&mounts);
    stage.served.borrow_mut().extend(served(&mounts));
    let served = stage.served.borrow().clone();
    Ok(State {
        initramfs: take(&stage.root, Reach::OneMount)?,
        everything: take(&stage.root, Reach::AllMountsBut(served))?,
        mounts: mounts.lines().map(String::from).collect(),
        usage: usage(&stage.root)?,
    })
}

/// Whether scenes can be played here at all.
///
/// # Errors
/// What is not allowed, and by which call.
pub fn check() -> io::Result<()> {
    if !geteuid().is_root() {
        become_root_of_a_namespace()
            .map_err(|error| io::Error::other(format!("making a user namespace: {error}")))?;
    }
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)
        .map_err(|error| io::Error::other(format!("making mount and PID namespaces: {error}")))
}
