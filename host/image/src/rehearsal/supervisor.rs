//! A rehearsal in namespaces, from within. Runs in a process of its own, which has one
//! thread, takes the request on standard input, and gives what came of it back on
//! standard output.
//!
//! The supervisor makes the namespaces and the initramfs, and stays outside of the
//! namespace of processes; process 1 of that one becomes `switch_root`. When it ends,
//! the kernel ends all others in there, and with the last process go all mounts.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use extension::{Error, Kind, Result};
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{
    ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, fchdir, fork, pipe2, pivot_root, setsid,
};
use policy::escape;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

use super::messages::{self, End, Message, Played, Request, Staged, say};
use super::output::Pieces;
use super::stage::{self, MOUNTED, Sentence, mount_point, mount_pseudo, tried};
use super::unpack::{Unpacked, prepare, unpack};
use super::{program, users};

/// The devices that any program may expect: the machine's own are bound.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// What a request may take, in bytes.
const REQUEST: u64 = 256 << 20;

/// How often it is looked whether process 1 has ended.
const STEP: Duration = Duration::from_millis(5);

/// What the file for `/proc/cmdline` is called for a moment.
const COMMAND_LINE: &str = "/dev/.cmdline";

/// Where a `switch_root` that is not part of the image is for a moment.
const COPY: &str = "/dev/.switch_root";

/// Plays the request on standard input; the exit status only tells whether there is an
/// answer on standard output.
pub fn run() -> ExitCode {
    let answer = listen().and_then(|request| play(&request));
    let answer = answer.map_err(|error| (error.kind == Kind::Input, error.to_string()));
    match serde_json::to_writer(io::stdout(), &answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn listen() -> Result<Request> {
    let failed = |error: io::Error| Error::system("the supervisor cannot start", &error);
    // What whoever started srctl left open is nothing for the image's programs.
    // SAFETY: changes a flag of descriptors, and takes no pointers.
    let marked = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if marked != 0 {
        return Err(failed(io::Error::last_os_error()));
    }
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
    set_pdeathsig(Signal::SIGKILL).map_err(|error| Error::system("prctl", &error.into()))?;
    let shown = escape::path(request.image.as_os_str().as_bytes());
    let root = make_tmpfs(request.max_bytes)
        .map_err(|error| users::forbidden("it does not let us mount a tmpfs", &error))?;
    let prepared = prepare(root.as_fd())
        .map_err(|error| Error::system("cannot make the initramfs", &error))?;
    let unpacked = unpack(
        opened
            .image
            .try_clone()
            .map_err(|error| Error::system("dup", &error))?,
        &shown,
        root.as_fd(),
        prepared,
        request.max_bytes,
    )?;
    let old_root = enter_root(&root)
        .map_err(|error| users::forbidden("it does not let us change the root", &error))?;
    let mut staged = Staged::default();
    let set_up = set_up(request, &opened, &old_root, &mut staged).map_err(|sentence| {
        Error::new(Kind::System, format!("cannot rehearse {shown}: {sentence}"))
    })?;
    unshare(CloneFlags::CLONE_NEWPID).map_err(|error| {
        users::forbidden(
            "it does not let us make a namespace of processes",
            &error.into(),
        )
    })?;
    watch(request, staged, set_up, unpacked, deadline)
        .map_err(|error| Error::system(format!("cannot rehearse {shown}"), &error))
}

/// What is needed from outside.
struct Opened {
    image: File,
    named: Option<OwnedFd>,
    otherwise: Option<OwnedFd>,
    own: File,
}

impl Opened {
    fn new(request: &Request) -> Result<Self> {
        let settings = &request.settings;
        let shown = escape::path(request.image.as_os_str().as_bytes());
        let open = |path: &Path, shown: &str| {
            File::open(path).map_err(|error| Error::system(format!("cannot read {shown}"), &error))
        };
        let named = settings.switch_root.as_deref();
        let otherwise = settings.otherwise.as_deref();
        Ok(Self {
            image: open(&request.image, &shown)?,
            named: named.map(program::open).transpose()?,
            otherwise: otherwise.map(program::open).transpose()?,
            own: open(Path::new("/proc/self/exe"), "srctl itself")?,
        })
    }
}

/// Makes a tmpfs that is mounted nowhere yet.
fn make_tmpfs(bytes: u64) -> io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "mode", "0755")?;
    fsconfig_set_string(&context, "size", bytes.to_string())?;
    // An inode takes about as much of the kernel's own memory, which `size` is not for.
    let inodes = (bytes / 1024).clamp(1024, 1 << 24);
    fsconfig_set_string(&context, "nr_inodes", inodes.to_string())?;
    fsconfig_create(&context)?;
    Ok(fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )?)
}

/// Makes the tmpfs `/`. What was there before is mounted over it, out of reach of
/// paths; its directory is given back.
fn enter_root(root: &OwnedFd) -> io::Result<OwnedFd> {
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
    let old: OwnedFd = File::open("/")?.into();
    move_mount(
        root,
        "",
        &old,
        "",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH,
    )?;
    fchdir(root)?;
    pivot_root(".", ".")?;
    fchdir(root)?;
    Ok(old)
}

/// What process 1 needs.
struct SetUp<'a> {
    old_root: &'a OwnedFd,
    new_root: &'static str,
    program: stage::Program,
}

/// Everything but `/proc`, which belongs to process 1.
fn set_up<'a>(
    request: &Request,
    opened: &Opened,
    old_root: &'a OwnedFd,
    staged: &mut Staged,
) -> Sentence<SetUp<'a>> {
    // First: what is mounted would cover what an image has there.
    let root = File::open("/").map_err(tried("open the initramfs"))?;
    let clone = |file: &Option<OwnedFd>| file.as_ref().map(OwnedFd::try_clone).transpose();
    let program = stage::choose(
        &root,
        clone(&opened.named).map_err(tried("use switch_root"))?,
        clone(&opened.otherwise).map_err(tried("use switch_root"))?,
        staged,
    )?;
    for path in MOUNTED {
        mount_point(path, staged)?;
    }
    mount_pseudo("tmpfs", "/dev", "mode=0755")?;
    let program = match program {
        stage::Program::Outside(file) => {
            let copy = executable_copy(file.into()).map_err(tried("copy switch_root"))?;
            stage::Program::Outside(copy)
        }
        inside => inside,
    };
    for name in DEVICES {
        bind_device(old_root, name).map_err(tried(format!("bind /dev/{name}")))?;
    }
    mount_pseudo("tmpfs", "/run", "mode=0755")?;
    if let Err(reason) = mount_pseudo("sysfs", "/sys", "") {
        staged.notes.push(format!("/sys is empty: {reason}"));
        mount_pseudo("tmpfs", "/sys", "mode=0755")?;
    }
    let own = opened.own.try_clone().map_err(tried("read srctl itself"))?;
    let new_root = stage::new_root(&request.settings.new_root, own, staged)?;
    let command_line = format!("{}\n", request.kernel_command_line);
    fs::write(COMMAND_LINE, command_line).map_err(tried("write a kernel command line"))?;
    Ok(SetUp {
        old_root,
        new_root,
        program,
    })
}

/// Copies a program to where whoever we are now may execute it, and nobody sees it.
fn executable_copy(mut program: File) -> io::Result<OwnedFd> {
    program.rewind()?;
    let mut options = File::options();
    let mut copy = options
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(COPY)?;
    io::copy(&mut program, &mut copy)?;
    drop(copy);
    let copy = File::open(COPY)?;
    fs::remove_file(COPY)?;
    Ok(copy.into())
}

/// Binds a device of the machine, where it has that.
fn bind_device(old_root: &OwnedFd, name: &str) -> io::Result<()> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let device = match open_tree(old_root, format!("dev/{name}"), flags) {
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        device => device?,
    };
    let place = File::create(format!("/dev/{name}"))?;
    let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(&device, "", &place, "", empty)?)
}

/// Starts process 1, and waits for its end.
fn watch(
    request: &Request,
    staged: Staged,
    set_up: SetUp<'_>,
    unpacked: Unpacked,
    deadline: Instant,
) -> io::Result<Played> {
    let (read, write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let (errors_read, errors_write) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    // SAFETY: this process has one thread, so the child may do all that we may.
    let process = match unsafe { fork() }? {
        ForkResult::Parent { child } => child,
        ForkResult::Child => {
            let why = match first_process(request, staged, &set_up, (&write, &errors_write)) {
                Err(why) => why,
                Ok(never) => match never {},
            };
            let _ = say(&Message::Failed(why));
            std::process::exit(1);
        }
    };
    drop((write, errors_write));
    let mut streams = Pieces::new([read, errors_read].map(File::from));
    let end = wait(process, deadline, &mut streams)?;
    // With process 1 all others have ended: what can be read now is all there is.
    while streams.read(Duration::ZERO)? {}
    let texts = streams.texts();
    let mut said = messages::hear(&texts[0]);
    said.log.insert_str(0, &texts[1]);
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
        end,
        placeholders: unpacked.placeholders,
        notes,
    })
}

fn wait(process: Pid, deadline: Instant, streams: &mut Pieces) -> io::Result<End> {
    loop {
        match waitpid(process, Some(WaitPidFlag::WNOHANG))? {
            WaitStatus::Exited(_, status) => return Ok(End::Exited(status)),
            WaitStatus::Signaled(_, signal, _) => return Ok(End::Killed(signal as i32)),
            _ if Instant::now() > deadline => {
                kill(process, Signal::SIGKILL)?;
                waitpid(process, None)?;
                return Ok(End::TimedOut);
            }
            _ if streams.are_open() => drop(streams.read(STEP)?),
            _ => std::thread::sleep(STEP),
        }
    }
}

/// Becomes `switch_root`. Returns only with why that cannot be.
fn first_process(
    request: &Request,
    mut staged: Staged,
    set_up: &SetUp<'_>,
    streams: (&OwnedFd, &OwnedFd),
) -> Sentence<Infallible> {
    set_pdeathsig(Signal::SIGKILL).map_err(tried("set a signal"))?;
    let null = File::open("/dev/null").map_err(tried("open /dev/null"))?;
    dup2_stdin(null)
        .and_then(|()| dup2_stdout(streams.0))
        .and_then(|()| dup2_stderr(streams.1))
        .and_then(|()| setsid())
        .map_err(tried("set up standard input and output"))?;
    // Not later: a /proc can only be mounted where one is seen already.
    mount_pseudo("proc", "/proc", "").map_err(|sentence| {
        format!("{sentence}; in a container whose /proc is masked this is forbidden: rehearse outside of it, or in a virtual machine with --vm --kernel FILE")
    })?;
    let bind = MsFlags::MS_BIND;
    nix::mount::mount(
        Some(COMMAND_LINE),
        "/proc/cmdline",
        None::<&str>,
        bind,
        None::<&str>,
    )
    .map_err(tried("bind /proc/cmdline"))?;
    fs::remove_file(COMMAND_LINE).map_err(tried("remove a file"))?;
    stage::record_kernel(&mut staged)?;
    fchdir(set_up.old_root)
        .and_then(|()| umount2(".", MntFlags::MNT_DETACH))
        .and_then(|()| nix::unistd::chdir("/"))
        .map_err(tried("detach what was mounted before"))?;
    // Rust's runtime ignores this signal, and what is ignored is handed down.
    // SAFETY: installs no handler.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.map_err(tried("set a signal"))?;
    say(&Message::Staged(staged)).map_err(tried("write"))?;
    let patience = request.settings.patience_ms;
    Err(stage::execute(
        &set_up.program,
        set_up.new_root,
        patience,
        false,
    ))
}
