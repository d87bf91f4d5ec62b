//! What /proc shows of the processes that live in the initramfs, or serve a file system of
//! this machine.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{self, AtFlags, FileType, StatxFlags};
use rustix::io::Errno;
use switch_root_core::path::{Path, join};
use switch_root_core::plan::Process;

use crate::mounts::{self, Mount};
use crate::proc::Proc;

switch_root_core::outcomes! {
    /// Why a path survives.
    pub enum Served in "kept-by-the-host" {
        /// A FUSE file system, or a local 9p or NFS, is served out of the initramfs: the process
        /// executes the path, has it mapped or open, works in it, or has it, or a pattern of its names,
        /// in its command line.
        "SR-V35" By { pid: u32, name: Path, how: &'static str } = "process {pid} ({name}), which serves a file system, {how}",
    }
}

/// The device that FUSE file systems are served through, by its number: 10 are
/// miscellaneous devices, and of these it is 229 (Documentation/admin-guide/devices.txt).
const FUSE: (u32, u32) = (10, 229);
/// What /proc adds to the path of a file whose name is gone.
const GONE: &[u8] = b" (deleted)";

/// A process that lives on, with what it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// The process.
    pub process: Process,
    /// What it uses, by path.
    pub uses: Vec<Use>,
}

/// A path that a process uses.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// The path.
    pub path: Vec<u8>,
    /// How.
    pub how: How,
}

/// How a process uses a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It executes the file.
    Executes,
    /// The file is mapped into its memory.
    Maps,
    /// It is its working directory.
    WorksIn,
    /// It has it open.
    HasOpen,
    /// Its command line names it.
    Names,
    /// Its command line has a pattern of names that begins there, such as `/branches/*`.
    Matches,
}

impl Living {
    /// Why a path survives that it uses.
    pub fn why(&self, how: How) -> Served {
        let how = match how {
            How::Executes => "executes it",
            How::Maps => "has it mapped",
            How::WorksIn => "works in it",
            How::HasOpen => "has it open",
            How::Names => "has it in its command line",
            How::Matches => "has a pattern of its names in its command line",
        };
        Served::By {
            pid: self.process.pid,
            name: self.process.name.clone(),
            how,
        }
    }
}

/// Finds them, but for this process and those that started it.
///
/// # Errors
/// Why /proc cannot be read.
pub fn all(proc: &Proc) -> io::Result<Vec<Living>> {
    Scan::begin(proc)?.all()
}

/// An examination of all processes.
struct Scan<'a> {
    proc: &'a Proc,
    /// The device of the initramfs.
    device: (u32, u32),
    /// This process, and those that started it.
    own: BTreeSet<u32>,
    /// A mount may be served through sockets or pipes by a process of this machine.
    sockets_count: bool,
}

impl<'a> Scan<'a> {
    fn begin(proc: &'a Proc) -> io::Result<Self> {
        let mounts = mounts::parse(&proc.read("self/mountinfo")?).map_err(io::Error::other)?;
        // Beyond this process's namespace a parent has the number 0.
        let mut own = BTreeSet::from([0, 1]);
        let mut pid = std::process::id();
        while own.insert(pid) {
            let stat = proc.read(&format!("{pid}/stat"))?;
            pid = parent(&stat).ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        }
        Ok(Self {
            proc,
            device: device_of(fs::CWD, "/")?,
            own,
            sockets_count: mounts.iter().any(is_served_locally),
        })
    }

    fn all(&self) -> io::Result<Vec<Living>> {
        let names = self.proc.names("")?;
        let pids = names.iter().filter_map(|name| name.parse().ok());
        let others = pids.filter(|pid| !self.own.contains(pid));
        Ok(others
            .filter_map(|pid| self.examine(pid, &self.folder(pid)?))
            .collect())
    }

    /// Where /proc shows a process: its first thread may have ended, and shows nothing then,
    /// while others go on. `None` for a thread of the kernel, and for a process that has ended.
    fn folder(&self, pid: u32) -> Option<String> {
        let ended = |folder: &str| {
            let executable = self.proc.link(&format!("{folder}/exe"));
            matches!(executable, Err(Errno::NOENT | Errno::SRCH))
        };
        let first = pid.to_string();
        if !ended(&first) {
            return Some(first);
        }
        let threads = self.proc.names(&format!("{pid}/task")).ok()?;
        let mut folders = threads.iter().map(|thread| format!("{pid}/task/{thread}"));
        folders.find(|folder| !ended(folder))
    }

    /// Examines a process, which is shown in `folder`. `None` where it does not live in the
    /// initramfs, and serves nobody, and where it has ended.
    fn examine(&self, pid: u32, folder: &str) -> Option<Living> {
        let executable = match self.proc.link(&format!("{folder}/exe")) {
            Ok(path) => Some(path),
            Err(Errno::NOENT | Errno::SRCH) => return None,
            Err(_) => None,
        };
        let root = format!("{folder}/root");
        let lives = device_of(self.proc, &root).is_ok_and(|device| device == self.device);
        let open = self.open_files(folder);
        let serves = open.iter().any(|file| file.fuse)
            || (lives && self.sockets_count && open.iter().any(OpenFile::talks));
        if !lives && !serves {
            return None;
        }
        let mut uses = BTreeSet::new();
        let mut uses_path = |path: Vec<u8>, how| {
            // What is gone has no path, and what is no file never had one.
            if path.starts_with(b"/") && !path.ends_with(GONE) {
                uses.insert(Use { path, how });
            }
        };
        if let Some(path) = &executable {
            uses_path(path.clone(), How::Executes);
        }
        let directory = self.proc.link(&format!("{folder}/cwd")).unwrap_or_default();
        uses_path(directory.clone(), How::WorksIn);
        for file in open {
            uses_path(file.path, How::HasOpen);
        }
        let maps = self
            .proc
            .read(&format!("{folder}/maps"))
            .unwrap_or_default();
        for path in mapped(&maps) {
            uses_path(path, How::Maps);
        }
        if serves {
            let words = self
                .proc
                .read(&format!("{folder}/cmdline"))
                .unwrap_or_default();
            for path in named(&words, &directory) {
                if let Some(directory) = before_pattern(&path) {
                    uses_path(directory.to_vec(), How::Matches);
                }
                uses_path(path, How::Names);
            }
        }
        let name = self
            .proc
            .read(&format!("{folder}/comm"))
            .unwrap_or_default();
        Some(Living {
            process: Process {
                pid,
                name: name.trim_ascii_end().into(),
                executable: executable.map(Path::from),
                serves,
            },
            uses: uses.into_iter().collect(),
        })
    }

    fn open_files(&self, folder: &str) -> Vec<OpenFile> {
        let folder = format!("{folder}/fd");
        let numbers = self.proc.names(&folder).unwrap_or_default();
        let file = |number: &String| {
            let link = format!("{folder}/{number}");
            let path = self.proc.link(&link).ok()?;
            // Examined only where its name suggests it: a file may be one that does not
            // answer.
            let fuse = may_be_fuse(&path) && is_fuse(self.proc, &link);
            Some(OpenFile { path, fuse })
        };
        numbers.iter().filter_map(file).collect()
    }
}

/// A file that a process has open.
struct OpenFile {
    path: Vec<u8>,
    /// It is the device that FUSE is served through.
    fuse: bool,
}

impl OpenFile {
    /// Whether something may be served through it.
    fn talks(&self) -> bool {
        self.path.starts_with(b"socket:[") || self.path.starts_with(b"pipe:[")
    }
}

/// Whether a process of this machine may serve a mount through a socket or a pipe.
fn is_served_locally(mount: &Mount) -> bool {
    let option = |name: &[u8]| {
        let options = mount.options.split(|byte| *byte == b',');
        options
            .filter_map(|option| option.strip_prefix(name))
            .next()
    };
    let here = |address: &[u8]| address.starts_with(b"127.") || address == b"::1";
    match mount.kind.as_slice() {
        // Of its transports those of virtual machines are served from outside.
        b"9p" => option(b"trans=").is_some_and(|how| matches!(how, b"fd" | b"unix" | b"tcp")),
        b"nfs" | b"nfs4" => option(b"addr=").is_some_and(here),
        _ => false,
    }
}

/// The device that a place lies on, without a word to whoever serves its file system.
fn device_of(directory: impl AsFd, path: &str) -> io::Result<(u32, u32)> {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    let stat = fs::statx(directory, path, flags, StatxFlags::TYPE)?;
    Ok((stat.stx_dev_major, stat.stx_dev_minor))
}

/// Whether an open file may be the device, by its path: the name may be gone, and another one
/// in /dev may have been given to it.
fn may_be_fuse(path: &[u8]) -> bool {
    path.strip_suffix(GONE).unwrap_or(path).ends_with(b"/fuse") || path.starts_with(b"/dev/")
}

fn is_fuse(proc: &Proc, link: &str) -> bool {
    let flags = AtFlags::STATX_DONT_SYNC | AtFlags::NO_AUTOMOUNT;
    fs::statx(proc, link, flags, StatxFlags::TYPE).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.stx_mode.into()) == FileType::CharacterDevice
            && (stat.stx_rdev_major, stat.stx_rdev_minor) == FUSE
    })
}

/// The number of a process's parent, by its `stat` in /proc: the name before it, in
/// parentheses, may hold anything.
fn parent(stat: &[u8]) -> Option<u32> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let mut fields = stat[end + 1..].split(|byte| *byte == b' ').skip(2);
    str::from_utf8(fields.next()?).ok()?.parse().ok()
}

/// The files that a process has mapped, by its `maps` in /proc: the sixth field is the path.
fn mapped(maps: &[u8]) -> BTreeSet<Vec<u8>> {
    let lines = maps.split(|byte| *byte == b'\n');
    let path = |line: &[u8]| {
        let start = line.iter().position(|byte| *byte == b'/')?;
        Some(line[start..].to_vec())
    };
    lines.filter_map(path).collect()
}

/// The paths that a command line may name, however its options are written; `directory` is
/// the working directory.
fn named(command_line: &[u8], directory: &[u8]) -> BTreeSet<Vec<u8>> {
    let words = command_line.split(|byte| matches!(byte, 0 | b' ' | b'=' | b':' | b','));
    let path = |word: &[u8]| {
        let mut path = match word.starts_with(b"/") {
            true => word.to_vec(),
            false => join(directory, word),
        };
        while path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        path
    };
    words.filter(|word| !word.is_empty()).map(path).collect()
}

/// The directory that a pattern of names begins in, if the path is one: a server such as
/// mergerfs expands it by itself.
fn before_pattern(path: &[u8]) -> Option<&[u8]> {
    let pattern = path
        .iter()
        .position(|byte| matches!(byte, b'*' | b'?' | b'['))?;
    let cut = path[..pattern].iter().rposition(|byte| *byte == b'/')?;
    Some(&path[..cut.max(1)])
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use nix::sys::signal::{Signal, kill};
    use nix::sys::wait::waitpid;
    use nix::unistd::{ForkResult, fork};

    use super::*;

    #[test]
    fn what_proc_says_of_a_process_is_read() {
        assert_eq!(parent(b"12 (a) b) 3) S 7 12 12 0"), Some(7));
        assert_eq!(parent(b"12 (a"), None);
        let maps = b"5581-5582 r-xp 00000000 00:02 12   /usr/bin/a b\n\
            7ffd-7ffe rw-p 00000000 00:00 0    [stack]\n7f00-7f01 rw-p 0 00:00 0 \n";
        assert_eq!(mapped(maps), BTreeSet::from([b"/usr/bin/a b".to_vec()]));
        let words = b"m\0-o\0branches=/a:/b/,x\0/sysroot\0relative/path\0chroot=/\0";
        let absolute = [&b"/"[..], b"/a", b"/b", b"/sysroot"];
        let relative = [
            &b"/m"[..],
            b"/-o",
            b"/branches",
            b"/x",
            b"/relative/path",
            b"/chroot",
        ];
        let expected = absolute.into_iter().chain(relative).map(<[u8]>::to_vec);
        assert_eq!(named(words, b"/"), expected.collect());
    }

    #[test]
    fn process_whose_first_thread_has_ended_is_found() {
        let proc = Proc::open().unwrap();
        // SAFETY: the child starts a thread that only waits, and ends its first one.
        let pid = match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => child,
            ForkResult::Child => {
                let wait = || std::thread::sleep(Duration::from_secs(60));
                std::mem::forget(std::thread::spawn(wait));
                // SAFETY: ends this thread alone, which owns nothing.
                unsafe { libc::syscall(libc::SYS_exit, 0) };
                unreachable!()
            }
        };
        let number = pid.as_raw() as u32;
        let ended = || proc.link(&format!("{pid}/exe")) == Err(Errno::NOENT);
        let deadline = Instant::now() + Duration::from_secs(30);
        while !ended() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        let found = Scan::begin(&proc).unwrap().folder(number);
        kill(pid, Signal::SIGKILL).unwrap();
        waitpid(pid, None).unwrap();
        let found = found.unwrap();
        assert!(found.starts_with(&format!("{pid}/task/")), "{found}");
    }

    #[test]
    fn pattern_of_branches_begins_in_their_directory() {
        let before = |path: &'static str| before_pattern(path.as_bytes());
        assert_eq!(before("/branches/*"), Some(&b"/branches"[..]));
        assert_eq!(before("/a/b[12]/c?"), Some(&b"/a"[..]));
        assert_eq!(before("/branch*"), Some(&b"/"[..]));
        assert_eq!(before("/branches/low"), None);
    }

    #[test]
    fn the_device_of_a_server_is_known_without_its_name() {
        for path in ["/dev/fuse", "/fuse", "/dev/fuse (deleted)", "/dev/other"] {
            assert!(may_be_fuse(path.as_bytes()), "{path}");
        }
        for path in ["/sysroot/file", "/fuse/file", "socket:[7]", "/a (deleted)"] {
            assert!(!may_be_fuse(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn only_mounts_of_this_machine_are_served_here() {
        let served = |kind: &str, options: &str| {
            let line = format!("4 1 0:7 / /sysroot rw - {kind} none {options}\n");
            is_served_locally(&mounts::parse(line.as_bytes()).unwrap()[0])
        };
        assert!(served("nfs4", "rw,vers=4.2,addr=127.0.0.1"));
        assert!(served("nfs", "rw,addr=::1"));
        assert!(!served("nfs4", "rw,addr=192.0.2.7"));
        assert!(served("9p", "rw,trans=fd,rfd=3,wfd=4"));
        assert!(!served("9p", "rw,trans=virtio"));
        assert!(!served("ext4", "rw"));
    }
}
