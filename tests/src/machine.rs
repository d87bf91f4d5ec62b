//! Boots a kernel with a scene as its initramfs, in an emulated machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use switch_root_core::child::{self, Bounds};

use crate::architecture::Architecture;
use crate::archive::pack;
use crate::modules::release;
use crate::outcome::take_testimony;
use crate::scene::{Ending, Scene};
use crate::testimony::Testimony;

/// From this release on a kernel is booted on a processor of its own age.
const MODERN: (u32, u32, u32) = (7, 0, 0);
/// The machine's memory.
const MEMORY: &str = "512M";

/// What one boot came to.
#[derive(Clone, Debug)]
pub struct Boot {
    /// What the serial console showed, the testimony left out.
    pub console: String,
    /// What the probe saw; `None` if it was not started.
    pub testimony: Option<Testimony>,
    /// Whether the machine was ended at the time limit.
    pub timed_out: bool,
}

/// The kernels of a directory, oldest first: files that are named `vmlinuz-RELEASE`.
///
/// # Errors
/// Those of reading the directory.
pub fn kernels(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if let Some(release) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_prefix("vmlinuz-"))
        {
            found.push((version(release), entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The leading numbers of a kernel release: 7.2.13 of `7.2.13+deb14-cloud-amd64`.
pub fn version(release: &str) -> (u32, u32, u32) {
    let core = release.split(|character: char| !(character.is_ascii_digit() || character == '.'));
    let mut numbers = core
        .take(1)
        .flat_map(|core| core.split('.'))
        .map(|part| part.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

/// Whether there is an emulator of an architecture.
///
/// # Errors
/// A sentence that says what to install.
pub fn possible(architecture: Architecture) -> Result<(), String> {
    let emulator = architecture.emulator();
    match Command::new(emulator)
        .arg("--version")
        .stdout(Stdio::null())
        .status()
    {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("{emulator} --version ended with {status}")),
        Err(error) => Err(format!(
            "{emulator} cannot be run ({error}): install QEMU for {}",
            architecture.name()
        )),
    }
}

/// Boots `kernel` with the scene, in a machine of the kernel's architecture, which the
/// scene's programs must be of, too. `probe` is both stage 1 and the new root's init;
/// `scratch` is an empty directory that nobody else uses.
///
/// # Errors
/// What keeps the machine from being started. Whatever happens in it is no error.
pub fn boot(kernel: &Path, scene: &Scene, probe: &Path, scratch: &Path) -> io::Result<Boot> {
    let mut scene = scene.clone();
    scene.questions.ending = Ending::PowerOff;
    let initramfs = scratch.join("initramfs");
    fs::write(&initramfs, pack(&scene, probe)?)?;
    let command_line = scene.kernel_command_line.as_deref().unwrap_or_default();
    let time_limit = Duration::from_millis(scene.time_limit_ms);
    boot_as_it_is(kernel, &initramfs, command_line, time_limit)
}

/// Boots `kernel` with an initramfs that is a file, whose `/init` the kernel executes,
/// in a machine of the kernel's architecture.
/// Its new root's init is the probe, which ends the machine.
///
/// # Errors
/// What keeps the machine from being started. Whatever happens in it is no error.
pub fn boot_as_it_is(
    kernel: &Path,
    initramfs: &Path,
    command_line: &str,
    time_limit: Duration,
) -> io::Result<Boot> {
    let mut emulator = emulator(kernel, initramfs, command_line)?;
    emulator.args(["-nographic", "-nic", "none", "-monitor", "none"]);
    let (mut console, timed_out) = run(&mut emulator, time_limit)?;
    let testimony = take_testimony(&mut console);
    Ok(Boot {
        console,
        testimony,
        timed_out,
    })
}

/// The emulator of a machine of the kernel's architecture, which boots it.
///
/// # Errors
/// The kernel cannot be read.
pub(crate) fn emulator(kernel: &Path, initramfs: &Path, command_line: &str) -> io::Result<Command> {
    let architecture = Architecture::of_kernel(kernel)?;
    // The machine restarts when init dies, and where it would restart it ends. An emulator
    // that has to wait for its turn may be too late for the kernel's check of the timer.
    let timer = match architecture {
        Architecture::X86_64 => "no_timer_check ",
        Architecture::Aarch64 => "",
    };
    let command_line = format!(
        "console={} panic=-1 quiet {timer}{command_line}",
        architecture.console()
    );
    let mut emulator = Command::new(architecture.emulator());
    emulator
        .args(architecture.machine(version(&release(kernel)) >= MODERN))
        .args(["-accel", "tcg", "-m", MEMORY, "-no-reboot"])
        .args(["-serial", "stdio"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-append", command_line.trim_end()]);
    Ok(emulator)
}

/// Runs an emulator to its end, or to the time limit, and gives what the serial console
/// showed, and whether it was ended at the limit.
///
/// # Errors
/// It cannot be started.
pub(crate) fn run(emulator: &mut Command, time_limit: Duration) -> io::Result<(String, bool)> {
    let bounds = Bounds {
        deadline: Instant::now() + time_limit,
        bytes: usize::MAX,
    };
    let ran = child::run(emulator, &[], bounds, &mut || Ok(()))?;
    let console = String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.errors();
    Ok((console, ran.timed_out))
}
