//! Where the commands of a page are run: on this machine, or in a Debian in a folder.

use std::fs;
use std::iter;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::packages::minimal;
use crate::tools::{self, Checked, Stop, program};

/// Seconds that a page may take on a machine that is busy with other tests.
const PATIENCE: &str = "600";

/// Where the notes are in a Debian: the script, and what comes of it.
const NOTES: &str = "/notes";

/// A kernel that is installed in a Debian, as far as generators look at one.
const RELEASE: &str = "6.1.0-0-amd64";

/// A place with a folder for notes.
pub struct Place {
    folder: TempDir,
    /// Whether it is a system of its own.
    own_root: bool,
}

impl Place {
    /// The place that a page names; this machine where it names none.
    pub fn new(name: Option<&str>) -> Result<Self, Stop> {
        let place = match name {
            None => Self {
                folder: tempfile::tempdir()?,
                own_root: false,
            },
            // Packages are programs, and other folders may be mounted without these.
            Some(_) => Self {
                folder: tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?,
                own_root: true,
            },
        };
        match place.own_root {
            true => install_debian(place.folder.path())?,
            false => link_programs(&place.desk())?,
        }
        fs::create_dir(place.notes())?;
        Ok(place)
    }

    /// The folder for notes.
    pub fn notes(&self) -> PathBuf {
        self.folder.path().join(NOTES.trim_start_matches('/'))
    }

    /// The folder that the commands of a page are run in on this machine.
    fn desk(&self) -> PathBuf {
        self.folder.path().join("desk")
    }

    /// Runs the script among the notes, and gives its exit status; `None` where a signal
    /// ended it.
    pub fn run(&self) -> Result<Option<i32>, Stop> {
        let (mut shell, notes) = match self.own_root {
            true => (self.inside()?, PathBuf::from(NOTES)),
            false => (self.here()?, self.notes()),
        };
        shell
            .args(["timeout", "--kill-after=10", PATIENCE, "sh", "-eu"])
            .arg(notes.join("script"))
            .env("NOTES", &notes)
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        Ok(shell.status()?.code())
    }

    /// What runs a command on this machine.
    fn here(&self) -> Result<Command, Stop> {
        let dist = self.desk().join("target/dist");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let unpacked = tools::promtool().ok();
        let unpacked = unpacked.and_then(|tool| Some(tool.parent()?.to_owned()));
        let path = iter::once(dist.clone())
            .chain(std::env::split_paths(&path))
            .chain(unpacked);
        let mut shell = Command::new(program("env")?);
        shell
            .env("PATH", std::env::join_paths(path)?)
            .env("POLICIES", dist.join("policies"))
            .env("CARGO_TARGET_DIR", tools::POLICIES_TARGET)
            .current_dir(self.desk());
        // Pages that boot nothing do without.
        if let Ok(kernels) = tools::all_kernels()
            && let Some(kernel) = kernels.last()
        {
            shell.env("KERNEL", kernel);
        }
        Ok(shell)
    }

    /// What runs a command in the Debian, in the folder of the packages. Its `/proc` goes
    /// with the namespace.
    fn inside(&self) -> Result<Command, Stop> {
        let line = "mount -t proc proc \"$0/proc\" && cd \"$0/packages\" && \
             exec chroot \"$0\" env --chdir=/packages \"$@\"";
        let mut shell = Command::new(program("unshare")?);
        shell
            .args(["--mount", "--propagation=private", "sh", "-euc", line])
            .arg(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("DEBIAN_FRONTEND", "noninteractive");
        Ok(shell)
    }
}

/// Makes a folder as `cargo xtask dist` leaves the repository, with links to what is tested.
fn link_programs(desk: &Path) -> Checked {
    let dist = desk.join("target/dist");
    fs::create_dir_all(&dist)?;
    for (name, path) in [
        ("srctl", tools::srctl()?),
        ("switch_root", tools::subject()?),
        ("switch_root-aot", tools::small()?),
        ("policies", tools::policies()?),
    ] {
        symlink(path, dist.join(name))?;
    }
    Ok(())
}

/// Unpacks a minimal Debian with the generators, and puts the packages beside, and a kernel
/// without modules.
fn install_debian(root: &Path) -> Checked {
    minimal::unpack(root)?;
    let modules = root.join("lib/modules").join(RELEASE);
    fs::create_dir_all(&modules)?;
    let boot = root.join("boot");
    for path in [
        modules.join("modules.order"),
        modules.join("modules.builtin"),
        modules.join("modules.builtin.modinfo"),
        modules.join("modules.dep"),
        boot.join(format!("vmlinuz-{RELEASE}")),
        // update-initramfs makes anew what is there.
        boot.join(format!("initrd.img-{RELEASE}")),
    ] {
        fs::write(path, "")?;
    }
    fs::write(boot.join(format!("config-{RELEASE}")), "CONFIG_RD_GZIP=y\n")?;
    Ok(())
}
