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

use crate::elf::{Elf, Fault};
use crate::head::HEAD;
use crate::head::Head;

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
    Unknown(String),
}

/// The chain from a program to what the kernel loads in the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Device numbers and inodes of all interpreters, the loader, and the ways to them.
    pub trail: Vec<(u64, u64)>,
    /// Why the kernel will not execute the program, as a half of a sentence about it.
    pub failure: Option<String>,
    /// Why that is not known.
    pub doubt: Option<String>,
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
    Fails(String),
    Unknown(String),
    Unfollowed(Errno),
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
    chain.failure = Some(format!(
        "it is the first of more than {SCRIPTS} scripts that are interpreters of each other, and the kernel follows no more of them"
    ));
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
    let head =
        head(file).map_err(|error| Stop::Unknown(format!("{name} cannot be read: {error}")))?;
    let stop = match native(file, &head, name, root, chain) {
        Err(Stop::Fails(reason)) => reason,
        other => return other,
    };
    match root.registered(&head, path) {
        Registered::No => Err(Stop::Fails(stop)),
        Registered::Unknown(why) => Err(Stop::Unknown(format!("{stop}, and {why}"))),
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
        let interpreter = interpreter(head)
            .map_err(|reason| Stop::Fails(format!("{name} is a script {reason}")))?;
        let named = format!("{name} names the interpreter");
        return program(&named, interpreter, root, chain);
    }
    if !Elf::is(head) {
        return Err(Stop::Fails(format!(
            "{name} is neither an ELF file nor a script that begins with #!"
        )));
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
        return Err(Stop::Unknown(format!(
            "{name} is a program for {machine}, which only kernels execute that were built so"
        )));
    }
    Ok(Next::End)
}

/// Checks the loader of a program, which must be an ELF file of the same kind.
fn load(program: &Elf, file: &File, name: &str) -> Result<(), Stop> {
    let head =
        head(file).map_err(|error| Stop::Unknown(format!("{name} cannot be read: {error}")))?;
    if !Elf::is(&head) {
        return Err(Stop::Fails(format!("{name} is not an ELF file")));
    }
    match Elf::read(file, &head) {
        Ok(Some(loader)) if loader.machine != program.machine => Err(Stop::Fails(format!(
            "{name} is an ELF file of another kind than the program"
        ))),
        Ok(_) => Ok(()),
        Err(fault) => Err(about(name, fault)),
    }
}

fn about(name: &str, fault: Fault) -> Stop {
    match fault {
        Fault::Unfit(reason) => Stop::Fails(format!("{name} {reason}")),
        Fault::Unread(error) => Stop::Unknown(format!("{name} cannot be read: {error}")),
    }
}

/// Opens a program that `named` (half a sentence) names.
fn program(named: &str, path: &[u8], root: &dyn Root, chain: &mut Chain) -> Result<Next, Stop> {
    let named = format!("{named} {}, which", escape::path(path));
    let way = root.way(path).map_err(Stop::Unfollowed)?;
    chain.trail.extend(way.passed);
    if way.covered {
        return Err(Stop::Unknown(format!(
            "{named} lies where another file system is mounted before it is executed"
        )));
    }
    let unknown = |error: Errno| Stop::Unknown(format!("{named} cannot be examined: {error}"));
    let place = root.open(path, OFlags::PATH).map_err(|error| match error {
        Errno::NOENT | Errno::NOTDIR => Stop::Fails(format!("{named} is not in the new root")),
        Errno::LOOP => Stop::Fails(format!("{named} is a symbolic link loop")),
        Errno::NAMETOOLONG => Stop::Fails(format!("{named} is longer than a path can be")),
        error => unknown(error),
    })?;
    let fails = |reason: &str| Stop::Fails(format!("{named} {reason}"));
    fit(&place).map_err(|unfit| match unfit {
        Unfit::Directory | Unfit::NotRegular => fails("is not a regular file"),
        Unfit::NotExecutable(mode) => fails(&format!("is not executable (mode {mode:04o})")),
        Unfit::NoExec => fails("lies on a file system mounted noexec"),
        Unfit::Unknown(error) => unknown(error),
    })?;
    let file = root
        .open(path, OFlags::RDONLY | OFlags::NONBLOCK)
        .map_err(unknown)?;
    Ok(Next::Program {
        path: path.to_vec(),
        file: file.into(),
    })
}

/// The interpreter that the first line of a script names, as the kernel reads it.
///
/// # Errors
/// Why it reads none: what follows "a script" in a sentence.
fn interpreter(head: &Head) -> Result<&[u8], &'static str> {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let line = &head[2..];
    // It looks for the end of the line no further than the first NUL.
    let end = line.iter().position(|byte| matches!(byte, b'\n' | 0));
    let line = &line[..end.unwrap_or(line.len())];
    let start = line.iter().position(|byte| !is_blank(byte));
    let Some(start) = start else {
        return Err("that names no interpreter");
    };
    let line = &line[start..];
    match line.iter().position(is_blank) {
        Some(blank) => Ok(&line[..blank]),
        None if end.is_some() => Ok(line),
        // It does not execute what may be the beginning of a path alone.
        None => Err("whose interpreter has a longer path than the kernel reads"),
    }
}

#[cfg(test)]
mod tests;
