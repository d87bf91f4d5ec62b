//! A rehearsal in a virtual machine, from outside: a kernel is booted in QEMU with the
//! image and one more archive, which holds what [`stage`] needs.

mod files;
pub mod stage;

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use files::{FOLDER, OTHERWISE, OWN, SETTINGS, SWITCH_ROOT};
use initramfs::archive::{Member, Writer};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use switch_root_core::child::{Bounds, End, run};
use switch_root_core::error::{Attempt, Error, Kind, Result};
use switch_root_core::{escape, reading};

use super::messages::{self, KEPT, Played, Settings};
use super::namespace::go_on;
use super::{program, roles};

switch_root_core::outcomes! {
    /// Why no virtual machine is started.
    pub(crate) enum NoMachine in "rehearsals" {
        /// A virtual machine is asked for with `--vm`; namespaces need no emulator.
        "SR-J24" NoEmulator = "cannot rehearse in a virtual machine: there is no {EMULATOR}; install QEMU (the package qemu-system-x86 on Debian)",
        /// The system's own words, or those of the emulator, follow.
        "SR-J25" Start = "cannot start {EMULATOR}",
        "SR-J26" Failed { errors: String } = "{EMULATOR} failed: {errors}",
        "SR-J27" Folder = "cannot make a folder for the initramfs",
        "SR-J28" Initramfs = "cannot write the initramfs",
        /// Kernels of other architectures, and images of kernels for other boot loaders, are not booted.
        "SR-J29" NoKernel { path: String, offset: u64 } = "{path} is no Linux kernel for x86_64: it has no boot header at offset {offset:#x}; name a bzImage, such as a distribution's /boot/vmlinuz-RELEASE",
    }
}

/// The emulator.
const EMULATOR: &str = "qemu-system-x86_64";

/// Where a kernel of x86 says that it is one, and what (see the kernel's
/// `Documentation/arch/x86/boot.rst`).
const BOOT_SIGN: (u64, &[u8]) = (0x202, b"HdrS");

/// What a machine needs beside its initramfs, in bytes.
const MEMORY: u64 = 384 << 20;

/// What is to be booted.
pub struct Boot<'a> {
    /// The image.
    pub image: &'a Path,
    /// How much it has when it is unpacked, in bytes.
    pub unpacked: u64,
    /// The kernel.
    pub kernel: &'a Path,
    /// The machine's memory in MiB; what it needs otherwise.
    pub memory: Option<u32>,
    /// What stands on the kernel's command line beside what is needed there.
    pub kernel_command_line: &'a str,
    /// How long all of it may take.
    pub timeout: Duration,
    /// What is set up.
    pub settings: Settings,
}

/// Boots it.
///
/// # Errors
/// There is no emulator, the kernel is none, a file cannot be read, or the user
/// interrupts.
pub fn play(boot: &Boot<'_>) -> Result<Played> {
    let deadline = Instant::now() + boot.timeout;
    check_kernel(boot.kernel)?;
    let folder = tempfile::tempdir().map_err(|error| Error::system(NoMachine::Folder, &error))?;
    let initramfs = folder.path().join("initramfs");
    let size = write_initramfs(boot, &initramfs)?;
    // Twice our own program: it is the init of the new root, too.
    let needed = (MEMORY + 2 * size + boot.unpacked).div_ceil(1 << 20);
    let memory = boot.memory.map_or(needed, u64::from);
    let mut command = Command::new(EMULATOR);
    command
        .args(accelerators())
        .args(["-m", &format!("{memory}M")])
        .args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ])
        .args(["-serial", "stdio", "-kernel"])
        .arg(boot.kernel)
        .arg("-initrd")
        .arg(&initramfs)
        .args(["-append", &command_line(boot.kernel_command_line)]);
    // SAFETY: only a system call is made between fork and exec.
    unsafe {
        command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?));
    }
    let bounds = Bounds {
        deadline,
        bytes: KEPT,
    };
    let ran = run(&mut command, &[], bounds, &mut go_on).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::new(Kind::NotFound, NoMachine::NoEmulator),
        _ => Error::of_copy(NoMachine::Start, &error),
    })?;
    let said = messages::hear(&String::from_utf8_lossy(&ran.stdout));
    if !ran.timed_out && !ran.status.success() {
        let errors = escape::message(ran.errors().trim(), 1024);
        return Err(Error::new(Kind::System, NoMachine::Failed { errors }));
    }
    Ok(Played {
        said,
        end: ran.timed_out.then_some(End::TimedOut),
        placeholders: Default::default(),
        notes: Vec::new(),
    })
}

/// The machine restarts when its first process ends, and where it would restart it
/// ends. Errors and the last words of a kernel are shown, and nothing else. The kernel's
/// check of the timer fails, with a panic, where an emulator has to wait for its turn.
fn command_line(more: &str) -> String {
    let needed = format!(
        "console=ttyS0 panic=-1 loglevel=4 no_timer_check rdinit={OWN} {}",
        more.trim()
    );
    format!("{} -- {}", needed.trim_end(), roles::STAGE)
}

/// KVM where it can be used: a processor that says nothing of virtualization may have
/// the device all the same, and machines that hang.
fn accelerators() -> &'static [&'static str] {
    let kvm = File::options().read(true).write(true).open("/dev/kvm");
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let able = processor
        .split_whitespace()
        .any(|flag| matches!(flag, "vmx" | "svm"));
    match kvm {
        Ok(_) if able => &["-accel", "kvm", "-accel", "tcg"],
        _ => &["-accel", "tcg"],
    }
}

/// Whether a file is a kernel that the emulator boots.
fn check_kernel(kernel: &Path) -> Result<()> {
    let path = || escape::path(kernel.as_os_str().as_bytes());
    let failed = |error| Error::system(Attempt::Read { path: path() }, &error);
    let mut file = reading::regular(kernel)?;
    let (offset, sign) = BOOT_SIGN;
    let mut found = Vec::new();
    file.seek(SeekFrom::Start(offset)).map_err(failed)?;
    file.take(sign.len() as u64)
        .read_to_end(&mut found)
        .map_err(failed)?;
    if found != sign {
        let path = path();
        return Err(Error::input(NoMachine::NoKernel { path, offset }));
    }
    Ok(())
}

/// Writes the image, and behind it the archive with our own files. Gives back its size.
fn write_initramfs(boot: &Boot<'_>, target: &Path) -> Result<u64> {
    let failed = |error: io::Error| Error::of_copy(NoMachine::Initramfs, &error);
    let mut output = File::create(target).map_err(failed)?;
    let mut image = reading::regular(boot.image)?;
    let size = io::copy(&mut image, &mut output).map_err(failed)?;
    // An archive begins at a multiple of four bytes.
    let padding = size.next_multiple_of(4) - size;
    output
        .write_all(&[0; 3][..padding as usize])
        .map_err(failed)?;
    let mut settings = boot.settings.clone();
    let named = settings.switch_root.take();
    let otherwise = settings.otherwise.take();
    settings.switch_root = named.as_ref().map(|_| SWITCH_ROOT.into());
    settings.otherwise = otherwise.as_ref().map(|_| OTHERWISE.into());
    let mut writer = Writer::new(io::BufWriter::new(output));
    let folder = Member {
        name: FOLDER[1..].into(),
        mode: libc::S_IFDIR | 0o700,
        nlink: 2,
        ..Member::default()
    };
    writer.member(&folder, &mut io::empty(), &mut |_| {})?;
    let own = Some(PathBuf::from("/proc/self/exe"));
    for (path, source) in [(OWN, own), (SWITCH_ROOT, named), (OTHERWISE, otherwise)] {
        let Some(source) = source else { continue };
        let mut file = match path {
            OWN => reading::regular(&source)?,
            _ => File::from(program::open(&source)?),
        };
        file.rewind().map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        writer.file(&path[1..], 0o700, length, &mut file, &mut |_| {})?;
    }
    let settings = serde_json::to_vec(&settings).map_err(|error| failed(error.into()))?;
    let length = settings.len() as u64;
    writer.file(
        &SETTINGS[1..],
        0o600,
        length,
        &mut settings.as_slice(),
        &mut |_| {},
    )?;
    writer.finish()?.flush().map_err(failed)?;
    Ok(fs::metadata(target).map_err(failed)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_told_what_to_start() {
        assert_eq!(
            command_line(" a=b "),
            "console=ttyS0 panic=-1 loglevel=4 no_timer_check rdinit=/.switch-root-rehearsal/srctl a=b -- rehearse-stage"
        );
    }

    #[test]
    fn a_file_that_is_no_kernel_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), vec![b'x'; 4096]).unwrap();
        let error = check_kernel(file.path()).unwrap_err().to_string();
        assert!(error.contains("is no Linux kernel"), "{error}");
    }
}
