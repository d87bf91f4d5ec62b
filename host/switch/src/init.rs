//! The init of the new root: it must exist there, be a regular file, and be
//! executable, with all that it takes, before anything is changed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::locations::MOVED;
use switch_root_core::outcome::Message;
use switch_root_core::path::is_at_or_below;
use switch_root_core::resolve::in_root;

use crate::binfmt_misc;
use crate::executable::{self, Registered, Root, Unfit, Way};
use crate::head::Head;
use crate::planner::Init;
use crate::proc::Proc;

switch_root_core::outcomes! {
    /// Why there is no init that can be executed.
    pub enum NoInit in "new-root" {
        /// `switch_root` executes nothing that it has not seen.
        "SR-N30" Missing { path: String, new_root: String } = "init {path} is not in {new_root}; check the path, and that the right file system is mounted there",
        /// Often a link that is right on the running system, and whose target lies on a file system
        /// that is not mounted yet, such as `/usr`: mount that below the new root first.
        "SR-N31" Dangling { path: String, target: String, new_root: String } = "init {path} is a symbolic link to {target}, which is not in {new_root}; links are resolved as if the new root were the root already",
        /// Repair the image.
        "SR-N32" Loop { path: String, new_root: String } = "init {path} in {new_root} is a symbolic link that leads in circles; repair it in the image",
        "SR-N33" Resolving { path: String, new_root: String, error: io::Error } = "init {path} in {new_root} cannot be resolved: {error}",
        "SR-N34" Examining { path: String, done: &'static str, error: io::Error } = "init {path} cannot be {done}: {error}",
        /// The second argument is not the path of a program.
        "SR-N35" Directory { path: String, new_root: String } = "init {path} is a directory of {new_root}; name the program in it",
        "SR-N36" NotRegular { path: String, new_root: String } = "init {path} in {new_root} is not a regular file; name a program",
        /// No bit of execution is set.
        "SR-N37" NotExecutable { path: String, new_root: String, mode: u32 } = "init {path} in {new_root} is not executable (mode {mode:04o}); chmod it in the image",
        /// The kernel would refuse to execute it, after the switch.
        "SR-N38" NoExec { path: String, new_root: String } = "init {path} lies on a file system mounted noexec; mount {new_root} without it",
        /// It would be hidden before it is executed.
        "SR-N39" Covered { path: String, new_root: String, covered: &'static str } = "init {path} in {new_root} lies below {covered}, where the kernel's or the running system's own is mounted; put it elsewhere, such as at /sbin/init",
        /// The reason is one of [the next table](#an-init-that-is-not-executed). The kernel would not
        /// have executed it after the switch.
        "SR-N40" Unfit { path: String, reason: String } = "init {path} cannot be executed: {reason}; repair the image, or start once with the kernel parameter switch_root.unchecked_init to try it all the same",
    }
}

switch_root_core::outcomes! {
    /// Why executing the init may fail.
    pub enum Doubtful in "init-warnings" {
        /// The reason is one of those of an init that is not executed.
        "SR-N50" Unchecked { path: String, reason: String } = "init {path} cannot be executed: {reason}; it is tried all the same, since switch_root.unchecked_init is given",
        /// The reason is one of the next.
        "SR-N51" Unknown { path: String, reason: String } = "it is not known whether init {path} can be executed: {reason}",
        /// It has no permission to be read, or its file system is damaged.
        "SR-N52" Unreadable { path: String, error: Errno } = "init {path} cannot be read ({error}); whether it can be executed is not known",
    }
}

/// What is executed where the kernel's `init=` says nothing: the first that can
/// be, as the kernel has it, but for its shell, which anybody could use.
pub const USUAL: [&str; 3] = ["/sbin/init", "/etc/init", "/bin/init"];

/// What systemd executes before that, which need not have the usual name.
const OF_SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// A path of the new root, which may be given without the slash that it begins
/// with: init is executed in the root directory.
pub fn absolute(path: &[u8]) -> Vec<u8> {
    let relative = path.strip_prefix(b"/").unwrap_or(path);
    [b"/", relative].concat()
}

/// The new root, as inits are examined in it.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// Its root directory.
    pub new_root: BorrowedFd<'a>,
    /// Where it is mounted.
    pub mounted_at: &'a [u8],
    /// What the kernel says of open files and of itself.
    pub proc: &'a Proc,
    /// What the kernel will not execute is taken all the same, with a warning.
    pub unchecked: bool,
}

impl Root for Place<'_> {
    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        in_root(self.new_root, path, flags)
    }

    fn way(&self, path: &[u8]) -> Result<Way, Errno> {
        follow(self.new_root, path)
    }

    fn registered(&self, head: &Head, path: &[u8]) -> Registered {
        binfmt_misc::find(self.proc, head, path)
    }
}

/// Examines the init at `path` of the new root.
///
/// # Errors
/// Why it cannot be the init: a sentence for the operator.
pub fn check(root: Place<'_>, path: &[u8]) -> Result<Init, NoInit> {
    let shown = || escape::path(path);
    let place = || format!("the new root {}", escape::path(root.mounted_at));
    let file = in_root(root.new_root, path, OFlags::PATH)
        .map_err(|error| unresolved(root.new_root, path, error, place()))?;
    let failed = |done, error: io::Error| NoInit::Examining {
        path: shown(),
        done,
        error,
    };
    let stat = executable::fit(&file).map_err(|unfit| {
        let (path, new_root) = (shown(), place());
        match unfit {
            Unfit::Directory => NoInit::Directory { path, new_root },
            Unfit::NotRegular => NoInit::NotRegular { path, new_root },
            Unfit::NotExecutable(mode) => NoInit::NotExecutable {
                path,
                new_root,
                mode,
            },
            Unfit::NoExec => NoInit::NoExec { path, new_root },
            Unfit::Unknown(error) => failed("examined", error.into()),
        }
    })?;
    let path_now = root
        .proc
        .path_of(&file)
        .map_err(|error| failed("located", error))?;
    let resolved = path_now
        .strip_prefix(root.mounted_at)
        .filter(|rest| rest.starts_with(b"/"))
        .map_or_else(|| absolute(path), <[u8]>::to_vec);
    let paths = [absolute(path), resolved.clone()];
    for covered in MOVED {
        if paths
            .iter()
            .any(|path| is_at_or_below(path, covered.as_bytes()))
        {
            return Err(NoInit::Covered {
                path: shown(),
                new_root: place(),
                covered,
            });
        }
    }
    let unfollowed = |error: Errno| failed("followed", error.into());
    let mut trail = follow(root.new_root, path).map_err(unfollowed)?.passed;
    let mut warnings = Vec::new();
    match in_root(root.new_root, path, OFlags::RDONLY | OFlags::NONBLOCK) {
        Ok(file) => {
            let chain = executable::follow(file.into(), path, &root).map_err(unfollowed)?;
            trail.extend(chain.trail);
            if let Some(reason) = chain.failure {
                let (path, reason) = (shown(), reason.text);
                if !root.unchecked {
                    return Err(NoInit::Unfit { path, reason });
                }
                warnings.push(Doubtful::Unchecked { path, reason }.into());
            }
            warnings.extend(chain.doubt.map(|reason| {
                let (path, reason) = (shown(), reason.text);
                Message::from(Doubtful::Unknown { path, reason })
            }));
        }
        Err(error) => {
            let path = shown();
            warnings.push(Doubtful::Unreadable { path, error }.into());
        }
    }
    Ok(Init {
        paths,
        trail,
        resolved,
        identity: (stat.st_dev, stat.st_ino),
        warnings,
    })
}

/// Finds the init that a program such as systemd executes where it is told of none: the
/// kernel's `init=`, systemd itself, or what is usual. With it comes its path.
///
/// # Errors
/// Why there is none: a sentence for the operator.
pub fn find(root: Place<'_>, of_the_kernel: &Option<String>) -> Result<(Vec<u8>, Init), NoInit> {
    let examine = |path: &str| check(root, path.as_bytes()).map(|init| (path.into(), init));
    if let Some(path) = of_the_kernel {
        return examine(path);
    }
    let mut found = examine(OF_SYSTEMD[0]);
    for path in OF_SYSTEMD[1..].iter().chain(&USUAL) {
        let Err(before) = found else { break };
        // Most readers know the usual one alone.
        let is_known = *path == USUAL[0];
        found = examine(path).map_err(|reason| if is_known { reason } else { before });
    }
    found
}

/// Says why there is nothing at the path, and how far it can be followed.
fn unresolved(root: BorrowedFd<'_>, path: &[u8], error: Errno, new_root: String) -> NoInit {
    let link = in_root(root, path, OFlags::PATH | OFlags::NOFOLLOW)
        .ok()
        .and_then(|link| fs::readlinkat(&link, c"", Vec::new()).ok());
    let path = escape::path(path);
    match (error, link) {
        (Errno::NOENT, Some(target)) => NoInit::Dangling {
            path,
            target: escape::path(target.to_bytes()),
            new_root,
        },
        (Errno::NOENT, None) => NoInit::Missing { path, new_root },
        (Errno::LOOP, _) => NoInit::Loop { path, new_root },
        (error, _) => NoInit::Resolving {
            path,
            new_root,
            error: error.into(),
        },
    }
}

/// Goes the way to a path, as far as it leads.
pub fn follow(new_root: BorrowedFd<'_>, path: &[u8]) -> Result<Way, Errno> {
    /// As many as the kernel follows.
    const LINKS: u32 = 40;
    let mut way = Way::default();
    let mut links = 0;
    let parts = |path: &[u8]| -> Vec<Vec<u8>> {
        let parts = path
            .split(|byte| *byte == b'/')
            .filter(|part| !part.is_empty());
        parts.rev().map(<[u8]>::to_vec).collect()
    };
    // Components still to come, the next one last.
    let mut to_come = parts(path);
    // Directories below the new root that lead to where we are.
    let mut directories: Vec<OwnedFd> = Vec::new();
    while let Some(part) = to_come.pop() {
        match part.as_slice() {
            b"." => continue,
            b".." => {
                directories.pop();
                continue;
            }
            _ => {}
        }
        // Below the root directory, with a slash in front.
        way.covered |=
            directories.is_empty() && MOVED.iter().any(|covered| covered.as_bytes()[1..] == *part);
        let here = directories.last().map_or(new_root, AsFd::as_fd);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = match fs::openat(here, part.as_slice(), flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => break,
            other => other?,
        };
        let stat = fs::fstat(&found)?;
        way.passed.push((stat.st_dev, stat.st_ino));
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            directories.push(found);
            continue;
        }
        let target = fs::readlinkat(&found, c"", Vec::new())?;
        links += 1;
        if links > LINKS {
            break;
        }
        if target.to_bytes().starts_with(b"/") {
            directories.clear();
        }
        to_come.extend(parts(target.to_bytes()));
    }
    Ok(way)
}
