//! The archive for everybody who has no use for Debian's packages, and the checksums.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use switch_root_tests::pages::blocks;

use super::{folder, output, unpacked};
use crate::check::{ensure, says};
use crate::tools::{Checked, Stop, cases, program};

cases![
    checksums_are_those_of_all_packages,
    the_archive_is_installed_and_removed_as_it_says,
    the_archive_has_no_folder_of_the_system_and_belongs_to_root,
    the_archive_has_what_the_packages_have,
];

/// The archive for machines like this one.
pub fn archive() -> Result<PathBuf, Stop> {
    let mut files = fs::read_dir(folder()?)?.flatten().map(|entry| entry.path());
    let found = files.find(|path| path.to_string_lossy().ends_with("-x86_64.tar.gz"));
    found.ok_or_else(|| Stop::Skip("there is no archive for x86_64 in SWITCH_ROOT_PACKAGES".into()))
}

fn checksums_are_those_of_all_packages() -> Checked {
    let folder = folder()?;
    let told = output(
        Command::new(program("sha256sum")?)
            .args(["--check", "--strict", "SHA256SUMS"])
            .current_dir(&folder),
    )?;
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(&folder)? {
        files.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    ensure!(files.remove("SHA256SUMS"), "there is no SHA256SUMS");
    let checked: BTreeSet<String> = told
        .lines()
        .filter_map(|line| line.strip_suffix(": OK"))
        .map(str::to_owned)
        .collect();
    ensure!(checked == files, "{checked:?}, and there are {files:?}");
    ensure!(files.len() >= 4, "{files:?}");
    Ok(())
}

/// Runs the commands of a block of the archive's README, which are for `/`, with another folder
/// in its place.
fn as_it_says(block: usize, root: &Path) -> Checked {
    let archive = archive()?;
    let readme = output(
        Command::new(program("tar")?)
            .args(["--extract", "--to-stdout", "--wildcards", "--file"])
            .arg(&archive)
            .arg("switch-root-*-x86_64/README.md"),
    )?;
    let blocks = blocks(&readme).map_err(|wrong| wrong.to_string())?;
    let commands = &blocks
        .get(block)
        .ok_or("the README has no such block")?
        .text;
    let root = root.to_string_lossy();
    let commands = commands
        .replace("--directory / ", &format!("--directory '{root}' "))
        .replace("(cd / ", &format!("(cd '{root}' "))
        .replace("switch-root-*.tar.gz", &format!("'{}'", archive.display()));
    ensure!(commands.contains(&*root), "{commands}");
    output(Command::new(program("sh")?).args(["-euc", &commands])).map(drop)
}

fn the_archive_is_installed_and_removed_as_it_says() -> Checked {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let settings = root.path().join("etc/switch-root/initramfs.conf");
    as_it_says(1, root.path())?;
    let version = output(Command::new(root.path().join("usr/bin/srctl")).arg("--version"))?;
    says(&version, &["srctl 0."])?;
    ensure!(settings.exists(), "no settings");
    let folder = root.path().join("etc/switch-root/policies.d");
    ensure!(folder.is_dir(), "no folder for policies");
    // Again, over settings that the operator changed.
    fs::write(&settings, "STRICT=yes\n")?;
    as_it_says(1, root.path())?;
    ensure!(
        fs::read_to_string(&settings)? == "STRICT=yes\n",
        "the settings are lost"
    );
    as_it_says(2, root.path())?;
    let left = output(
        Command::new(program("find")?)
            .arg(root.path().join("usr"))
            .args(["!", "-type", "d"]),
    )?;
    ensure!(left.is_empty(), "left: {left}");
    ensure!(settings.exists(), "the settings were removed");
    Ok(())
}

fn the_archive_has_no_folder_of_the_system_and_belongs_to_root() -> Checked {
    let list = output(
        Command::new(program("tar")?)
            .args(["--list", "--verbose", "--numeric-owner", "--file"])
            .arg(archive()?),
    )?;
    let mut folders = Vec::new();
    for line in list.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, .., path] = words[..] else {
            return Err(Stop::Fail(line.to_owned()));
        };
        ensure!(owner == "0/0", "{line}");
        match mode {
            "drwxr-xr-x" => folders.push(path.split_once('/').map_or(path, |(_, rest)| rest)),
            "-rwxr-xr-x" | "-rw-r--r--" => {}
            _ => return Err(Stop::Fail(line.to_owned())),
        }
    }
    ensure!(
        folders
            == [
                "etc/switch-root/policies.d/",
                "usr/lib/switch-root/policies.d/"
            ],
        "{folders:?}"
    );
    Ok(())
}

fn the_archive_has_what_the_packages_have() -> Checked {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    output(
        Command::new(program("tar")?)
            .args(["--extract", "--strip-components=1", "--file"])
            .arg(archive()?)
            .arg("--directory")
            .arg(root.path()),
    )?;
    for (package, files) in [
        (
            "switch-root",
            &[
                "usr/lib/switch-root/switch_root",
                "usr/lib/switch-root/switch_root-aot",
                "usr/share/initramfs-tools/hooks/switch-root",
                "usr/lib/dracut/modules.d/99switch-root/module-setup.sh",
            ][..],
        ),
        ("srctl", &["usr/bin/srctl"]),
        (
            "switch-root-policies",
            &["usr/share/switch-root/policies/keep-paths.wasm"],
        ),
    ] {
        let packed = unpacked(package)?;
        for file in files {
            ensure!(
                fs::read(root.path().join(file))? == fs::read(packed.path().join(file))?,
                "{file} is another one"
            );
        }
    }
    for file in [
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "usr/lib/initcpio/hooks/switch-root",
        "usr/lib/initcpio/install/switch-root",
        "usr/share/man/man8/switch-root.8",
        "usr/share/zsh/site-functions/_srctl",
    ] {
        ensure!(root.path().join(file).is_file(), "there is no {file}");
    }
    Ok(())
}
