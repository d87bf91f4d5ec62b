//! A machine's life with the packages: installed, upgraded, removed and purged by apt.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{PACKAGES, minimal, output, package};
use crate::check::{ensure, says};
use crate::tools::{Checked, Stop, cases, program};

cases![
    the_packages_are_installed_removed_and_purged_without_a_trace,
    an_upgrade_keeps_what_the_operator_changed_and_so_does_a_removal,
    policies_that_are_upgraded_alone_are_put_into_the_images,
    images_that_cannot_be_made_hold_up_no_other_package,
    programs_of_two_versions_are_not_installed_together,
];

/// Debian's conffiles of the boot side.
const CONFFILES: [&str; 2] = [
    "/etc/initramfs/post-update.d/switch-root",
    "/etc/switch-root/initramfs.conf",
];

/// What dpkg and apt remember, which is other after a purge, too.
const REMEMBERED: [&str; 6] = [
    "/packages",
    "/var/cache",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/log",
    "/update-initramfs.log",
];

/// A Debian in a folder, with a `update-initramfs` that only writes down how it was called.
struct Debian {
    folder: TempDir,
}

impl Debian {
    fn new() -> Result<Self, Stop> {
        // Packages are programs, and other folders may be mounted without them.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        minimal::unpack(folder.path())?;
        let debian = Self { folder };
        let recorder = debian.path("/usr/sbin/update-initramfs");
        fs::write(
            &recorder,
            "#!/bin/sh\necho \"$@\" >> /update-initramfs.log\n[ ! -e /no-room ]\n",
        )?;
        fs::set_permissions(&recorder, fs::Permissions::from_mode(0o755))?;
        fs::write(debian.path("/update-initramfs.log"), "")?;
        Ok(debian)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// Runs a line of shell in it, which has to succeed.
    fn sh(&self, line: &str) -> Result<String, Stop> {
        output(&mut self.command(line)?)
    }

    fn command(&self, line: &str) -> Result<Command, Stop> {
        let mut command = Command::new(program("chroot")?);
        command
            .arg(self.folder.path())
            .args(["/bin/sh", "-euc", line])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LC_ALL", "C.UTF-8");
        Ok(command)
    }

    /// How often the images of all kernels were made since this was asked last.
    fn updates(&self) -> Result<usize, Stop> {
        let log = self.path("/update-initramfs.log");
        let told = fs::read_to_string(&log)?;
        ensure!(
            told.lines().all(|line| line == "-u -k all"),
            "update-initramfs {told}"
        );
        fs::write(&log, "")?;
        Ok(told.lines().count())
    }

    /// Every path with its kind, mode and owner, but what dpkg and apt remember.
    fn everything(&self) -> Result<BTreeSet<String>, Stop> {
        let mut found = BTreeSet::new();
        collect(self.folder.path(), "", &mut found)?;
        Ok(found)
    }
}

fn collect(root: &Path, path: &str, found: &mut BTreeSet<String>) -> Checked {
    for entry in fs::read_dir(root.join(path.trim_start_matches('/')))? {
        let entry = entry?;
        let path = format!("{path}/{}", entry.file_name().to_string_lossy());
        if REMEMBERED.contains(&path.as_str()) {
            continue;
        }
        let metadata = entry.metadata()?;
        found.insert(format!(
            "{path} {:o} {}:{}",
            metadata.mode(),
            metadata.uid(),
            metadata.gid()
        ));
        if metadata.is_dir() {
            collect(root, &path, found)?;
        }
    }
    Ok(())
}

/// What is in one set and not in the other.
fn difference(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Vec<String> {
    let gone = before.difference(after).map(|path| format!("- {path}"));
    gone.chain(after.difference(before).map(|path| format!("+ {path}")))
        .collect()
}

fn the_packages_are_installed_removed_and_purged_without_a_trace() -> Checked {
    let debian = Debian::new()?;
    let before = debian.everything()?;
    debian.sh("apt-get install --yes /packages/*.deb")?;
    ensure!(debian.updates()? == 1, "no image was made, or several");
    ensure!(
        debian
            .sh("dpkg --verify switch-root srctl switch-root-policies")?
            .is_empty(),
        "dpkg finds other files than it installed"
    );
    let told = debian.sh("dpkg-query --show --showformat='${Conffiles}' switch-root")?;
    let conffiles: BTreeSet<&str> = told
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    ensure!(conffiles == BTreeSet::from(CONFFILES), "{conffiles:?}");
    says(&debian.sh("srctl --version")?, &["srctl 0."])?;
    says(
        &debian.sh("/usr/lib/switch-root/switch_root --version")?,
        &["switch_root", "0."],
    )?;
    // Without /proc, which is not in there.
    debian.sh("srctl policy inspect /usr/share/switch-root/policies/keep-paths.wasm")?;
    let completed = debian.sh(
        "bash --norc -euc '. /usr/share/bash-completion/completions/srctl; complete -p srctl'",
    )?;
    says(&completed, &["complete", "srctl"])?;
    // No unit of the initramfs is started on the machine.
    let enabled = debian.sh("find /etc/systemd -name 'switch-root*' -printf '%f '")?;
    ensure!(enabled == "switch-root-metrics.service ", "{enabled}");

    debian.sh("apt-get remove --yes switch-root srctl switch-root-policies")?;
    ensure!(debian.updates()? == 1, "no stock image was made");
    for conffile in CONFFILES {
        ensure!(debian.path(conffile).exists(), "{conffile} is gone");
    }
    ensure!(
        !debian
            .path("/usr/share/initramfs-tools/hooks/switch-root")
            .exists(),
        "the hook is still there"
    );
    // initramfs-tools runs what is left there.
    debian.sh("/etc/initramfs/post-update.d/switch-root 6.1.0 /boot/initrd.img-6.1.0")?;
    // What the unit for metrics has written at the last boot.
    let collected = debian.path("/var/lib/prometheus/node-exporter");
    fs::create_dir_all(&collected)?;
    fs::write(collected.join("switch-root.prom"), "")?;
    debian.sh("apt-get purge --yes switch-root srctl switch-root-policies")?;
    fs::remove_dir(&collected)?;
    fs::remove_dir(debian.path("/var/lib/prometheus"))?;
    let difference = difference(&before, &debian.everything()?);
    ensure!(difference.is_empty(), "{}", difference.join("\n"));
    Ok(())
}

/// A package with another version, which it says of those that it names, too.
fn older(name: &str, folder: &Path) -> Checked {
    let tree = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let tree = tree.path().join("tree");
    let dpkg = program("dpkg-deb")?;
    output(
        Command::new(&dpkg)
            .arg("--raw-extract")
            .arg(package(name)?)
            .arg(&tree),
    )?;
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control)?;
    let version = text
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))
        .ok_or("the package has no version")?
        .to_owned();
    fs::write(&control, text.replace(&version, "0.0.9"))?;
    output(
        Command::new(&dpkg)
            .args(["--root-owner-group", "-Znone", "--build"])
            .arg(&tree)
            .arg(folder.join(format!("{name}_0.0.9.deb"))),
    )
    .map(drop)
}

fn an_upgrade_keeps_what_the_operator_changed_and_so_does_a_removal() -> Checked {
    let debian = Debian::new()?;
    fs::create_dir(debian.path("/packages/older"))?;
    for name in PACKAGES {
        older(name, &debian.path("/packages/older"))?;
    }
    let before = debian.everything()?;
    debian.sh("apt-get install --yes /packages/older/*.deb")?;
    ensure!(debian.updates()? == 1, "no image was made");
    let settings = "# The operator's.\nSTRICT=yes\n";
    fs::write(debian.path("/etc/switch-root/initramfs.conf"), settings)?;
    debian.sh("cp /usr/share/switch-root/policies/keep-paths.wasm /etc/switch-root/policies.d/50-mine.wasm")?;

    debian.sh("apt-get install --yes /packages/*.deb")?;
    ensure!(
        debian.updates()? == 1,
        "no image was made after the upgrade"
    );
    let versions = debian.sh(
        "dpkg-query --show --showformat='${Version}\\n' switch-root srctl switch-root-policies",
    )?;
    ensure!(!versions.contains("0.0.9"), "{versions}");
    let kept = fs::read_to_string(debian.path("/etc/switch-root/initramfs.conf"))?;
    ensure!(kept == settings, "the settings are {kept}");
    let changed = debian.sh("dpkg --verify switch-root srctl switch-root-policies || true")?;
    let changed: Vec<&str> = changed.lines().collect();
    ensure!(
        matches!(changed[..], [line] if line.ends_with(" c /etc/switch-root/initramfs.conf")),
        "{changed:?}"
    );

    // The boot side alone goes, and its settings stay.
    debian.sh("apt-get remove --yes switch-root")?;
    ensure!(
        debian.updates()? == 1,
        "no image was made after the removal"
    );
    debian.sh("srctl --version")?;
    let kept = fs::read_to_string(debian.path("/etc/switch-root/initramfs.conf"))?;
    ensure!(kept == settings, "the settings are {kept}");

    debian.sh("apt-get purge --yes switch-root srctl switch-root-policies")?;
    let difference: BTreeSet<String> = difference(&before, &debian.everything()?)
        .into_iter()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    // What is the operator's is left, and nothing else.
    let expected = [
        "+ /etc/switch-root",
        "+ /etc/switch-root/policies.d",
        "+ /etc/switch-root/policies.d/50-mine.wasm",
    ];
    ensure!(
        difference == BTreeSet::from(expected.map(str::to_owned)),
        "{difference:#?}"
    );
    Ok(())
}

fn policies_that_are_upgraded_alone_are_put_into_the_images() -> Checked {
    let debian = Debian::new()?;
    fs::create_dir(debian.path("/packages/older"))?;
    older("switch-root-policies", &debian.path("/packages/older"))?;
    debian.sh("apt-get install --yes /packages/switch-root_*.deb /packages/srctl_*.deb /packages/older/*.deb")?;
    ensure!(debian.updates()? == 1, "no images were made, or twice");
    debian.sh("apt-get install --yes /packages/switch-root-policies_*.deb")?;
    ensure!(debian.updates()? == 1, "they have the old policies");
    debian.sh("apt-get install --yes --reinstall /packages/srctl_*.deb")?;
    ensure!(debian.updates()? == 0, "they were made for nothing");
    Ok(())
}

fn images_that_cannot_be_made_hold_up_no_other_package() -> Checked {
    let debian = Debian::new()?;
    fs::write(debian.path("/no-room"), "")?;
    let install = "apt-get install --yes /packages/*.deb";
    let ended = debian.command(install)?.output()?;
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned()
        + &String::from_utf8_lossy(&ended.stdout);
    ensure!(!ended.status.success(), "it is not said: {errors}");
    let way_out = "dpkg --configure switch-root";
    says(
        &errors,
        &["failed to make all images", "STRICT=no", way_out],
    )?;
    let states = debian.sh("dpkg-query --show --showformat='${Package} ${db:Status-Status}\\n'")?;
    let unfinished: Vec<&str> = states
        .lines()
        .filter(|line| !line.ends_with(" installed"))
        .collect();
    ensure!(
        unfinished == ["switch-root half-configured"],
        "{unfinished:?}"
    );
    fs::remove_file(debian.path("/no-room"))?;
    debian.updates()?;
    debian.sh(way_out)?;
    ensure!(debian.updates()? == 1, "the way out makes no images");
    // Without room for the stock images the package goes all the same.
    fs::write(debian.path("/no-room"), "")?;
    debian.sh("apt-get remove --yes switch-root")?;
    ensure!(debian.updates()? == 1, "no stock images were tried");
    Ok(())
}

fn programs_of_two_versions_are_not_installed_together() -> Checked {
    let debian = Debian::new()?;
    fs::create_dir(debian.path("/packages/older"))?;
    older("srctl", &debian.path("/packages/older"))?;
    debian.sh("apt-get install --yes /packages/switch-root_*.deb /packages/srctl_*.deb")?;
    let ended = debian
        .command("dpkg --install /packages/older/srctl_0.0.9.deb")?
        .output()?;
    let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
    ensure!(!ended.status.success(), "another srctl is installed");
    says(&errors, &["switch-root", "breaks srctl"])?;
    // Without any it stays: images may be made elsewhere.
    debian.sh("apt-get remove --yes srctl")?;
    debian
        .sh("/usr/lib/switch-root/switch_root --version")
        .map(drop)
}
