//! Process 1 of a rehearsal in namespaces: sets the initramfs up, and becomes
//! `switch_root`.
//!
//! The image may be anybody's. While the machine's root can be reached, no path of the
//! image is resolved: what is needed of the machine is cloned or made without a place.
//! Then the machine's root is detached, and only then is anything attached, by
//! descriptors and through no symbolic link.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;

use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout, fchdir, pivot_root, setsid};
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags, openat, statx, unlinkat};
use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, OpenTreeFlags, open_tree};
use switch_root_core::child::default_signals;
use switch_root_core::error::Words;

use super::messages::{Message, Request, Staged, say};
use super::opened::Opened;
use super::stage::{self, MOUNTED, Program, Staging, TMPFS, attach, detached, mount_point, tried};
use super::users;

switch_root_core::outcomes! {
    /// Why nothing is executed in namespaces.
    pub(crate) enum NotConfined in "rehearsals" {
        /// The kernel gives a new /proc only where a whole one is seen already.
        "SR-J11" Proc { error: io::Error } = "cannot mount proc: {error}; in a container whose /proc is masked this is forbidden: rehearse outside of it, or in a virtual machine with --vm --kernel FILE",
        /// The programs of the image would not have been alone with it.
        "SR-J12" Reachable = "the machine's root can still be reached, and nothing is executed; report this to the developers of srctl",
        "SR-J13" Mounted { point: String } = "something is mounted on {point} that the rehearsal did not mount, and nothing is executed; report this to the developers of srctl",
    }
}

/// The devices that any program may expect: the machine's own are bound.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// As everybody mounts what has no device.
const NOSUID: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID;

/// What the file for `/proc/cmdline` is called in `/dev` for a moment.
const COMMAND_LINE: &str = ".cmdline";

/// Where in `/dev` a `switch_root` that is not part of the image is for a moment.
const COPY: &str = ".switch_root";

/// Becomes `switch_root`. Returns only with why that cannot be.
pub fn run(
    request: &Request,
    opened: &Opened,
    root: &OwnedFd,
    streams: (&OwnedFd, &OwnedFd),
) -> Staging<Infallible> {
    set_pdeathsig(Signal::SIGKILL).map_err(tried("set a signal"))?;
    dup2_stdout(streams.0)
        .and_then(|()| dup2_stderr(streams.1))
        .and_then(|()| setsid().map(drop))
        .map_err(tried("set up standard output"))?;
    let machine = OfMachine::take()?;
    enter(root).map_err(|error| {
        users::forbidden("it does not let us change the root", &error).message()
    })?;
    let mut staged = Staged::default();
    let (program, new_root) = set_up(request, opened, root, machine, &mut staged)?;
    stage::record_kernel(&mut staged)?;
    let null = File::open("/dev/null").map_err(tried("open /dev/null"))?;
    dup2_stdin(null).map_err(tried("set up standard input"))?;
    check(new_root)?;
    default_signals().map_err(tried("set a signal"))?;
    say(&Message::Staged(staged)).map_err(tried("write"))?;
    Err(stage::execute(&program, new_root, &request.settings, false).into())
}

/// What the kernel gives only where the machine's root is still there: file systems of
/// which one has to be visible already, and devices.
struct OfMachine {
    proc: OwnedFd,
    sys: Staging<OwnedFd>,
    devices: Vec<(&'static str, OwnedFd)>,
}

impl OfMachine {
    fn take() -> Staging<Self> {
        let proc = detached("proc", &[], NOSUID).map_err(|error| NotConfined::Proc { error })?;
        let sys = detached("sysfs", &[], NOSUID).map_err(tried("mount sysfs"));
        let mut devices = Vec::new();
        for name in DEVICES {
            let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
            match open_tree(rustix::fs::CWD, format!("/dev/{name}"), flags) {
                // The machine lacks it.
                Err(Errno::NOENT) => {}
                device => devices.push((name, device.map_err(tried(format!("bind /dev/{name}")))?)),
            }
        }
        Ok(Self { proc, sys, devices })
    }
}

/// Makes the tmpfs `/`, and detaches what was there before, so that no path leads there:
/// with the old root stacked upon it, `/..` would.
fn enter(root: &OwnedFd) -> io::Result<()> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    let old = File::open("/")?;
    attach(root, &old)?;
    fchdir(root)?;
    pivot_root(".", ".")?;
    fchdir(&old)?;
    umount2(".", MntFlags::MNT_DETACH)?;
    Ok(fchdir(root)?)
}

/// Sets the initramfs up. Gives back the program, and where the new root is.
fn set_up(
    request: &Request,
    opened: &Opened,
    root: &OwnedFd,
    machine: OfMachine,
    staged: &mut Staged,
) -> Staging<(Program, &'static str)> {
    // First: what is mounted would cover what an image has there.
    let clone = |file: &Option<OwnedFd>| file.as_ref().map(OwnedFd::try_clone).transpose();
    let program = stage::choose(
        root,
        clone(&opened.named).map_err(tried("use switch_root"))?,
        clone(&opened.otherwise).map_err(tried("use switch_root"))?,
        staged,
    )?;
    let tmpfs = || detached("tmpfs", TMPFS, NOSUID);
    let sys = machine.sys.or_else(|reason| {
        staged.notes.push(format!("/sys is empty: {reason}"));
        tmpfs().map_err(tried("mount tmpfs"))
    })?;
    let dev = tmpfs().map_err(tried("mount tmpfs"))?;
    let run = tmpfs().map_err(tried("mount tmpfs"))?;
    for (path, mount) in MOUNTED.into_iter().zip([&dev, &machine.proc, &sys, &run]) {
        let place = mount_point(root, path, staged)?;
        attach(mount, place).map_err(tried(format!("mount on {path}")))?;
    }
    for (name, device) in machine.devices {
        create(&dev, name, 0o666)
            .and_then(|place| attach(device, place))
            .map_err(tried(format!("bind /dev/{name}")))?;
    }
    let program = match program {
        Program::Outside(file) => {
            Program::Outside(executable_copy(&dev, file.into()).map_err(tried("copy switch_root"))?)
        }
        inside => inside,
    };
    let own = opened.own.try_clone().map_err(tried("read srctl itself"))?;
    let new_root = stage::new_root(root, &request.settings.new_root, own, staged)?;
    bind_command_line(&dev, &machine.proc, &request.kernel_command_line)
        .map_err(tried("bind /proc/cmdline"))?;
    Ok((program, new_root))
}

/// Makes a file of `/dev`.
fn create(dev: &OwnedFd, name: &str, mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    Ok(openat(dev, name, flags, Mode::from_raw_mode(mode))?.into())
}

/// Copies a program to where whoever we are now may execute it, and nobody sees it.
fn executable_copy(dev: &OwnedFd, mut program: File) -> io::Result<OwnedFd> {
    program.rewind()?;
    io::copy(&mut program, &mut create(dev, COPY, 0o700)?)?;
    let copy = openat(dev, COPY, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    unlinkat(dev, COPY, AtFlags::empty())?;
    Ok(copy)
}

/// Has `/proc/cmdline` say what the rehearsal's command line is.
fn bind_command_line(dev: &OwnedFd, proc: &OwnedFd, text: &str) -> io::Result<()> {
    writeln!(create(dev, COMMAND_LINE, 0o444)?, "{text}")?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let clone = open_tree(dev, COMMAND_LINE, flags)?;
    let place = openat(
        proc,
        "cmdline",
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    attach(clone, place)?;
    Ok(unlinkat(dev, COMMAND_LINE, AtFlags::empty())?)
}

/// Whether the initramfs is all that can be reached: nothing is above `/`, and nothing
/// is mounted but what was mounted here.
///
/// # Errors
/// It is not.
fn check(new_root: &str) -> Staging<()> {
    let place = |path: &str| -> io::Result<_> {
        let found = statx(
            rustix::fs::CWD,
            path,
            AtFlags::empty(),
            StatxFlags::MNT_ID | StatxFlags::INO,
        )?;
        Ok((found.stx_mnt_id, found.stx_ino))
    };
    let attempt = || tried("see whether the machine's root is out of reach");
    if place("/").map_err(attempt())? != place("/..").map_err(attempt())? {
        return Err(NotConfined::Reachable.into());
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").map_err(attempt())?;
    let mut expected: BTreeSet<String> = MOUNTED.map(str::to_owned).into();
    expected.extend(DEVICES.map(|name| format!("/dev/{name}")));
    expected.extend(["/", "/proc/cmdline", new_root].map(str::to_owned));
    // Each once: one that is stacked upon another is one too many.
    let unexpected = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .find(|point| !expected.remove(*point));
    match unexpected {
        Some(point) => {
            let point = point.to_owned();
            Err(NotConfined::Mounted { point }.into())
        }
        None => Ok(()),
    }
}
