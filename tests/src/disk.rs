//! The root disk of a whole system, on which programs of that system are run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::programs::output;

/// Where programs that are run find the folder that they share with this machine.
pub const SHARED: &str = "/run/shared";

/// What is done around the script, in namespaces of its own. The last umount writes what the
/// file system still has to write, so that the image is whole when it is booted.
const AROUND: &str = r#"
mount -t ext4 -o loop "$1" "$2"
mount -t proc proc "$2/proc"
mount -t sysfs sysfs "$2/sys"
mount --rbind /dev "$2/dev"
mount -t tmpfs tmpfs "$2/run"
mkdir "$2/run/shared"
mount --bind "$3" "$2/run/shared"
status=0
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
    chroot "$2" sh -ec "$4" 2>&1 || status=$?
umount --recursive "$2"
exit "$status"
"#;

/// An ext4 image.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    folder: PathBuf,
}

impl Disk {
    /// Makes a folder with a disk in it that is a copy of another one.
    ///
    /// # Errors
    /// It cannot be copied, or there is such a folder.
    pub fn copy(from: &Path, folder: &Path) -> io::Result<Self> {
        let disk = Self {
            image: folder.join("disk"),
            folder: folder.into(),
        };
        fs::create_dir(folder)?;
        for inside in [disk.shared(), disk.mounted()] {
            fs::create_dir(inside)?;
        }
        // Most of it is a hole.
        output(
            Command::new("cp")
                .arg("--sparse=always")
                .args([from, &disk.image]),
        )?;
        Ok(disk)
    }

    /// The image.
    pub fn image(&self) -> &Path {
        &self.image
    }

    /// The folder that programs find at [`SHARED`].
    pub fn shared(&self) -> PathBuf {
        self.folder.join("shared")
    }

    fn mounted(&self) -> PathBuf {
        self.folder.join("mounted")
    }

    /// Runs a script as root of the system that is on the disk, and gives what it prints. It
    /// ends with the first command that fails.
    ///
    /// # Errors
    /// The script fails: with what it printed. Or the disk cannot be mounted.
    pub fn run(&self, script: &str) -> io::Result<String> {
        let run = Command::new("unshare")
            .args(["--mount", "--propagation=private"])
            .args(["--pid", "--fork", "--kill-child"])
            .args(["sh", "-ec", AROUND, "sh"])
            .args([&self.image, &self.mounted(), &self.shared()])
            .arg(script)
            .output()?;
        let printed = String::from_utf8_lossy(&run.stdout).into_owned();
        match run.status.success() {
            true => Ok(printed),
            false => Err(io::Error::other(format!(
                "{script}\nended with {}:\n{printed}{}",
                run.status,
                String::from_utf8_lossy(&run.stderr)
            ))),
        }
    }
}

/// Whether disks can be mounted here.
///
/// # Errors
/// A sentence that says what is missing.
pub fn possible() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err("only root can mount a disk".into());
    }
    match Path::new("/dev/loop-control").exists() {
        true => Ok(()),
        false => Err("there is no /dev/loop-control, so that no disk can be mounted".into()),
    }
}
