//! Calls whose failure changes nothing that anybody must know, and why. Whoever adds a
//! line has read the code behind it.

use nix::errno::Errno;
use switch_root_tests::fault::Call;

/// A process of the switch.
const HOST: usize = 0;
const JUDGE: usize = 1;
const DELETION: usize = 2;

/// One kind of call: the process, if not any; the name; a part of what it is about; and
/// why its failure is harmless.
type Line = (Option<usize>, &'static str, &'static str, &'static str);

const HARMLESS: &[Line] = &[
    (
        None,
        "fchdir",
        "",
        "where EBADF is not so, the C library goes by way of /proc",
    ),
    (
        None,
        "close",
        "",
        "Linux takes the descriptor back even where closing fails",
    ),
    (None, "munmap", "", "the memory stays mapped"),
    (None, "brk", "", "memory is mapped instead"),
    (None, "fcntl", "> 2", "it was opened with O_CLOEXEC"),
    (
        None,
        "lseek",
        "/proc/",
        "a hint at how much is to be read, which /proc has not",
    ),
    (
        None,
        "fstat",
        "/proc/",
        "a hint at how much is to be read, which /proc has not",
    ),
    (
        None,
        "getrandom",
        "",
        "the standard library has another source",
    ),
    (
        Some(HOST),
        "open",
        "/dev/kmsg",
        "the log goes to standard error",
    ),
    (
        Some(HOST),
        "open",
        "/proc",
        "a /proc of the program's own is made",
    ),
    (
        Some(HOST),
        "fstatfs",
        "</proc>",
        "a /proc of the program's own is made",
    ),
    (
        Some(HOST),
        "newfstatat",
        "</proc> cmdline",
        "a /proc of the program's own is made, or the one there is used",
    ),
    (
        Some(HOST),
        "open",
        "/",
        "it looks whether standard descriptors are missing, and none is",
    ),
    (
        Some(HOST),
        "write",
        "<pipe>",
        "a line of the log is lost, and the log alone",
    ),
    (
        Some(HOST),
        "readlink",
        "/policies.d/",
        "what masks a policy is told by reading it, too",
    ),
    (
        Some(HOST),
        "stat",
        "/policies.d/",
        "what masks a policy is told by reading it, too",
    ),
    (
        Some(HOST),
        "pipe2",
        "",
        "the judge is started again when it is asked",
    ),
    (
        Some(HOST),
        "fcntl",
        "<pipe>",
        "the judge is started again when it is asked",
    ),
    (
        Some(HOST),
        "fork",
        "",
        "the judge is started again when it is asked",
    ),
    (
        Some(HOST),
        "openat",
        "</sysroot> run",
        "a mount is moved to /run, whatever was there",
    ),
    (
        Some(HOST),
        "fstat",
        "</sysroot/run>",
        "a mount is moved to /run, whatever was there",
    ),
    (
        Some(HOST),
        "statx",
        "</sysroot/run>",
        "a mount is moved to /run, whatever was there",
    ),
    (
        Some(HOST),
        "kill",
        "",
        "the judge ends when its pipe is closed",
    ),
    (Some(HOST), "poll", "", "it is tried again"),
    (Some(HOST), "waitid", "", "all processes are examined then"),
    (Some(HOST), "read", "<pipe>", "it is tried again"),
    (
        Some(HOST),
        "wait4",
        "",
        "init waits for the judge; how large that was is not told",
    ),
    (
        Some(JUDGE),
        "open",
        "/oom_score_adj",
        "the kernel chooses by size whom it kills",
    ),
    (
        Some(JUDGE),
        "write",
        "/oom_score_adj",
        "the kernel chooses by size whom it kills",
    ),
    (
        Some(JUDGE),
        "open",
        "/statm",
        "the space for addresses is found without it",
    ),
    (
        Some(JUDGE),
        "read",
        "/statm",
        "the space for addresses is found without it",
    ),
    (Some(JUDGE), "prctl", "1", "the host kills the judge itself"),
    (
        Some(JUDGE),
        "prctl",
        "4",
        "nobody else runs who could look into it",
    ),
    (
        Some(JUDGE),
        "prlimit64",
        "4",
        "RLIMIT_FSIZE keeps it from writing a core file",
    ),
    (
        Some(JUDGE),
        "prlimit64",
        "6",
        "seccomp keeps it from making processes",
    ),
    (
        Some(JUDGE),
        "read",
        "<pipe>",
        "it has answered everything, and is killed",
    ),
    (
        Some(DELETION),
        "prctl",
        "15",
        "its name is for people alone",
    ),
    (
        Some(DELETION),
        "open",
        "/dev/kmsg",
        "what the kernel said of the initramfs is in its log all the same",
    ),
    (
        Some(DELETION),
        "open",
        "/dev/null",
        "it goes on writing where the host did",
    ),
    (
        Some(DELETION),
        "dup2",
        "/dev/null",
        "it goes on writing where the host did",
    ),
    (
        Some(DELETION),
        "fstatfs",
        "</>",
        "the report says what is in use as null",
    ),
    (
        Some(HOST),
        "openat",
        "boot_id",
        "the report says as null which boot it is of",
    ),
    (
        Some(HOST),
        "read",
        "boot_id",
        "the report says as null which boot it is of",
    ),
    (
        Some(DELETION),
        "openat",
        "meminfo",
        "the report says what is available as null",
    ),
    (
        Some(DELETION),
        "read",
        "meminfo",
        "the report says what is available as null",
    ),
    (Some(DELETION), "write", "/dev/null", "nobody reads it"),
];

/// One kind of call that is harmless where it fails with one of these errors; else as
/// [`Line`].
type ErrorLine = (
    Option<usize>,
    &'static str,
    &'static str,
    &'static [Errno],
    &'static str,
);

const HARMLESS_ERRORS: &[ErrorLine] = &[
    (
        None,
        "fstat",
        "",
        &[Errno::EBADF],
        "where that is not so, the C library goes by way of /proc",
    ),
    (
        Some(HOST),
        "openat",
        "</sysroot",
        &[Errno::ENOENT, Errno::ENOTDIR, Errno::ENAMETOOLONG],
        "the init was found before; what leads to it is followed as far as it goes",
    ),
    (
        Some(HOST),
        "getdents64",
        "",
        &[Errno::ENOENT],
        "a directory that was removed has no more entries",
    ),
    (
        Some(DELETION),
        "openat2",
        "",
        &[Errno::EMFILE, Errno::ENFILE],
        "directories above are closed, and it is tried again",
    ),
];

/// Why it is harmless that a call fails with an error; `None` where nobody has said that
/// it is.
pub fn harmless(call: &Call, errno: Errno) -> Option<&'static str> {
    let whatever = HARMLESS
        .iter()
        .filter(|(process, name, part, _)| is(call, *process, name, part))
        .map(|(.., reason)| *reason);
    let with_this = HARMLESS_ERRORS
        .iter()
        .filter(|(process, name, part, errors, _)| {
            is(call, *process, name, part) && errors.contains(&errno)
        })
        .map(|(.., reason)| *reason);
    whatever.chain(with_this).next()
}

fn is(call: &Call, process: Option<usize>, name: &str, part: &str) -> bool {
    process.is_none_or(|process| process == call.process)
        && call.name == name
        && call.argument.contains(part)
}

/// Whether an error says what cannot be: that something is not there, or that something
/// above it is no directory. It is believed, since it is how the program finds out what
/// there is.
pub fn believed(call: &Call, errno: Errno) -> bool {
    const CALLS: [&str; 7] = [
        "getdents64",
        "open",
        "openat",
        "openat2",
        "stat",
        "statx",
        "unlinkat",
    ];
    let name = call.name.as_str();
    (errno == Errno::ENOENT && CALLS.contains(&name)) || (errno == Errno::ENOTDIR && name == "open")
}

/// Calls of the host that fail with a sentence in other words than those of the error.
const RENAMED: &[(&str, &str, &str)] = &[
    (
        "mkdirat",
        "/run",
        "a directory that is there is used, and then is not found",
    ),
    (
        "mmap",
        "",
        "an allocator says no more than that there is no memory",
    ),
    (
        "write",
        "<pipe>",
        "a judge that has ended is found out by its silence",
    ),
    (
        "lseek",
        "/sbin/init",
        "the library that reads the file does not tell the error",
    ),
    (
        "read",
        "/sbin/init",
        "the library that reads the file does not tell the error",
    ),
];

/// Single errors that are told by what they mean.
const MEANT: &[(&str, &str, &[Errno], &str)] = &[
    (
        "open",
        "/policies.d/",
        &[Errno::ENOENT, Errno::ENOTDIR],
        "a file that was listed, and leads nowhere, is told to be a link to nothing",
    ),
    (
        "open",
        "/policies.d",
        &[Errno::ENOENT],
        "a folder that the one above it lists, and that leads nowhere, is told to be such a link",
    ),
    (
        "open",
        "/policies.d/",
        &[Errno::ENXIO],
        "it is told to be no regular file",
    ),
    (
        "openat",
        "</sysroot> ",
        &[Errno::ENOENT],
        "a directory that is said not to be there is made, and the report says that it is",
    ),
];

/// Whether a failure may be told without the error's name.
pub fn renamed(call: &Call, errno: Errno) -> bool {
    let meant = |(name, part, errors, _): &(&str, &str, &[Errno], &str)| {
        is(call, None, name, part) && errors.contains(&errno)
    };
    RENAMED
        .iter()
        .any(|(name, part, _)| is(call, None, name, part))
        || MEANT.iter().any(meant)
}

/// Whether the log alone tells of a failure of the host after the first change: the report
/// is out of its hands when it executes init.
pub fn unreported(call: &Call) -> bool {
    call.name == "execve"
}
