//! A system as Alpine Linux is made: busybox is its init and nearly everything else, in the
//! initramfs, too. Made of Debian's busybox and kernel.

use std::fs;
use std::path::Path;
use std::time::Duration;

use switch_root_tests::archive;
use switch_root_tests::image::{self, Format};
use switch_root_tests::report::Report;
use switch_root_tests::steps::{Content, Step, Steps};
use switch_root_tests::system;

use super::debian::{Debian, workshop};
use crate::check::ensure;
use crate::tools::{Checked, Policies, Stop, native, policy, program, subject};

/// How long a boot may take on a machine that is busy with others.
const PATIENCE: Duration = Duration::from_secs(400);
/// What the scripts call.
const APPLETS: [&str; 12] = [
    "cat", "cp", "cpio", "find", "grep", "insmod", "mkdir", "mount", "poweroff", "readlink", "sh",
    "usleep",
];
/// The modules that the kernel takes to see the machine's disks.
const MODULES: &str = r#"
release=$(ls /lib/modules)
mkdir /run/shared/modules
number=10
for module in virtio_pci virtio_blk; do
    modprobe --show-depends --set-version "$release" "$module"
done | awk '$1 == "insmod" && !known[$2]++ { print $2 }' | while read -r file; do
    number=$((number + 1))
    cp "$file" "/run/shared/modules/$number-${file##*/}"
done
"#;
const SETTINGS: &str = r#"{"settings": {
    "keep": ["/etc/alpine-release"], "carry": {"/etc/machine.conf": "/etc/carried"}
}}"#;

pub fn busybox_as_init_starts_reaps_and_shuts_down() -> Checked {
    let workshop = workshop()?;
    let at = |name: &str| workshop.path().join(name);
    let debian = Debian::stock(&at("debian"))?;
    debian.run(MODULES)?;
    let kernel = debian
        .image("/boot/initrd.img-$release")?
        .kernel()
        .to_owned();
    fs::write(
        at("initramfs"),
        initramfs(&debian.shared().join("modules"))?,
    )?;
    let disk = image::make(workshop.path(), "disk", Format::Ext4, &root()?)?;
    let boot = system::boot(
        &kernel,
        &at("initramfs"),
        &disk,
        "",
        PATIENCE,
        workshop.path(),
    )?;
    let console = &boot.console;
    ensure!(!boot.timed_out, "{console}");
    let told = |name: &str| boot.text(name).trim().to_owned();
    // The last that init starts has told all of it.
    ensure!(told("ended-by") == "1", "{:?}\n{console}", boot.told.keys());
    ensure!(told("begun-by") == "1", "{:?}\n{console}", boot.told.keys());
    ensure!(told("init") == "/bin/busybox", "init is {}", told("init"));
    ensure!(
        told("orphan.reaped") == "yes",
        "{:?}\n{console}",
        boot.told.keys()
    );
    let report = boot.told.get("report.json").ok_or("no report")?;
    let report = Report(serde_json::from_slice(report)?);
    ensure!(report.deletion() == "complete", "{:#}", report.0);
    ensure!(report.warnings().is_empty(), "{:#}", report.0);
    ensure!(report.failure("50-keep-paths").is_none(), "{:#}", report.0);
    ensure!(
        told("kept") == "of the initramfs" && told("carried") == "carried",
        "{:#}",
        report.0
    );
    let error = told("carried.error");
    ensure!(
        error.contains("Read-only file system"),
        "writing to it: {error:?}"
    );
    Ok(())
}

/// busybox and its names.
fn with_busybox(tree: Vec<Step>) -> Result<Vec<Step>, Stop> {
    let tree = tree.executable("/bin/busybox", Content::Copy(program("busybox")?));
    let link = |tree: Vec<Step>, name: &&str| tree.symlink(format!("/bin/{name}"), "busybox");
    Ok(APPLETS.iter().fold(tree, link))
}

fn with_directories(names: &[&str]) -> Vec<Step> {
    names.iter().fold(Vec::new(), Steps::directory)
}

/// The initramfs.
fn initramfs(modules: &Path) -> Result<Vec<u8>, Stop> {
    let places = ["/dev", "/proc", "/sys", "/run", "/sysroot", "/modules"];
    let mut tree = with_busybox(with_directories(&places))?
        .executable("/init", include_str!("alpine/init.sh"))
        .executable("/sbin/switch_root", Content::Copy(subject()?))
        .file("/etc/alpine-release", "of the initramfs\n")
        .file("/etc/machine.conf", "carried\n")
        .policy("50-keep-paths", policy("keep-paths")?, Some(SETTINGS))
        .file(
            "/usr/lib/switch-root/policies.d/50-keep-paths.cwasm",
            native("keep-paths")?,
        );
    for module in fs::read_dir(modules)? {
        let module = module?;
        let name = module.file_name().to_string_lossy().into_owned();
        tree = tree.file(format!("/modules/{name}"), Content::Copy(module.path()));
    }
    Ok(archive::of(&tree)?)
}

/// The root.
fn root() -> Result<Vec<Step>, Stop> {
    let tree = with_busybox(with_directories(&["/dev", "/proc", "/sys", "/run"]))?
        .symlink("/sbin/init", "/bin/busybox")
        .file("/etc/os-release", "ID=alpine\nVERSION_ID=3.0.0\n")
        .file("/etc/inittab", include_str!("alpine/inittab"));
    Ok([
        ("begin", include_str!("alpine/begin.sh")),
        ("witness", include_str!("alpine/witness.sh")),
        ("orphan", include_str!("alpine/orphan.sh")),
        ("end", include_str!("alpine/end.sh")),
    ]
    .into_iter()
    .fold(tree, |tree, (name, script)| {
        tree.executable(format!("/etc/{name}"), script)
    }))
}
