//! What both kinds of rehearsal set up in the initramfs, in a process whose `/` it is:
//! the mount points, the new root, and the program that switches to it.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::mount::MsFlags;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, chdir, chroot, execve, fexecve, fork};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, mount_remount, move_mount,
};
use switch_root_core::error::{Error, Kind};
use switch_root_core::outcome::Message;
use switch_root_core::resolve::{Within, create, in_root};
use switch_root_core::{escape, locations};

use super::messages::{NewRoot, Node, NodeKind, Settings, Staged};
use super::program;
use super::roles;

switch_root_core::outcomes! {
    /// Why the switch is not set up in the initramfs.
    pub(crate) enum NotStaged in "rehearsals" {
        /// The system refused something while the initramfs was set up: in a container, often. Rehearse
        /// outside of it, or in a virtual machine with `--vm --kernel FILE`.
        "SR-J01" SetUp { attempt: String, error: String } = "cannot {attempt}: {error}",
        "SR-J02" NewRoot { error: io::Error } = "cannot make the new root of the rehearsal: {error}",
        "SR-J03" Node { path: String, error: io::Error } = "cannot make /{path} of the new root: {error}",
        /// A link or a file is where every system has something mounted.
        "SR-J04" Covered { path: String } = "the image has no directory {path}, but something else there, so that nothing can be mounted on it; rehearse in a virtual machine with --vm --kernel FILE if that is intended",
        /// `srctl` takes the one that is beside itself, where the image has none.
        "SR-J05" NoProgram = "the image has no switch_root of switch-root (at /init, or where switch_root and run-init are looked for), and there is none beside srctl; name one with --switch-root FILE",
        /// It is for another architecture, perhaps, or needs a loader that the image lacks.
        "SR-J06" NotExecuted { error: io::Error } = "the kernel does not execute switch_root: {error}",
        "SR-J07" Killed = "switch_root --preserve was ended by a signal",
        /// What stands in for systemd moves the mounts, changes the root, and executes the init.
        "SR-J08" NotSwitched { error: io::Error } = "cannot switch in place of systemd: {error}",
        /// A program that needs a loader cannot be executed where there is none.
        "SR-J09" Dynamic = "this srctl is not a static program, so that it cannot be the init of the new root; use the srctl of a release, or build it for a musl target",
        /// The system's own words are its reason.
        "SR-J10" Own = "cannot read srctl itself",
    }
}

/// Where the new root is mounted: the first that the image has; else the first.
const PLACES: [&str; 4] = ["/sysroot", "/newroot", "/new_root", "/root"];

/// The init of the new root.
pub const INIT: &str = "/sbin/init";

/// The directories of a new root of which nothing is known: where policies may carry
/// something to.
const USUAL: [&str; 31] = [
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "lib64",
    "media",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "sbin",
    "srv",
    "sys",
    "tmp",
    "usr",
    "usr/bin",
    "usr/lib",
    "usr/local",
    "usr/sbin",
    "usr/share",
    "var",
    "var/cache",
    "var/lib",
    "var/log",
    "var/spool",
    "var/tmp",
    "etc/ssh",
    "etc/systemd",
];

/// The directories that every system has something mounted on.
pub const MOUNTED: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];

/// The options of a tmpfs that programs expect.
pub const TMPFS: &[(&str, &str)] = &[("mode", "0755")];

/// What was attempted and why it failed.
pub type Staging<T> = Result<T, Message>;

/// Says what was attempted.
pub fn tried<E: std::fmt::Display>(what: impl std::fmt::Display) -> impl FnOnce(E) -> Message {
    move |error| {
        let (attempt, error) = (what.to_string(), error.to_string());
        NotStaged::SetUp { attempt, error }.into()
    }
}

/// A directory of the initramfs that something is to be mounted on. It is made where it
/// is missing, and that is recorded. A symbolic link is not followed: one to `..` would
/// have the mount where nobody looks for it, and it is the image that wrote it.
///
/// # Errors
/// It is something else, or cannot be made.
pub fn mount_point(root: impl AsFd, path: &str, staged: &mut Staged) -> Staging<OwnedFd> {
    let name = path.trim_start_matches('/');
    let open = || {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&root, name, flags, Mode::empty())
    };
    match open() {
        Err(Errno::NOENT) => {
            let attempt = || tried(format!("make the directory {path}"));
            rustix::fs::mkdirat(&root, name, Mode::from_raw_mode(0o755)).map_err(attempt())?;
            staged.added.push(path.to_owned());
            open().map_err(attempt())
        }
        // Without following, a link is no directory.
        Err(Errno::NOTDIR | Errno::LOOP) => {
            let path = path.to_owned();
            Err(NotStaged::Covered { path }.into())
        }
        opened => opened.map_err(tried(format!("open the directory {path}"))),
    }
}

/// Records what policies will be told of the kernel.
///
/// # Errors
/// `/proc` is missing.
pub fn record_kernel(staged: &mut Staged) -> Staging<()> {
    let names = rustix::system::uname();
    staged.kernel_release = names.release().to_string_lossy().into_owned();
    staged.architecture = names.machine().to_string_lossy().into_owned();
    let line = fs::read_to_string("/proc/cmdline").map_err(tried("read /proc/cmdline"))?;
    staged.kernel_command_line = line.trim_end().to_owned();
    Ok(())
}

/// Makes a file system that has no device, mounted nowhere yet.
///
/// # Errors
/// The system refuses.
pub fn detached(
    file_system: &str,
    options: &[(&str, &str)],
    attributes: MountAttrFlags,
) -> io::Result<OwnedFd> {
    let context = fsopen(file_system, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "source", file_system)?;
    for (key, value) in options {
        fsconfig_set_string(&context, *key, *value)?;
    }
    fsconfig_create(&context)?;
    Ok(fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}

/// Puts a mount where a descriptor is, whatever paths lead there.
///
/// # Errors
/// The system refuses.
pub fn attach(mount: impl AsFd, place: impl AsFd) -> io::Result<()> {
    let empty = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, "", place, "", empty)?)
}

/// Mounts a file system that has no device on a directory of the initramfs, and gives
/// back its root.
///
/// # Errors
/// The system refuses.
pub fn mount_pseudo(
    file_system: &str,
    options: &[(&str, &str)],
    place: &OwnedFd,
) -> Staging<OwnedFd> {
    let mount = detached(file_system, options, MountAttrFlags::MOUNT_ATTR_NOSUID);
    mount
        .and_then(|mount| attach(&mount, place).map(|()| mount))
        .map_err(tried(format!("mount {file_system}")))
}

/// Makes the new root, with `program` as its init, and gives back where it is.
///
/// # Errors
/// It cannot be made.
pub fn new_root(
    initramfs: impl AsFd,
    new_root: &NewRoot,
    program: File,
    staged: &mut Staged,
) -> Staging<&'static str> {
    let is_directory = |path: &&&str| fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
    let place = PLACES.iter().find(is_directory).unwrap_or(&PLACES[0]);
    let place_there = mount_point(&initramfs, place, staged)?;
    let mount = mount_pseudo("tmpfs", TMPFS, &place_there)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(&mount, ".", flags, Mode::empty()).map_err(tried("open the new root"))?;
    let root = File::from(root);
    let failed = |error| NotStaged::NewRoot { error };
    if new_root.nodes.is_empty() {
        for path in USUAL {
            directory(&root, path.as_bytes(), 0o755).map_err(failed)?;
        }
    }
    for node in &new_root.nodes {
        make(&root, node).map_err(|error| {
            let path = escape::path(&node.path);
            NotStaged::Node { path, error }
        })?;
    }
    if let Some(text) = &new_root.os_release {
        // Over what leads there in the root image.
        let path = locations::OS_RELEASE[0];
        put(&root, path, 0o644, &mut text.as_bytes()).map_err(failed)?;
    } else {
        staged.notes.push(
            "the new root of the rehearsal has no os-release: policies are not told of an operating system; name one with --os-release FILE".into(),
        );
    }
    put(&root, INIT, 0o755, &mut { program }).map_err(failed)?;
    if new_root.read_only {
        mount_remount(*place, MountFlags::NOSUID | MountFlags::RDONLY, c"")
            .map_err(tried("make the new root read-only"))?;
    }
    Ok(place)
}

fn make(root: &File, node: &Node) -> io::Result<()> {
    let path = node.path.as_slice();
    match &node.kind {
        NodeKind::Directory(mode) => directory(root, path, *mode),
        NodeKind::Link(target) => {
            let (above, name) = above(root, path)?;
            Ok(rustix::fs::symlinkat(target.as_slice(), above, name)?)
        }
        NodeKind::File => {
            let (above, name) = above(root, path)?;
            let mode = Mode::from_raw_mode(0o644);
            Ok(rustix::fs::mknodat(
                above,
                name,
                FileType::RegularFile,
                mode,
                0,
            )?)
        }
    }
}

fn directory(root: &File, path: &[u8], mode: u32) -> io::Result<()> {
    if path.is_empty() {
        return root.set_permissions(Permissions::from_mode(mode));
    }
    let (above, name) = above(root, path)?;
    match rustix::fs::mkdirat(above, name, Mode::from_raw_mode(mode)) {
        Err(Errno::EXIST) | Ok(()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// The directory that a path of the new root lies in, which is made if it is missing,
/// and its name there.
fn above<'a>(root: &File, path: &'a [u8]) -> io::Result<(OwnedFd, &'a [u8])> {
    let cut = path.iter().rposition(|byte| *byte == b'/');
    let (above, name) = match cut {
        None => (&b"."[..], path),
        Some(0) => (&b"."[..], &path[1..]),
        Some(cut) => (&path[..cut], &path[cut + 1..]),
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    match in_root(root, above, flags) {
        Err(Errno::NOENT) => {
            directory(root, above, 0o755)?;
            Ok((in_root(root, above, flags)?, name))
        }
        found => Ok((found?, name)),
    }
}

/// Writes a file of the new root, where links lead to; in place of the link, where
/// they lead nowhere.
fn put(root: &File, path: &str, mode: u32, contents: &mut dyn io::Read) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let permissions = Mode::from_raw_mode(mode);
    let (above, name) = above(root, path.as_bytes())?;
    let file = match create(Within::Root, root, path, flags, permissions) {
        Ok(file) => file,
        Err(_) => {
            let _ = rustix::fs::unlinkat(&above, name, AtFlags::empty());
            rustix::fs::openat(&above, name, flags | OFlags::NOFOLLOW, permissions)?
        }
    };
    let mut file = File::from(file);
    io::copy(contents, &mut file)?;
    file.set_permissions(Permissions::from_mode(mode))
}

/// The program that switches.
pub enum Program {
    /// The image's own, by its path.
    Inside(&'static str),
    /// One that is not part of the initramfs.
    Outside(OwnedFd),
}

/// Chooses the program, which is named for people in `staged`: what the command line
/// names, else the image's, else another one.
///
/// # Errors
/// There is none.
pub fn choose(
    root: impl AsFd,
    named: Option<OwnedFd>,
    otherwise: Option<OwnedFd>,
    staged: &mut Staged,
) -> Staging<Program> {
    let (program, shown) = if let Some(named) = named {
        (
            Program::Outside(named),
            "the one that --switch-root names".to_owned(),
        )
    } else if let Some((path, _)) = program::of_image(root) {
        (Program::Inside(path), format!("{path} of the image"))
    } else if let Some(otherwise) = otherwise {
        (
            Program::Outside(otherwise),
            "the one beside srctl, since the image has none".to_owned(),
        )
    } else {
        return Err(NotStaged::NoProgram.into());
    };
    staged.program = shown;
    Ok(program)
}

/// Becomes the program, or has it preserve and then switches as systemd would. Comes back only
/// with why that cannot be.
pub fn execute(program: &Program, new_root: &str, settings: &Settings, machine: bool) -> NotStaged {
    let patience = settings.patience_ms.to_string();
    let place = if machine {
        roles::MACHINE
    } else {
        roles::NAMESPACE
    };
    let of_init = [INIT, roles::INIT, &patience, place];
    // Called like this whatever its file's name is: as `init` it would look for a
    // root image and a kernel that mounts it.
    let failed = |error| NotStaged::NotExecuted { error };
    if !settings.preserve {
        let mut arguments = vec!["switch_root", new_root];
        arguments.extend(of_init);
        return match become_program(program, &arguments) {
            Err(error) => failed(error),
            Ok(never) => match never {},
        };
    }
    // SAFETY: there is one thread, so the child may use all that it inherits.
    let status = match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            let outcome = become_program(program, &["switch_root", "--preserve", new_root, INIT]);
            let words = outcome.map_or_else(failed, |never| match never {});
            eprintln!("{words}");
            std::process::exit(1)
        }
        Ok(ForkResult::Parent { child }) => waitpid(child, None),
        Err(error) => Err(error),
    };
    match status {
        Ok(WaitStatus::Exited(_, 0)) => {}
        // Systemd would not switch either.
        Ok(WaitStatus::Exited(_, status)) => std::process::exit(status),
        Ok(_) => return NotStaged::Killed,
        Err(error) => return failed(error.into()),
    }
    match switch_as_systemd(new_root, &of_init) {
        Err(error) => NotStaged::NotSwitched { error },
        Ok(never) => match never {},
    }
}

fn become_program(program: &Program, arguments: &[&str]) -> io::Result<Infallible> {
    let arguments: Result<Vec<CString>, _> = arguments.iter().copied().map(CString::new).collect();
    let environment: [&CStr; 3] = [c"HOME=/", c"TERM=linux", c"PATH=/sbin:/bin"];
    Ok(match program {
        Program::Inside(path) => execve(&CString::new(*path)?, &arguments?, &environment)?,
        Program::Outside(file) => fexecve(file, &arguments?, &environment)?,
    })
}

/// Moves what is mounted to the new root, makes that the root, and becomes its init.
fn switch_as_systemd(new_root: &str, init: &[&str]) -> io::Result<Infallible> {
    for path in MOUNTED {
        let to = format!("{new_root}{path}");
        // What the new root has no place for is lost with the initramfs.
        let _ = move_mount(
            rustix::fs::CWD,
            path,
            rustix::fs::CWD,
            to,
            MoveMountFlags::empty(),
        );
    }
    chdir(new_root)?;
    nix::mount::mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    chroot(".")?;
    chdir("/")?;
    become_program(&Program::Inside(INIT), init)
}

/// Whether this program can be the init of a new root that holds nothing else.
///
/// # Errors
/// It cannot.
pub fn check_own_program() -> Result<(), Error> {
    match program::needs_loader(Path::new("/proc/self/exe")) {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::new(Kind::System, NotStaged::Dynamic)),
        Err(error) => Err(Error::system(NotStaged::Own, &error)),
    }
}
