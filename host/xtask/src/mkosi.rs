//! A machine that mkosi makes of our example, to boot. mkosi is newer than the oldest Debian:
//! it runs in a folder with a Debian of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::distributions::{self, SUITES};
use crate::kernels::mirror;
use crate::run::{files_below, run, step, target, workspace};

/// What mkosi needs for our example, beside what its package depends on.
const TOOLS: [&str; 4] = ["mkosi", "reprepro", "apt", "e2fsprogs"];
/// Where it works, in that folder.
const WORK: &str = "work";
/// The folder of the example that is its initramfs.
const INITRAMFS: &str = "mkosi.images/initrd/mkosi.extra";
/// Files of the initramfs for the policy, which is told of names that images of dracut have.
const FILES: [&str; 2] = ["modules.txt", "build-parameter.txt"];

/// Has mkosi run, where `/` is the folder with its Debian: it wants a mount there. Then the
/// root file system is taken out of the disk, and given room for what a boot adds.
const SCRIPT: &str = r#"set -eu
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
exec chroot "$root" sh -eu -c '
    dpkg --install /work/mkosi.packages/srctl_*.deb
    cd /work
    mkosi build
    cd mkosi.output
    set -- $(partx --noheadings --show --output START,SECTORS --nr 2 image.raw)
    dd if=image.raw of=/work/debian.ext4 bs=1M iflag=skip_bytes,count_bytes \
        skip=$(($1 * 512)) count=$(($2 * 512)) status=none
    truncate --size 1G /work/debian.ext4
    e2fsck -f -p /work/debian.ext4
    resize2fs /work/debian.ext4
    mv image.vmlinuz /work/vmlinuz
    mv image.initrd /work/initrd
'
"#;

/// Makes it, in a folder that is given back: the disk, `vmlinuz` and `initrd`. `packages` has
/// our packages, and `policies` those that are shipped.
///
/// # Errors
/// Why it cannot be made.
pub fn make(packages: &Path, policies: &Path) -> Result<PathBuf> {
    let folder = target().join("distributions/mkosi");
    let tools = tools(&folder)?;
    step("an image of mkosi");
    let work = tools.join(WORK);
    distributions::clear(&work)?;
    describe(&work, packages, policies)?;
    run(Command::new("unshare")
        .args(["--mount", "sh", "-c", SCRIPT, "sh"])
        .arg(&tools))?;
    for name in [distributions::DISK, "vmlinuz", "initrd"] {
        fs::rename(work.join(name), folder.join(name))
            .with_context(|| format!("taking {name} out of {}", work.display()))?;
    }
    distributions::clear(&work)?;
    Ok(folder)
}

/// A folder with a Debian that has mkosi.
fn tools(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("tools");
    let recipe = folder.join("recipe");
    let wanted = TOOLS.join("\n");
    if fs::read_to_string(&recipe).is_ok_and(|was| was == wanted) {
        return Ok(root);
    }
    distributions::possible()?;
    let suite = SUITES[1];
    step(&format!("a Debian {suite} with mkosi"));
    distributions::clear(&root)?;
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    distributions::install(suite, &TOOLS, &root)?;
    fs::write(&recipe, wanted).with_context(|| format!("writing {}", recipe.display()))?;
    Ok(root)
}

/// The example, as somebody has it who followed its page: with our packages, a policy and
/// something for that to keep; and with what the tests need.
fn describe(work: &Path, packages: &Path, policies: &Path) -> Result<()> {
    let put = |name: &str, text: &str| -> Result<()> {
        let file = work.join(name);
        fs::create_dir_all(file.parent().unwrap_or(work))?;
        fs::write(&file, text).with_context(|| format!("writing {}", file.display()))
    };
    let copy = |from: &Path, to: &Path| run(Command::new("cp").arg("-a").args([from, to]));
    copy(&workspace().join("host/distribution/mkosi"), work)?;
    let own = work.join("mkosi.packages");
    fs::create_dir_all(&own).with_context(|| format!("making {}", own.display()))?;
    for package in files_below(packages)? {
        // It takes no package for another architecture.
        let name = package.to_string_lossy();
        if ["_amd64.deb", "_all.deb"]
            .iter()
            .any(|end| name.ends_with(end))
        {
            copy(&package, &own)?;
        }
    }
    let extra = work.join(INITRAMFS);
    let policy = "etc/switch-root/policies.d/50-keep-paths";
    let component = policies.join("keep-paths.wasm");
    fs::copy(&component, extra.join(format!("{policy}.wasm")))
        .with_context(|| format!("copying {}", component.display()))?;
    let sidecar = workspace().join("tests/system/distributions/debian/keep-paths.json");
    let sidecar =
        fs::read_to_string(&sidecar).with_context(|| format!("reading {}", sidecar.display()))?;
    put(&format!("{INITRAMFS}/{policy}.json"), &sidecar)?;
    for name in FILES {
        put(&format!("{INITRAMFS}/usr/lib/dracut/{name}"), name)?;
    }
    // Where this machine's packages come from, and no more: not every mirror has all that
    // mkosi asks for.
    let sources = format!(
        "Types: deb\nURIs: {}\nSuites: {}\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
        mirror()?,
        SUITES[1]
    );
    put(
        "mkosi.sandbox/etc/apt/sources.list.d/mkosi.sources",
        &sources,
    )?;
    // What tells of the boot is an archive.
    put("mkosi.local.conf", "[Content]\nPackages=cpio\n")
}
