//! The proc file system: what the kernel says of mounts, files and itself.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use linux_raw_sys::general::PROC_SUPER_MAGIC;
use rustix::fs::{self, AtFlags, Mode, OFlags, RawDir};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

switch_root_core::outcomes! {
    /// That there is no proc file system.
    pub enum NoProc in "start" {
        /// The table of mounts must be known before anything is deleted.
        "SR-A20" Unmounted { error: Errno } = "/proc is not mounted, and the kernel gives no other view of its mounts ({error}); mount proc on /proc before the switch",
    }
}

/// A proc file system, mounted or not.
#[derive(Debug)]
pub struct Proc(OwnedFd);

impl AsFd for Proc {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Proc {
    /// Takes the one mounted on /proc, or makes one that is attached nowhere
    /// and goes with this value, so that a missing /proc stays missing. One that shows
    /// processes alone (`subset=pid`) has neither the kernel's command line nor its memory:
    /// it serves where no other can be made.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn open() -> Result<Self, NoProc> {
        let mounted = fs::open(
            "/proc",
            OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let mounted = mounted.ok().filter(|directory| {
            fs::fstatfs(directory)
                .is_ok_and(|stat| stat.f_type as u64 == u64::from(PROC_SUPER_MAGIC))
        });
        let whole = |directory: &OwnedFd| {
            let found = fs::statat(directory, "cmdline", AtFlags::SYMLINK_NOFOLLOW);
            !matches!(found, Err(Errno::NOENT))
        };
        let partial = match mounted {
            Some(directory) if whole(&directory) => return Ok(Self(directory)),
            partial => partial,
        };
        let private = || {
            let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_create(&context)?;
            fsmount(
                &context,
                FsMountFlags::FSMOUNT_CLOEXEC,
                MountAttrFlags::empty(),
            )
        };
        let found = private().or_else(|error| partial.ok_or(error));
        found.map(Self).map_err(|error| NoProc::Unmounted { error })
    }

    /// The kernel command line, without its newline.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn command_line(&self) -> io::Result<String> {
        let bytes = self.read("cmdline")?;
        Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
    }

    /// Reads one of its files whole.
    pub fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        let file = fs::openat(
            &self.0,
            path,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        let mut bytes = Vec::new();
        std::fs::File::from(file).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes to one of its files, in one piece.
    ///
    /// # Errors
    /// Those of openat(2) and write(2).
    pub fn write(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = fs::openat(&self.0, path, flags, Mode::empty())?;
        std::fs::File::from(file).write_all(bytes)
    }

    /// Where one of its links leads.
    ///
    /// # Errors
    /// Those of readlinkat(2).
    pub fn link(&self, path: &str) -> Result<Vec<u8>, Errno> {
        Ok(fs::readlinkat(&self.0, path, Vec::new())?.into_bytes())
    }

    /// The names in one of its directories.
    pub fn names(&self, path: &str) -> io::Result<Vec<String>> {
        let path = if path.is_empty() { "." } else { path };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = fs::openat(&self.0, path, flags, Mode::empty())?;
        let mut buffer = [MaybeUninit::uninit(); 32 << 10];
        let mut reader = RawDir::new(&directory, &mut buffer);
        let mut names = Vec::new();
        while let Some(entry) = reader.next() {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !matches!(name.as_str(), "." | "..") {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The path by which an open file is reached from the root directory.
    pub fn path_of(&self, fd: impl AsFd) -> io::Result<Vec<u8>> {
        let link = format!("self/fd/{}", fd.as_fd().as_raw_fd());
        Ok(fs::readlinkat(&self.0, link, Vec::new())?.into_bytes())
    }

    /// This process's mount namespace: it is there for as long as the descriptor is open.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn mount_namespace(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(fs::openat(&self.0, "self/ns/mnt", flags, Mode::empty())?)
    }

    /// The kernel's name for this boot, another one each time that it starts; none where
    /// it does not tell.
    pub fn boot_id(&self) -> Option<String> {
        let bytes = self.read("sys/kernel/random/boot_id").ok()?;
        let text = str::from_utf8(&bytes).ok()?.trim_end();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// `MemAvailable` in bytes: the memory that a new program could have.
    pub fn memory_available(&self) -> Option<u64> {
        let text = String::from_utf8(self.read("meminfo").ok()?).ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim()
            .strip_suffix(" kB")?
            .parse::<u64>()
            .ok()
            .map(|kib| kib * 1024)
    }
}
