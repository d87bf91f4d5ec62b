//! Which errors a system call may give: those under ERRORS of its manual page, and for
//! what has no page those that the kernel's documentation and its peers' pages have.
//!
//! Left out everywhere: EFAULT, since all addresses are the program's own. Left out of
//! single calls: what belongs to another use of the call than ours, which the comment
//! beside it names. A call that is not in the table fails the test.

use nix::errno::Errno::{self, *};
use nix::libc;
use switch_root_tests::fault::Call;

/// Calls with their errors.
const TABLE: &[(&str, &[Errno])] = &[
    // Without EOPNOTSUPP (O_TMPFILE).
    ("open", OPEN),
    ("openat", OPEN),
    // Beside those of open(2) it has E2BIG, EAGAIN and EXDEV.
    (
        "openat2",
        &[
            E2BIG,
            EACCES,
            EAGAIN,
            EBADF,
            EBUSY,
            EDQUOT,
            EEXIST,
            EFBIG,
            EINTR,
            EINVAL,
            EISDIR,
            ELOOP,
            EMFILE,
            ENAMETOOLONG,
            ENFILE,
            ENODEV,
            ENOENT,
            ENOMEM,
            ENOSPC,
            ENOTDIR,
            ENXIO,
            EOVERFLOW,
            EPERM,
            EROFS,
            ETXTBSY,
            EXDEV,
        ],
    ),
    ("close", &[EBADF, EDQUOT, EINTR, EIO, ENOSPC]),
    ("close_range", &[EINVAL, EMFILE, ENOMEM]),
    ("stat", STAT),
    ("lstat", STAT),
    ("fstat", STAT),
    ("newfstatat", STAT),
    ("statx", STAT),
    ("statfs", STATFS),
    ("fstatfs", STATFS),
    (
        "access",
        &[
            EACCES,
            EINVAL,
            EIO,
            ELOOP,
            ENAMETOOLONG,
            ENOENT,
            ENOMEM,
            ENOTDIR,
            EPERM,
            EROFS,
            ETXTBSY,
        ],
    ),
    ("lseek", &[EBADF, EINVAL, ENXIO, EOVERFLOW, ESPIPE]),
    ("read", &[EAGAIN, EBADF, EINTR, EINVAL, EIO, EISDIR]),
    // Those of read(2) and lseek(2).
    (
        "pread64",
        &[
            EAGAIN, EBADF, EINTR, EINVAL, EIO, EISDIR, ENXIO, EOVERFLOW, ESPIPE,
        ],
    ),
    ("readv", &[EAGAIN, EBADF, EINTR, EINVAL, EIO, EISDIR]),
    ("write", WRITE),
    ("writev", WRITE),
    ("ioctl", &[EBADF, EINVAL, ENOTTY]),
    // Without EAGAIN, EACCES, EDEADLK and ENOLCK (locks), ENOTDIR (F_NOTIFY) and EBUSY
    // (F_SETPIPE_SZ).
    ("fcntl", &[EBADF, EINTR, EINVAL, EMFILE, EPERM]),
    ("dup2", &[EBADF, EBUSY, EINTR, EINVAL, EMFILE]),
    ("dup3", &[EBADF, EBUSY, EINTR, EINVAL, EMFILE]),
    ("pipe2", &[EINVAL, EMFILE, ENFILE]),
    ("poll", &[EINTR, EINVAL, ENOMEM]),
    ("getdents64", &[EBADF, EINVAL, ENOENT, ENOTDIR]),
    ("readlink", READLINK),
    ("readlinkat", READLINK),
    ("mkdir", MKDIR),
    ("mkdirat", MKDIR),
    // Without those of a path.
    ("fchmod", &[EBADF, EIO, EPERM, EROFS]),
    ("fchown", &[EBADF, EIO, EPERM, EROFS]),
    (
        "unlinkat",
        &[
            EACCES,
            EBADF,
            EBUSY,
            EINVAL,
            EIO,
            EISDIR,
            ELOOP,
            ENAMETOOLONG,
            ENOENT,
            ENOMEM,
            ENOTDIR,
            ENOTEMPTY,
            EPERM,
            EROFS,
        ],
    ),
    ("renameat", RENAME),
    ("rename", RENAME),
    (
        "mount",
        &[
            EACCES,
            EBUSY,
            EINVAL,
            ELOOP,
            EMFILE,
            ENAMETOOLONG,
            ENODEV,
            ENOENT,
            ENOMEM,
            ENOTBLK,
            ENOTDIR,
            ENXIO,
            EPERM,
            EROFS,
        ],
    ),
    (
        "umount2",
        &[EAGAIN, EBUSY, EINVAL, ENAMETOOLONG, ENOENT, ENOMEM, EPERM],
    ),
    (
        "mount_setattr",
        &[EBADF, EBUSY, EINVAL, ENOENT, ENOMEM, ENOSPC, EPERM],
    ),
    ("pivot_root", &[EBUSY, EINVAL, ENOTDIR, EPERM]),
    // No pages: those of open(2) with O_PATH and of mount(2) with MS_BIND and MS_MOVE.
    (
        "open_tree",
        &[
            EACCES,
            EBADF,
            EINVAL,
            ELOOP,
            EMFILE,
            ENAMETOOLONG,
            ENFILE,
            ENOENT,
            ENOMEM,
            ENOSPC,
            ENOSYS,
            ENOTDIR,
            EPERM,
        ],
    ),
    (
        "move_mount",
        &[
            EACCES,
            EBADF,
            EBUSY,
            EINVAL,
            ELOOP,
            ENAMETOOLONG,
            ENOENT,
            ENOMEM,
            ENOSPC,
            ENOSYS,
            ENOTDIR,
            EPERM,
        ],
    ),
    (
        "fsopen",
        &[EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ENOSYS, EPERM],
    ),
    (
        "fsconfig",
        &[
            EACCES, EBADF, EBUSY, EINVAL, ENOMEM, ENOSYS, EOPNOTSUPP, EPERM,
        ],
    ),
    (
        "fsmount",
        &[EBADF, EBUSY, EINVAL, EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM],
    ),
    ("chdir", CHDIR),
    ("fchdir", &[EACCES, EBADF, ENOTDIR]),
    (
        "chroot",
        &[
            EACCES,
            EIO,
            ELOOP,
            ENAMETOOLONG,
            ENOENT,
            ENOMEM,
            ENOTDIR,
            EPERM,
        ],
    ),
    (
        "mmap",
        &[
            EACCES, EAGAIN, EBADF, EEXIST, EINVAL, ENFILE, ENODEV, ENOMEM, EOVERFLOW, EPERM,
            ETXTBSY,
        ],
    ),
    ("munmap", &[EINVAL, ENOMEM]),
    ("mprotect", &[EACCES, EINVAL, ENOMEM]),
    ("mremap", &[EAGAIN, EINVAL, ENOMEM]),
    // Without EBUSY and EHWPOISON (memory that is withdrawn on purpose).
    (
        "madvise",
        &[EACCES, EAGAIN, EBADF, EINVAL, EIO, ENOMEM, EPERM],
    ),
    ("brk", &[ENOMEM]),
    ("membarrier", &[EINVAL, ENOSYS, EPERM]),
    ("arch_prctl", &[EINVAL, ENODEV, EPERM]),
    // EINVAL alone, for what are constants of the C library and of the program.
    ("rt_sigaction", &[]),
    ("rt_sigprocmask", &[]),
    ("sigaltstack", &[EINVAL, ENOMEM, EPERM]),
    ("fork", &[EAGAIN, ENOMEM, ENOSYS]),
    (
        "execve",
        &[
            E2BIG,
            EACCES,
            EAGAIN,
            EINVAL,
            EIO,
            EISDIR,
            ELIBBAD,
            ELOOP,
            EMFILE,
            ENAMETOOLONG,
            ENFILE,
            ENOENT,
            ENOEXEC,
            ENOMEM,
            ENOTDIR,
            EPERM,
            ETXTBSY,
        ],
    ),
    ("wait4", &[ECHILD, EINTR, EINVAL]),
    // Without EAGAIN (P_PIDFD).
    ("waitid", &[ECHILD, EINTR, EINVAL]),
    ("kill", &[EINVAL, EPERM, ESRCH]),
    ("tkill", &[EAGAIN, EINVAL, EPERM, ESRCH]),
    ("capget", &[EINVAL, EPERM, ESRCH]),
    ("capset", &[EINVAL, EPERM, ESRCH]),
    // Without EBADF, EBUSY and ENXIO (PR_SET_MM, PR_SET_SPECULATION_CTRL).
    (
        "prctl",
        &[EACCES, EINVAL, ENODEV, EOPNOTSUPP, EPERM, ERANGE],
    ),
    ("prlimit64", &[EINVAL, EPERM, ESRCH]),
    ("setgroups", &[EINVAL, ENOMEM, EPERM]),
    ("setresgid", &[EAGAIN, EINVAL, EPERM]),
    ("setresuid", &[EAGAIN, EINVAL, EPERM]),
    (
        "seccomp",
        &[EACCES, EBUSY, EINVAL, ENOMEM, EOPNOTSUPP, ESRCH],
    ),
    // Without EAGAIN (GRND_NONBLOCK).
    ("getrandom", &[EINTR, EINVAL, ENOSYS]),
    ("sched_getaffinity", &[EINVAL, EPERM, ESRCH]),
    ("futex", &[EACCES, EAGAIN, EINTR, EINVAL, ENOSYS, ETIMEDOUT]),
    // EFAULT alone.
    ("uname", &[]),
    // Cannot fail.
    ("umask", &[]),
    // These cannot fail.
    ("getpid", &[]),
    ("gettid", &[]),
    ("set_tid_address", &[]),
    ("exit_group", &[]),
    ("exit", &[]),
];

const OPEN: &[Errno] = &[
    EACCES,
    EAGAIN,
    EBADF,
    EBUSY,
    EDQUOT,
    EEXIST,
    EFBIG,
    EINTR,
    EINVAL,
    EISDIR,
    ELOOP,
    EMFILE,
    ENAMETOOLONG,
    ENFILE,
    ENODEV,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    ENXIO,
    EOVERFLOW,
    EPERM,
    EROFS,
    ETXTBSY,
];
const STAT: &[Errno] = &[
    EACCES,
    EBADF,
    EINVAL,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOMEM,
    ENOTDIR,
    EOVERFLOW,
];
const STATFS: &[Errno] = &[
    EACCES,
    EBADF,
    EINTR,
    EIO,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOMEM,
    ENOSYS,
    ENOTDIR,
    EOVERFLOW,
];
const WRITE: &[Errno] = &[
    EAGAIN,
    EBADF,
    EDESTADDRREQ,
    EDQUOT,
    EFBIG,
    EINTR,
    EINVAL,
    EIO,
    ENOSPC,
    EPERM,
    EPIPE,
];
const READLINK: &[Errno] = &[
    EACCES,
    EBADF,
    EINVAL,
    EIO,
    ELOOP,
    ENAMETOOLONG,
    ENOENT,
    ENOMEM,
    ENOTDIR,
];
const MKDIR: &[Errno] = &[
    EACCES,
    EBADF,
    EDQUOT,
    EEXIST,
    EINVAL,
    ELOOP,
    EMLINK,
    ENAMETOOLONG,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    EPERM,
    EROFS,
];
const RENAME: &[Errno] = &[
    EACCES,
    EBADF,
    EBUSY,
    EDQUOT,
    EEXIST,
    EINVAL,
    EISDIR,
    ELOOP,
    EMLINK,
    ENAMETOOLONG,
    ENOENT,
    ENOMEM,
    ENOSPC,
    ENOTDIR,
    ENOTEMPTY,
    EPERM,
    EROFS,
    EXDEV,
];
const CHDIR: &[Errno] = &[EACCES, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOMEM, ENOTDIR];

/// The errors of a call; `None` where nothing is known of it.
pub fn of(call: &Call) -> Option<&'static [Errno]> {
    // Debug builds ask before each close whether there is something to be closed.
    let asks = format!(" {}", libc::F_GETFD);
    if call.name == "fcntl" && call.argument.ends_with(&asks) {
        return Some(&[]);
    }
    let (_, errors) = TABLE.iter().find(|(name, _)| *name == call.name)?;
    Some(errors)
}
