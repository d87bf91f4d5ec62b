//! Machine code in the place of a policy's: it writes to the pipe that leads to the host, and
//! then ends the process, or does not.

use std::fmt::Write;

use crate::tools::Stop;

/// What the code does.
#[derive(Clone, Debug)]
pub struct Rogue {
    /// What it writes: one after the other, each so many times.
    pub writes: Vec<(u64, Vec<u8>)>,
    /// What it does then.
    pub ending: Ending,
}

/// How it ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending {
    /// Not at all.
    Hang,
    /// By a signal that it sends itself, again and again.
    Signal(i32),
    /// With the status 0.
    Exit,
    /// It closes all files, and does not end.
    Close,
    /// It opens a socket.
    Forbidden,
    /// It sends a signal to every process but itself that has a low number, its host
    /// among them.
    Others,
}

impl Ending {
    /// The number by which the code knows it.
    fn number(self) -> u64 {
        match self {
            Self::Hang => 0,
            Self::Signal(signal) => u64::from(signal.unsigned_abs()),
            Self::Exit => 100,
            Self::Close => 101,
            Self::Forbidden => 102,
            Self::Others => 103,
        }
    }
}

/// What the room for the code begins with, so that it can be found.
const MARK: u64 = 0x6f5e_4d3c_2b1a_0f0e;
/// So many numbers after the mark take up room: each is an instruction of ten bytes, and
/// another that stores it.
const NUMBERS: u64 = 100;

/// Code of a policy that is as long as what is to be written over it.
pub fn room() -> String {
    (0..NUMBERS).fold(String::new(), |mut code, number| {
        let (at, value) = (24576 + 8 * number, MARK + number);
        let _ = writeln!(code, "(i64.store (i32.const {at}) (i64.const {value}))");
        code
    })
}

impl Rogue {
    /// Native code of a policy that has [`room`], with this in its place.
    ///
    /// # Errors
    /// There is no room.
    pub fn put_into(&self, native: &[u8]) -> Result<Vec<u8>, Stop> {
        let find = |number: u64| {
            let mark = (MARK + number).to_le_bytes();
            native.windows(8).position(|bytes| bytes == mark)
        };
        let (Some(first), Some(last)) = (find(0), find(NUMBERS - 1)) else {
            return Err("there is no room in the native code".into());
        };
        // The instruction begins two bytes before its number.
        let start = first - 2;
        let code = self.code()?;
        if start + code.len() > last {
            return Err(format!("{} bytes are too many", code.len()).into());
        }
        let mut native = native.to_vec();
        native[start..start + code.len()].copy_from_slice(&code);
        Ok(native)
    }

    /// The code, and behind it what it works on.
    fn code(&self) -> Result<Vec<u8>, Stop> {
        let mut code = machine_code()?.to_vec();
        code.extend(self.ending.number().to_le_bytes());
        for (times, bytes) in &self.writes {
            code.extend(times.to_le_bytes());
            code.extend((bytes.len() as u64).to_le_bytes());
            code.extend(bytes);
        }
        code.extend(0u64.to_le_bytes());
        Ok(code)
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn machine_code() -> Result<&'static [u8], Stop> {
    Err(Stop::Skip("the machine code is that of x86_64".into()))
}

#[cfg(target_arch = "x86_64")]
fn machine_code() -> Result<&'static [u8], Stop> {
    unsafe extern "C" {
        #[link_name = "rogue_start"]
        static START: u8;
        #[link_name = "rogue_end"]
        static END: u8;
    }
    let (start, end) = (&raw const START, &raw const END);
    // SAFETY: the two labels below are the bounds of one piece of read-only data.
    Ok(unsafe { std::slice::from_raw_parts(start, end.addr() - start.addr()) })
}

// Behind its end are numbers of 8 bytes: how it ends; then, for each thing to write, how often,
// how long, and the bytes; and 0. The one file that the process can write to leads to the host;
// its number is low, and not known.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .rodata.rogue, \"a\"",
    ".globl rogue_start",
    ".globl rogue_end",
    "rogue_start:",
    "lea rbx, [rip + rogue_end]",
    "mov r14, [rbx]",
    "add rbx, 8",
    "xor r13d, r13d",
    "2:",
    "mov r12, [rbx]",
    "test r12, r12",
    "jz 4f",
    "3:",
    "mov eax, {write}",
    "mov edi, r13d",
    "lea rsi, [rbx + 16]",
    "mov rdx, [rbx + 8]",
    "syscall",
    "test rax, rax",
    "jns 11f",
    "inc r13d",
    "cmp r13d, 64",
    "jb 3b",
    "11:",
    "dec r12",
    "jnz 3b",
    "add rbx, [rbx + 8]",
    "add rbx, 16",
    "jmp 2b",
    "4:",
    "test r14, r14",
    "jz 9f",
    "cmp r14, 100",
    "je 6f",
    "cmp r14, 101",
    "je 7f",
    "cmp r14, 102",
    "je 8f",
    "cmp r14, 103",
    "je 12f",
    "5:",
    "mov eax, {getpid}",
    "syscall",
    "mov r13d, eax",
    "mov eax, {gettid}",
    "syscall",
    "mov esi, eax",
    "mov edi, r13d",
    "mov edx, r14d",
    "mov eax, {tgkill}",
    "syscall",
    "jmp 5b",
    "6:",
    "mov eax, {exit_group}",
    "xor edi, edi",
    "syscall",
    "7:",
    "xor r13d, r13d",
    "10:",
    "mov eax, {close}",
    "mov edi, r13d",
    "syscall",
    "inc r13d",
    "cmp r13d, 64",
    "jb 10b",
    "jmp 9f",
    "8:",
    "mov eax, {socket}",
    "mov edi, 1",
    "mov esi, 1",
    "xor edx, edx",
    "syscall",
    "jmp 9f",
    "12:",
    "mov eax, {getpid}",
    "syscall",
    "mov r14d, eax",
    "xor r13d, r13d",
    "13:",
    "inc r13d",
    "cmp r13d, r14d",
    "je 13b",
    "mov eax, {tgkill}",
    "mov edi, r13d",
    "mov esi, r13d",
    "mov edx, {sigkill}",
    "syscall",
    "cmp r13d, 64",
    "jb 13b",
    "9:",
    "jmp 9b",
    "rogue_end:",
    ".popsection",
    write = const libc::SYS_write,
    getpid = const libc::SYS_getpid,
    gettid = const libc::SYS_gettid,
    tgkill = const libc::SYS_tgkill,
    exit_group = const libc::SYS_exit_group,
    close = const libc::SYS_close,
    socket = const libc::SYS_socket,
    sigkill = const libc::SIGKILL,
);
