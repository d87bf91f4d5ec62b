//! A Debian on a disk: what is installed on it, images that it makes, and its boots.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use switch_root_tests::architecture::Architecture;
use switch_root_tests::disk::{self, Disk};
use switch_root_tests::report::Report;
use switch_root_tests::{machine, system};
use tempfile::TempDir;

use crate::check::ensure;
use crate::tools::{Checked, Stop, named_by};

/// How long a boot may take on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(600);
/// As boot loaders have it: the root is mounted read-only at first.
const COMMAND_LINE: &str = "root=/dev/vda ro";
/// What makes a disk a witness of its own boots.
const GUEST: [(&str, &str); 2] = [
    ("witness.sh", include_str!("debian/witness.sh")),
    ("witness.service", include_str!("debian/witness.service")),
];
const PREPARE: &str = include_str!("debian/prepare.sh");
/// Our packages.
const PACKAGES: [&str; 3] = ["switch-root", "srctl", "switch-root-policies"];
/// Where policies of the operator are.
pub const POLICIES: &str = "/etc/switch-root/policies.d";

/// A folder for disks and images, which is removed with them.
///
/// # Errors
/// It cannot be made.
pub fn workshop() -> Result<TempDir, Stop> {
    // Not where temporary files are: that may be in memory, and disks are large.
    Ok(tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?)
}

/// A Debian on a disk.
pub struct Debian {
    disk: Disk,
}

/// A kernel and an initramfs.
pub struct Image {
    kernel: PathBuf,
    initramfs: PathBuf,
}

impl Debian {
    /// A Debian as it is installed, without our packages, in a folder of a workshop.
    ///
    /// # Errors
    /// What is missing, or fails.
    pub fn stock(folder: &Path) -> Result<Self, Stop> {
        disk::possible().map_err(Stop::Skip)?;
        machine::possible(Architecture::X86_64).map_err(Stop::Skip)?;
        let disks = named_by(
            "SWITCH_ROOT_DISTRIBUTIONS",
            "a directory with disks of distributions",
        )?;
        Self::of(&disks, folder)
    }

    /// The Debian whose disk is in a folder, in a folder of a workshop.
    ///
    /// # Errors
    /// There is none, or it cannot be copied.
    pub fn of(disks: &Path, folder: &Path) -> Result<Self, Stop> {
        let stock = disks.join("debian.ext4");
        if !stock.exists() {
            return Err(Stop::Skip(format!("there is no {}", stock.display())));
        }
        Ok(Self {
            disk: Disk::copy(&stock, folder)?,
        })
    }

    /// Has it tell what its boots come to.
    ///
    /// # Errors
    /// It fails.
    pub fn prepare(&self) -> Checked {
        for (name, content) in GUEST {
            fs::write(self.shared().join(name), content)?;
        }
        self.run(PREPARE)?;
        Ok(())
    }

    /// The same disk as it is now, in another folder.
    ///
    /// # Errors
    /// It cannot be copied.
    pub fn copy(&self, folder: &Path) -> Result<Self, Stop> {
        Ok(Self {
            disk: Disk::copy(self.disk.image(), folder)?,
        })
    }

    /// Runs a script as root of this Debian, and gives what it prints.
    ///
    /// # Errors
    /// It fails: with what it printed.
    pub fn run(&self, script: &str) -> Result<String, Stop> {
        Ok(self.disk.run(script)?)
    }

    /// Installs our packages, and gives what that prints.
    ///
    /// # Errors
    /// They are missing, or cannot be installed.
    pub fn install(&self) -> Result<String, Stop> {
        let folder = named_by("SWITCH_ROOT_PACKAGES", "a directory with our packages")?;
        for package in fs::read_dir(&folder)? {
            let package = package?;
            let name = package.file_name().to_string_lossy().into_owned();
            let wanted = name.ends_with("_amd64.deb") || name.ends_with("_all.deb");
            let ours = PACKAGES
                .iter()
                .any(|package| name.starts_with(&format!("{package}_")));
            if wanted && ours {
                fs::copy(package.path(), self.shared().join(name))?;
            }
        }
        let printed = self.run("dpkg --install /run/shared/*.deb")?;
        // Installed means that all that they depend on is there, too.
        let status = self.run(&format!(
            "dpkg-query --show --showformat '${{db:Status-Status}} ' {}",
            PACKAGES.join(" ")
        ))?;
        ensure!(
            status.split_whitespace().eq(["installed"; PACKAGES.len()]),
            "{status}\n{printed}"
        );
        Ok(printed)
    }

    /// Removes them, with their configuration, and gives what that prints.
    ///
    /// # Errors
    /// It fails.
    pub fn purge(&self) -> Result<String, Stop> {
        self.run(&format!("dpkg --purge {}", PACKAGES.join(" ")))
    }

    /// Puts a policy into the operator's folder, as `NAME.wasm`, with its sidecar.
    ///
    /// # Errors
    /// It cannot be put there.
    pub fn add_policy(&self, name: &str, component: &[u8], sidecar: Option<Value>) -> Checked {
        fs::write(self.shared().join("policy"), component)?;
        let mut script = format!("cp /run/shared/policy {POLICIES}/{name}.wasm\n");
        if let Some(sidecar) = sidecar {
            fs::write(self.shared().join("sidecar"), sidecar.to_string())?;
            script.push_str(&format!("cp /run/shared/sidecar {POLICIES}/{name}.json\n"));
        }
        self.run(&script)?;
        Ok(())
    }

    /// Takes the kernel, and with it an initramfs that is a file of this Debian, and stays as
    /// it was now. In its path `$release` is the kernel's.
    ///
    /// # Errors
    /// There is none.
    pub fn image(&self, initramfs: &str) -> Result<Image, Stop> {
        let name = initramfs.rsplit('/').next().unwrap_or(initramfs);
        self.run(&format!(
            "release=$(ls /lib/modules)
             cp /boot/vmlinuz-$release /run/shared/vmlinuz
             cp \"{initramfs}\" '/run/shared/{name}'"
        ))?;
        Ok(Image {
            kernel: self.shared().join("vmlinuz"),
            initramfs: self.shared().join(name),
        })
    }

    /// The folder that is /run/shared for scripts.
    pub fn shared(&self) -> PathBuf {
        self.disk.shared()
    }

    /// Boots it, and gives what it told, once it has reached multi-user.
    ///
    /// # Errors
    /// It did not get that far, or something failed on the way.
    pub fn boot(&self, image: &Image) -> Result<Seen, Stop> {
        let scratch = tempfile::tempdir()?;
        let boot = system::boot(
            &image.kernel,
            &image.initramfs,
            self.disk.image(),
            COMMAND_LINE,
            PATIENCE,
            scratch.path(),
        )?;
        let seen = Seen(boot);
        seen.is_multi_user()?;
        Ok(seen)
    }
}

impl Image {
    /// The kernel and the initramfs that are files in a folder: `vmlinuz` and `initrd`.
    pub fn of(folder: &Path) -> Self {
        Self {
            kernel: folder.join("vmlinuz"),
            initramfs: folder.join("initrd"),
        }
    }

    /// The initramfs.
    pub fn initramfs(&self) -> &Path {
        &self.initramfs
    }

    /// The kernel.
    pub fn kernel(&self) -> &Path {
        &self.kernel
    }
}

/// What a boot came to, told by the running system.
#[derive(Clone)]
pub struct Seen(system::Boot);

impl Seen {
    /// A file that it told, as text.
    pub fn text(&self, name: &str) -> String {
        self.0.text(name)
    }

    /// What the console showed.
    pub fn console(&self) -> &str {
        &self.0.console
    }

    /// The report.
    ///
    /// # Errors
    /// There is none.
    pub fn report(&self) -> Result<Report, Stop> {
        match self.0.told.get("report.json") {
            Some(bytes) => Ok(Report(serde_json::from_slice(bytes)?)),
            None => Err(Stop::Fail(format!("no report\n{}", self.0.console))),
        }
    }

    /// Whether our switch_root had to do with this boot.
    pub fn has_report(&self) -> bool {
        self.0.told.contains_key("report.json")
    }

    /// A line of /proc/meminfo, in KiB.
    ///
    /// # Errors
    /// There is none.
    pub fn memory(&self, what: &str) -> Result<u64, Stop> {
        let text = self.text("meminfo");
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
        let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
        Ok(number.ok_or("no such line in meminfo")?.parse()?)
    }

    /// What switch_root logged, as the journal has it.
    ///
    /// # Errors
    /// It is of another form.
    pub fn journal(&self) -> Result<Vec<Message>, Stop> {
        let mut messages = Vec::new();
        for line in self.text("journal").lines() {
            let entry: Value = serde_json::from_str(line)?;
            let of = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            messages.push(Message {
                from: of("_TRANSPORT"),
                facility: of("SYSLOG_FACILITY"),
                priority: of("PRIORITY").parse()?,
                text: of("MESSAGE"),
            });
        }
        Ok(messages)
    }

    /// The paths of what is preserved, sorted.
    pub fn preserved(&self) -> Vec<String> {
        let text = self.text("preserved");
        let mut paths: Vec<String> = text.lines().map(|line| line[1..].to_owned()).collect();
        paths.retain(|path| !path.is_empty());
        paths.sort();
        paths
    }

    fn is_multi_user(&self) -> Checked {
        let console = &self.0.console;
        ensure!(!self.0.timed_out, "it did not end by itself\n{console}");
        let states = (self.text("multi-user"), self.text("state"));
        ensure!(
            states == ("active\n".into(), "running\n".into()),
            "{states:?}\n{}\n{console}",
            self.text("failed")
        );
        ensure!(self.text("failed").is_empty(), "{}", self.text("failed"));
        let init = self.text("init");
        ensure!(init.trim() == "/usr/lib/systemd/systemd", "init is {init}");
        Ok(())
    }
}

/// A message of the journal.
#[derive(Clone, Debug)]
pub struct Message {
    /// By which way it came there: `kernel`, or `stdout` of a service.
    pub from: String,
    /// The facility's number.
    pub facility: String,
    /// The priority, as syslog(3) numbers them.
    pub priority: u8,
    /// What it says.
    pub text: String,
}
