//! What it takes to execute a program: the interpreters that scripts name, one after the
//! other, and the loader of the ELF file at the end of the chain, as execve(2) follows it
//! (fs/exec.c, fs/binfmt_script.c, fs/binfmt_elf.c).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

use rustix::fs::{self, FileType, OFlags, Stat, StatVfsMountFlags};
use rustix::io::Errno;
use switch_root_core::escape;
use switch_root_core::outcome::Message;

use crate::elf::{Elf, Fault};
use crate::head::HEAD;
use crate::head::Head;

switch_root_core::outcomes! {
    /// Why the kernel will not execute a program: a half of a sentence about it. Others are those
    /// of its ELF file.
    pub enum Failure in "unfit-inits" {
        /// The image lacks a package, `/usr` is not mounted, or the init was built for another C
        /// library.
        "SR-X01" Missing { named: String } = "{named} is not in the new root",
        "SR-X02" Loop { named: String } = "{named} is a symbolic link loop",
        "SR-X03" Long { named: String } = "{named} is longer than a path can be",
        /// Repair the image, or mount the file system without `noexec`.
        "SR-X04" NotRegular { named: String } = "{named} is not a regular file",
        "SR-X05" NotExecutable { named: String, mode: u32 } = "{named} is not executable (mode {mode:04o})",
        "SR-X06" NoExec { named: String } = "{named} lies on a file system mounted noexec",
        /// The kernel executes such files only where binfmt_misc knows them; a loader is always an
        /// ELF file.
        "SR-X07" Unknown { name: String } = "{name} is neither an ELF file nor a script that begins with #!",
        "SR-X08" NotElf { name: String } = "{name} is not an ELF file",
        /// The first line of a script is `#!/path`; the kernel reads 256 bytes of it.
        "SR-X09" NoInterpreter { name: String } = "{name} is a script that names no interpreter",
        "SR-X10" LongInterpreter { name: String } = "{name} is a script whose interpreter has a longer path than the kernel reads",
        /// The kernel's error is `ELOOP`. Often a script that is its own interpreter.
        "SR-X11" Scripts = "it is the first of more than {SCRIPTS} scripts that are interpreters of each other, and the kernel follows no more of them",
        /// The image is for another machine, or has a loader of another architecture.
        "SR-X12" OtherKind { name: String } = "{name} is an ELF file of another kind than the program",
    }
}

switch_root_core::outcomes! {
    /// Why it is not known whether the kernel executes a program.
    pub enum Doubt in "init-warnings" {
        /// Its file system may be damaged.
        "SR-X30" Reading { name: String, error: io::Error } = "{name} cannot be read: {error}",
        "SR-X31" Examining { name: String, error: Errno } = "{name} cannot be examined: {error}",
        /// An interpreter or loader below `/dev`, `/proc`, `/sys` or `/run`: whether it is there by
        /// then is up to what is mounted.
        "SR-X32" Covered { name: String } = "{name} lies where another file system is mounted before it is executed",
        /// A compat class: i386 and x32 on x86_64, arm on aarch64. The kernel may lack it, or not be
        /// started with it.
        "SR-X33" Optional { name: String, machine: &'static str } = "{name} is a program for {machine}, which only kernels execute that were built so",
        /// The kernel itself does not execute the file, and whether an interpreter is registered for
        /// it cannot be found out.
        "SR-X34" Registered { reason: String, why: String } = "{reason}, and {why}",
    }
}

/// How many scripts may be in a row. The kernel gives up (ELOOP) where the last of them
/// names an interpreter, whatever that is.
const SCRIPTS: usize = 5;

/// The root directory that a program is to be executed in.
pub trait Root {
    /// Opens a path of it as a process would whose root directory it is.
    fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno>;

    /// The device number and inode of everything on the way to a path, as far as it leads.
    fn way(&self, path: &[u8]) -> Result<Way, Errno>;

    /// What binfmt_misc does with a file that begins with `head` and is executed by this path.
    fn registered(&self, head: &Head, path: &[u8]) -> Registered;
}

/// What is passed on the way to a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Device numbers and inodes of links, directories, and what is at the end.
    pub passed: Vec<(u64, u64)>,
    /// It leads through a directory that another file system is mounted on before anything
    /// is executed.
    pub covered: bool,
}

/// What binfmt_misc knows of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// Nothing.
    No,
    /// An interpreter that the kernel holds open.
    Open,
    /// An interpreter by its path.
    Interpreter(Vec<u8>),
    /// Why nobody knows, as half a sentence.
    Unknown(Message),
}

/// The chain from a program to what the kernel loads in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Device numbers and inodes of all interpreters, the loader, and the ways to them.
    pub trail: Vec<(u64, u64)>,
    /// Why the kernel will not execute the program, as a half of a sentence about it.
    pub failure: Option<Message>,
    /// Why that is not known.
    pub doubt: Option<Message>,
}

/// Why a file cannot be executed, whatever it holds.
#[derive(Debug)]
pub enum Unfit {
    /// It is a directory.
    Directory,
    /// It is something else that is not a regular file.
    NotRegular,
    /// It has no permission to be executed; with its mode.
    NotExecutable(u32),
    /// Its mount forbids it.
    NoExec,
    /// It cannot be examined.
    Unknown(Errno),
}

/// Whether an open file may be executed by root, whatever it holds.
///
/// # Errors
/// See [`Unfit`].
pub fn fit(file: impl AsFd) -> Result<Stat, Unfit> {
    let stat = fs::fstat(&file).map_err(Unfit::Unknown)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(Unfit::Directory),
        _ => return Err(Unfit::NotRegular),
    }
    if stat.st_mode & 0o111 == 0 {
        return Err(Unfit::NotExecutable(stat.st_mode & 0o7777));
    }
    let mount = fs::fstatvfs(&file).map_err(Unfit::Unknown)?;
    if mount.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return Err(Unfit::NoExec);
    }
    Ok(stat)
}

/// Where a step of the chain leads.
enum Next {
    End,
    Program { path: Vec<u8>, file: File },
}

/// Why there is no next step: halves of a sentence, about the file that is executed.
enum Stop {
    Fails(Message),
    Unknown(Message),
    Unfollowed(Errno),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Fails(failure.into())
    }
}

impl From<Doubt> for Stop {
    fn from(doubt: Doubt) -> Self {
        Self::Unknown(doubt.into())
    }
}

/// Follows the chain of an open program, which is executed by `path`.
///
/// # Errors
/// That of a way that cannot be followed.
pub fn follow(program: File, path: &[u8], root: &dyn Root) -> Result<Chain, Errno> {
    let mut chain = Chain::default();
    let (mut file, mut path) = (program, path.to_vec());
    for level in 0..=SCRIPTS {
        let name = match level {
            0 => "it".to_owned(),
            _ => escape::path(&path),
        };
        match step(&file, &path, &name, root, &mut chain) {
            Ok(Next::End) => return Ok(chain),
            Ok(Next::Program {
                path: next,
                file: open,
            }) => (path, file) = (next, open),
            Err(Stop::Fails(reason)) => {
                chain.failure = Some(reason);
                return Ok(chain);
            }
            Err(Stop::Unknown(reason)) => {
                chain.doubt = Some(reason);
                return Ok(chain);
            }
            Err(Stop::Unfollowed(error)) => return Err(error),
        }
    }
    chain.failure = Some(Failure::Scripts.into());
    Ok(chain)
}

/// Goes from one file of the chain to the next one. What the kernel itself cannot execute
/// is looked up in binfmt_misc, which the kernel asks first.
fn step(
    file: &File,
    path: &[u8],
    name: &str,
    root: &dyn Root,
    chain: &mut Chain,
) -> Result<Next, Stop> {
    let head = head(file).map_err(|error| unread(name, error))?;
    let stop = match native(file, &head, name, root, chain) {
        Err(Stop::Fails(reason)) => reason,
        other => return other,
    };
    match root.registered(&head, path) {
        Registered::No => Err(Stop::Fails(stop)),
        Registered::Unknown(why) => {
            let (reason, why) = (stop.text, why.text);
            Err(Doubt::Registered { reason, why }.into())
        }
        Registered::Open => Ok(Next::End),
        Registered::Interpreter(interpreter) => {
            let named = format!("binfmt_misc names for {name} the interpreter");
            program(&named, &interpreter, root, chain)
        }
    }
}

/// Reads what a file begins with.
fn head(file: &File) -> io::Result<Head> {
    let mut head = [0; HEAD];
    let mut length = 0;
    while length < HEAD {
        match file.read_at(&mut head[length..], length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}

/// Goes to what a script or an ELF file names.
fn native(
    file: &File,
    head: &Head,
    name: &str,
    root: &dyn Root,
    chain: &mut Chain,
) -> Result<Next, Stop> {
    if head.starts_with(b"#!") {
        let interpreter = interpreter(head, name)?;
        let named = format!("{name} names the interpreter");
        return program(&named, interpreter, root, chain);
    }
    if !Elf::is(head) {
        let name = name.to_owned();
        return Err(Failure::Unknown { name }.into());
    }
    let about = |fault| about(name, fault);
    let Some(elf) = Elf::read(file, head).map_err(about)? else {
        return Ok(Next::End);
    };
    if let Some(loader) = elf.loader(file).map_err(about)? {
        let named = format!("{name} names the loader");
        if let Next::Program { path, file } = program(&named, &loader, root, chain)? {
            load(
                &elf,
                &file,
                &format!("{named} {}, which", escape::path(&path)),
            )?;
        }
    }
    if let Some(machine) = elf.machine.optional {
        let name = name.to_owned();
        return Err(Doubt::Optional { name, machine }.into());
    }
    Ok(Next::End)
}

/// Checks the loader of a program, which must be an ELF file of the same kind.
fn load(program: &Elf, file: &File, name: &str) -> Result<(), Stop> {
    let head = head(file).map_err(|error| unread(name, error))?;
    if !Elf::is(&head) {
        let name = name.to_owned();
        return Err(Failure::NotElf { name }.into());
    }
    match Elf::read(file, &head) {
        Ok(Some(loader)) if loader.machine != program.machine => {
            let name = name.to_owned();
            Err(Failure::OtherKind { name }.into())
        }
        Ok(_) => Ok(()),
        Err(fault) => Err(about(name, fault)),
    }
}

fn about(name: &str, fault: Fault) -> Stop {
    match fault {
        Fault::Unfit(reason) => {
            let reason = Message::from(reason);
            Stop::Fails(reason.reworded(|reason| format!("{name} {reason}")))
        }
        Fault::Unread(error) => unread(name, error),
    }
}

fn unread(name: &str, error: io::Error) -> Stop {
    let name = name.to_owned();
    Doubt::Reading { name, error }.into()
}

/// Opens a program that `named` (half a sentence) names.
fn program(named: &str, path: &[u8], root: &dyn Root, chain: &mut Chain) -> Result<Next, Stop> {
    let named = format!("{named} {}, which", escape::path(path));
    let way = root.way(path).map_err(Stop::Unfollowed)?;
    chain.trail.extend(way.passed);
    if way.covered {
        return Err(Doubt::Covered { name: named }.into());
    }
    let unknown = |name, error| Stop::from(Doubt::Examining { name, error });
    let place = match root.open(path, OFlags::PATH) {
        Ok(place) => place,
        Err(error) => {
            return Err(match error {
                Errno::NOENT | Errno::NOTDIR => Failure::Missing { named }.into(),
                Errno::LOOP => Failure::Loop { named }.into(),
                Errno::NAMETOOLONG => Failure::Long { named }.into(),
                error => unknown(named, error),
            });
        }
    };
    if let Err(unfit) = fit(&place) {
        return Err(match unfit {
            Unfit::Directory | Unfit::NotRegular => Failure::NotRegular { named }.into(),
            Unfit::NotExecutable(mode) => Failure::NotExecutable { named, mode }.into(),
            Unfit::NoExec => Failure::NoExec { named }.into(),
            Unfit::Unknown(error) => unknown(named, error),
        });
    }
    let file = root
        .open(path, OFlags::RDONLY | OFlags::NONBLOCK)
        .map_err(|error| unknown(named, error))?;
    Ok(Next::Program {
        path: path.to_vec(),
        file: file.into(),
    })
}

/// The interpreter that the first line of a script names, as the kernel reads it.
///
/// # Errors
/// Why it reads none of the script of this name.
fn interpreter<'h>(head: &'h Head, name: &str) -> Result<&'h [u8], Failure> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let line = &head[2..];
    // It looks for the end of the line no further than the first NUL.
    let end = line.iter().position(|byte| matches!(byte, b'\n' | 0));
    let line = &line[..end.unwrap_or(line.len())];
    let start = line.iter().position(|byte| !is_blank(byte));
    let Some(start) = start else {
        let name = name.to_owned();
        return Err(Failure::NoInterpreter { name });
    };
    let line = &line[start..];
    match line.iter().position(is_blank) {
        Some(blank) => Ok(&line[..blank]),
        None if end.is_some() => Ok(line),
        // It does not execute what may be the beginning of a path alone.
        None => Err(Failure::LongInterpreter {
            name: name.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests;
