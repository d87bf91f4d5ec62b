use super::*;
use crate::head::HEAD;
use std::cell::Cell;
use std::fs::File;

/// An ELF file in the making, for machines of 64 bits.
#[derive(Clone)]
pub struct Made {
    pub kind: u16,
    pub machine: u16,
    pub header_size: u16,
    pub header_count: u16,
    pub headers_at: u64,
    /// What its only program header says of the loader: where, and how long.
    pub loader: Option<(u64, u64)>,
    /// What comes behind.
    pub rest: Vec<u8>,
}

/// Where [`Made::rest`] begins.
const REST: usize = size_of::<Elf64_Ehdr>() + size_of::<Elf64_Phdr>();

/// The machine that runs the tests.
pub const HERE: u16 = MACHINES[0].number;
/// One that no kernel for it executes.
pub const ELSEWHERE: u16 = libc::EM_S390;

impl Made {
    /// A program without a loader.
    pub fn new() -> Self {
        Self {
            kind: libc::ET_DYN,
            machine: HERE,
            header_size: size_of::<Elf64_Phdr>() as u16,
            header_count: 1,
            headers_at: size_of::<Elf64_Ehdr>() as u64,
            loader: None,
            rest: Vec::new(),
        }
    }

    /// One that names this loader.
    pub fn with_loader(path: &str) -> Self {
        let rest = [path.as_bytes(), b"\0"].concat();
        Self {
            loader: Some((REST as u64, rest.len() as u64)),
            rest,
            ..Self::new()
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; REST];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        put(0, b"\x7fELF\x02\x01\x01");
        put(TYPE_AT, &self.kind.to_ne_bytes());
        put(MACHINE_AT, &self.machine.to_ne_bytes());
        put(BITS_64.headers_at, &self.headers_at.to_ne_bytes());
        put(BITS_64.header_size_at, &self.header_size.to_ne_bytes());
        put(BITS_64.header_count_at, &self.header_count.to_ne_bytes());
        let header = size_of::<Elf64_Ehdr>();
        if let Some((at, length)) = self.loader {
            put(header + HEADER_TYPE_AT, &libc::PT_INTERP.to_ne_bytes());
            put(header + BITS_64.offset_at, &at.to_ne_bytes());
            put(header + BITS_64.length_at, &length.to_ne_bytes());
        }
        bytes.extend(&self.rest);
        bytes
    }
}

/// A file of this size that begins with these bytes, and how much of it was read.
struct Counted(File, Cell<usize>);

impl FileExt for Counted {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let count = self.0.read_at(buffer, at)?;
        self.1.set(self.1.get() + count);
        Ok(count)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// What is read of a file with these first bytes, and how much of it.
fn read_of(bytes: &[u8], size: u64) -> (Result<Option<Vec<u8>>, String>, usize) {
    let file = tempfile();
    file.write_all_at(bytes, 0).unwrap();
    file.set_len(size).unwrap();
    let file = Counted(file, Cell::new(0));
    let mut head = [0; HEAD];
    let length = bytes.len().min(head.len());
    head[..length].copy_from_slice(&bytes[..length]);
    let outcome = Elf::read(&file, &head).and_then(|elf| elf.unwrap().loader(&file));
    let outcome = outcome.map_err(|fault| match fault {
        Fault::Unfit(reason) => reason.to_string(),
        Fault::Unread(error) => error.to_string(),
    });
    let count = file.1.get();
    (outcome, count)
}

fn tempfile() -> File {
    let name = format!(
        "switch-root-elf-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    );
    let path = std::env::temp_dir().join(name);
    let mut options = File::options();
    let file = options.read(true).write(true).create(true).truncate(true);
    let file = file.open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

fn read_whole(made: &Made) -> Result<Option<Vec<u8>>, String> {
    let bytes = made.bytes();
    read_of(&bytes, bytes.len() as u64).0
}

#[test]
fn loader_is_read_as_the_kernel_reads_it() {
    assert_eq!(read_whole(&Made::new()), Ok(None));
    let made = Made::with_loader("/lib/ld.so");
    assert_eq!(read_whole(&made), Ok(Some(b"/lib/ld.so".to_vec())));
    // What is behind the first NUL does not count.
    let made = Made::with_loader("/lib/ld.so\0more");
    assert_eq!(read_whole(&made), Ok(Some(b"/lib/ld.so".to_vec())));
}

#[test]
fn what_the_kernel_does_not_execute_is_named() {
    let whole = Made::with_loader("/lib/ld.so");
    let cases: [(Made, &str); 11] = [
        (
            Made {
                kind: libc::ET_REL,
                ..whole.clone()
            },
            "not executed",
        ),
        (
            Made {
                machine: ELSEWHERE,
                ..whole.clone()
            },
            "another architecture (s390)",
        ),
        (
            Made {
                machine: HERE.swap_bytes(),
                ..whole.clone()
            },
            "another architecture (machine",
        ),
        (
            Made {
                header_size: 12,
                ..whole.clone()
            },
            "damaged",
        ),
        (
            Made {
                header_count: 0,
                ..whole.clone()
            },
            "without program headers",
        ),
        (
            Made {
                header_count: 1200,
                ..whole.clone()
            },
            "more program headers",
        ),
        (
            Made {
                headers_at: u64::MAX - 7,
                ..whole.clone()
            },
            "cut off",
        ),
        (
            Made {
                headers_at: i64::MAX as u64 - 7,
                ..whole.clone()
            },
            "cut off",
        ),
        (Made::with_loader("\0/lib/ld.so"), "an empty path"),
        (
            Made {
                rest: b"/lib".to_vec(),
                ..whole.clone()
            },
            "cut off",
        ),
        (
            Made {
                loader: Some((REST as u64, 4)),
                ..whole.clone()
            },
            "without an end",
        ),
    ];
    for (made, part) in cases {
        let reason = read_whole(&made).unwrap_err();
        assert!(reason.contains(part), "{reason}, not {part}");
    }
    for length in [0, 1, LONGEST_PATH + 1, u64::MAX] {
        let made = Made {
            loader: Some((0, length)),
            ..whole.clone()
        };
        let reason = read_whole(&made).unwrap_err();
        assert!(reason.contains("does not read"), "{reason}");
    }
}

#[test]
fn file_that_names_gigabytes_costs_no_memory() {
    const SIZE: u64 = 4 << 30;
    let long = Made {
        loader: Some((0, 2 << 30)),
        ..Made::new()
    };
    let many = Made {
        header_count: u16::MAX,
        ..Made::new()
    };
    // The most that the kernel takes.
    let most = (HEADERS / size_of::<Elf64_Phdr>()) as u16;
    let most = Made {
        header_count: most,
        loader: Some((REST as u64, LONGEST_PATH)),
        ..Made::new()
    };
    for made in [long, many, most] {
        let (_, count) = read_of(&made.bytes(), SIZE);
        assert!(
            count <= HEADERS + LONGEST_PATH as usize,
            "{count} bytes were read"
        );
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn compat_classes_are_told_from_native_ones() {
    let mut bytes = vec![0; 256];
    bytes[..4].copy_from_slice(b"\x7fELF");
    let mut put = |at: usize, value: u16| bytes[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    put(TYPE_AT, libc::ET_EXEC);
    put(BITS_32.header_size_at, BITS_32.header_size as u16);
    put(BITS_32.header_count_at, 1);
    for (machine, name) in [(libc::EM_386, "i386"), (libc::EM_X86_64, "x32")] {
        bytes[MACHINE_AT..MACHINE_AT + 2].copy_from_slice(&machine.to_ne_bytes());
        let head: Head = bytes[..256].try_into().unwrap();
        let file = tempfile();
        file.write_all_at(&bytes, 0).unwrap();
        let elf = Elf::read(&file, &head).map_err(|_| name).unwrap().unwrap();
        assert_eq!(elf.machine.optional, Some(name));
    }
}
