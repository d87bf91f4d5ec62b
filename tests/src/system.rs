//! Boots whole systems: a kernel and an initramfs, and a disk with what an init of a
//! distribution needs. The system tells by itself what the boot came to.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::archive;
use crate::machine::{emulator, run};

/// What a system may tell, in bytes.
const ROOM: u64 = 8 << 20;

/// What one boot came to.
#[derive(Clone, Debug)]
pub struct Boot {
    /// What the serial console showed.
    pub console: String,
    /// The files that the system told, by name.
    pub told: BTreeMap<String, Vec<u8>>,
    /// Whether the machine was ended at the time limit.
    pub timed_out: bool,
}

impl Boot {
    /// A file that was told, as text; empty where it was not told.
    pub fn text(&self, name: &str) -> String {
        let bytes = self.told.get(name).map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// Boots x86_64's `kernel` with the file `initramfs` and two disks: the first is the image
/// `disk`, which is not changed by what the system writes, and to the second one the system writes what it
/// tells, as an archive of files (newc). It then ends the machine. In `scratch` the console
/// and the second disk are written.
///
/// # Errors
/// What keeps the machine from being started. Whatever happens in it is no error.
pub fn boot(
    kernel: &Path,
    initramfs: &Path,
    disk: &Path,
    command_line: &str,
    time_limit: Duration,
    scratch: &Path,
) -> io::Result<Boot> {
    let second = scratch.join("told");
    File::create(&second)?.set_len(ROOM)?;
    let drive = |file: &Path, more: &str| {
        format!(
            "if=virtio,format=raw,cache=unsafe,file={}{more}",
            file.display()
        )
    };
    let mut emulator = emulator(kernel, initramfs, command_line)?;
    emulator
        // The fewer devices, the less is waited for; and a source of random numbers, so that
        // nothing waits for those.
        .args([
            "-nodefaults",
            "-display",
            "none",
            "-cpu",
            "qemu64,+rdrand,-svm",
        ])
        .args(["-drive", &drive(disk, ",snapshot=on")])
        .args(["-drive", &drive(&second, "")]);
    let (console, timed_out) = run(&mut emulator, time_limit)?;
    let bytes = fs::read(&second)?;
    // Zeros where nothing was told.
    let told = match bytes.first() {
        Some(0) | None => BTreeMap::new(),
        Some(_) => archive::members(&bytes)?
            .into_iter()
            .map(|(name, bytes)| (name.trim_start_matches("./").to_owned(), bytes))
            .collect(),
    };
    Ok(Boot {
        console,
        told,
        timed_out,
    })
}
