//! ELF files as the kernel reads them before it executes them (fs/binfmt_elf.c): for which
//! machine they are, and which loader they name. What the kernel does not read is not
//! read here: a file can name gigabytes.

use std::io;
use std::mem::{offset_of, size_of};
use std::os::unix::fs::FileExt;

use libc::{Elf32_Ehdr, Elf32_Phdr, Elf64_Ehdr, Elf64_Phdr};

use crate::head::Head;

switch_root_core::outcomes! {
    /// Why no kernel for this architecture executes a file, as the end of a sentence.
    #[derive(PartialEq, Eq)]
    pub enum Unfit in "unfit-inits" {
        /// The image is for another machine, or has a loader of another architecture.
        "SR-X15" Architecture { name: String } = "is an ELF file for another architecture ({name})",
        /// It was not written or copied whole, or is an object file.
        "SR-X16" Kind = "is an ELF file of a kind that is not executed",
        "SR-X17" NoHeaders = "is an ELF file without program headers",
        "SR-X18" ManyHeaders = "is an ELF file with more program headers than the kernel reads",
        "SR-X19" LongLoader = "is an ELF file whose loader has a path that the kernel does not read",
        "SR-X20" EndlessLoader = "is an ELF file whose loader has a path without an end",
        "SR-X21" EmptyLoader = "is an ELF file whose loader has an empty path",
        "SR-X22" CutOff = "is an ELF file that was cut off",
        "SR-X23" Damaged = "is a damaged ELF file",
    }
}

/// The most program headers that the kernel reads, in bytes.
const HEADERS: usize = 64 << 10;

/// The longest path of a loader that the kernel reads, its NUL included, in bytes.
const LONGEST_PATH: u64 = libc::PATH_MAX as u64;

/// Where files of one word size have what is read of them, in bytes.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    word: usize,
    headers_at: usize,
    header_size_at: usize,
    header_count_at: usize,
    header_size: usize,
    offset_at: usize,
    length_at: usize,
}

const BITS_64: Layout = Layout {
    word: size_of::<u64>(),
    headers_at: offset_of!(Elf64_Ehdr, e_phoff),
    header_size_at: offset_of!(Elf64_Ehdr, e_phentsize),
    header_count_at: offset_of!(Elf64_Ehdr, e_phnum),
    header_size: size_of::<Elf64_Phdr>(),
    offset_at: offset_of!(Elf64_Phdr, p_offset),
    length_at: offset_of!(Elf64_Phdr, p_filesz),
};

const BITS_32: Layout = Layout {
    word: size_of::<u32>(),
    headers_at: offset_of!(Elf32_Ehdr, e_phoff),
    header_size_at: offset_of!(Elf32_Ehdr, e_phentsize),
    header_count_at: offset_of!(Elf32_Ehdr, e_phnum),
    header_size: size_of::<Elf32_Phdr>(),
    offset_at: offset_of!(Elf32_Phdr, p_offset),
    length_at: offset_of!(Elf32_Phdr, p_filesz),
};

/// These are at the same place in both.
const TYPE_AT: usize = offset_of!(Elf64_Ehdr, e_type);
const MACHINE_AT: usize = offset_of!(Elf64_Ehdr, e_machine);
const HEADER_TYPE_AT: usize = offset_of!(Elf64_Phdr, p_type);

/// A kind of ELF file that kernels for this architecture execute.
#[derive(Debug, PartialEq, Eq)]
pub struct Machine {
    number: u16,
    layout: Layout,
    /// Its name, where only kernels execute it that were built so.
    pub optional: Option<&'static str>,
}

const fn native(number: u16) -> Machine {
    Machine {
        number,
        layout: BITS_64,
        optional: None,
    }
}

const fn compat(name: &'static str, number: u16) -> Machine {
    Machine {
        number,
        layout: BITS_32,
        optional: Some(name),
    }
}

#[cfg(target_arch = "x86_64")]
const MACHINES: &[Machine] = &[
    native(libc::EM_X86_64),
    compat("x32", libc::EM_X86_64),
    compat("i386", libc::EM_386),
];
#[cfg(target_arch = "aarch64")]
const MACHINES: &[Machine] = &[native(libc::EM_AARCH64), compat("arm", libc::EM_ARM)];
/// Of other architectures nothing is known here, and nothing is refused.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINES: &[Machine] = &[];

/// Why the kernel does not execute a file, as the end of a sentence.
#[derive(Debug)]
pub enum Fault {
    /// It is not a file that any kernel for this architecture executes.
    Unfit(Unfit),
    /// It cannot be read, so that nobody knows.
    Unread(io::Error),
}

impl From<Unfit> for Fault {
    fn from(reason: Unfit) -> Self {
        Self::Unfit(reason)
    }
}

/// The program headers of a file.
pub struct Elf {
    /// What it is for.
    pub machine: &'static Machine,
    headers: Vec<u8>,
}

impl Elf {
    /// Whether a file begins like one.
    pub fn is(head: &Head) -> bool {
        head.starts_with(b"\x7fELF")
    }

    /// Reads the headers of a file that begins with `head`. `None` where nothing is known
    /// of this architecture.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn read(file: &impl FileExt, head: &Head) -> Result<Option<Self>, Fault> {
        if MACHINES.is_empty() {
            return Ok(None);
        }
        let kind = number(head, TYPE_AT, 2) as u16;
        if !matches!(kind, libc::ET_EXEC | libc::ET_DYN) {
            return Err(Unfit::Kind.into());
        }
        let machine = machine(head)?;
        let layout = &machine.layout;
        let count = number(head, layout.header_count_at, 2) as usize;
        let size = count * layout.header_size;
        if size == 0 {
            return Err(Unfit::NoHeaders.into());
        }
        if size > HEADERS {
            return Err(Unfit::ManyHeaders.into());
        }
        let at = number(head, layout.headers_at, layout.word);
        let headers = read(file, at, size)?;
        Ok(Some(Self { machine, headers }))
    }

    /// The path of the loader, if it names one: the first one counts.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn loader(&self, file: &impl FileExt) -> Result<Option<Vec<u8>>, Fault> {
        let layout = &self.machine.layout;
        let mut headers = self.headers.chunks_exact(layout.header_size);
        let named =
            headers.find(|header| number(header, HEADER_TYPE_AT, 4) == u64::from(libc::PT_INTERP));
        let Some(header) = named else {
            return Ok(None);
        };
        let length = number(header, layout.length_at, layout.word);
        if !(2..=LONGEST_PATH).contains(&length) {
            return Err(Unfit::LongLoader.into());
        }
        let at = number(header, layout.offset_at, layout.word);
        let mut path = read(file, at, length as usize)?;
        if path.last() != Some(&0) {
            return Err(Unfit::EndlessLoader.into());
        }
        path.truncate(path.iter().position(|byte| *byte == 0).unwrap_or(0));
        if path.is_empty() {
            return Err(Unfit::EmptyLoader.into());
        }
        Ok(Some(path))
    }
}

/// Finds the kind that the kernel would take a file for. It looks at neither the class nor
/// the byte order that the file says it has.
fn machine(head: &Head) -> Result<&'static Machine, Unfit> {
    let given = number(head, MACHINE_AT, 2) as u16;
    let mut same = MACHINES.iter().filter(|one| one.number == given).peekable();
    if same.peek().is_none() {
        let name = name(given);
        return Err(Unfit::Architecture { name });
    }
    let sized = |one: &&Machine| {
        let size = number(head, one.layout.header_size_at, 2) as usize;
        size == one.layout.header_size
    };
    same.find(sized).ok_or(Unfit::Damaged)
}

fn name(machine: u16) -> String {
    let known = match machine {
        libc::EM_386 => "i386",
        libc::EM_X86_64 => "x86_64",
        libc::EM_ARM => "arm",
        libc::EM_AARCH64 => "aarch64",
        libc::EM_RISCV => "riscv",
        libc::EM_PPC64 => "ppc64",
        libc::EM_S390 => "s390",
        libc::EM_MIPS => "mips",
        _ => return format!("machine {machine}"),
    };
    known.to_owned()
}

fn read(file: &impl FileExt, at: u64, length: usize) -> Result<Vec<u8>, Fault> {
    let mut bytes = vec![0; length];
    // What ends beyond the largest file is an error of another kind.
    let end = at.checked_add(length as u64);
    if end.is_none_or(|end| i64::try_from(end).is_err()) {
        return Err(Unfit::CutOff.into());
    }
    match file.read_exact_at(&mut bytes, at) {
        Ok(()) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Unfit::CutOff.into()),
        Err(error) => Err(Fault::Unread(error)),
    }
}

/// A number of two, four or eight bytes, in the byte order of this machine. Zero beyond
/// the end, which callers do not reach.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let mut word = [0; size_of::<u64>()];
    let place = if cfg!(target_endian = "little") {
        0..length
    } else {
        word.len() - length..word.len()
    };
    if let Some(bytes) = bytes.get(at..at + length) {
        word[place].copy_from_slice(bytes);
    }
    u64::from_ne_bytes(word)
}

#[cfg(test)]
pub mod tests;
