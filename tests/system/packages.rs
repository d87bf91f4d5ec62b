//! The packages, as they are installed, upgraded and removed, in a minimal Debian; and the
//! archive for everybody else. `cargo xtask test` builds them, twice, and compares.

mod archive;
pub mod foreign;
mod lifetime;
pub mod minimal;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::Trial;

use crate::check::{ensure, says};
use crate::manual_pages::{self, CHECKS};
use crate::tools::{self, Checked, Stop, named_by, program};

tools::cases![
    each_package_has_what_it_is_to_have,
    the_packages_have_no_faults_that_lintian_knows,
    what_others_wrote_is_named_with_the_text_of_its_licence,
    manual_pages_of_the_packages_have_no_faults,
    the_manual_page_has_every_option_that_the_help_has,
];

/// All tests of packages.
pub fn all() -> Vec<Trial> {
    [cases(), lifetime::cases(), archive::cases()]
        .into_iter()
        .flatten()
        .collect()
}

/// The folder of the packages.
fn folder() -> Result<PathBuf, Stop> {
    named_by("SWITCH_ROOT_PACKAGES", "the folder of the packages")
}

/// The file of a package for machines like this one, by the name of the package.
fn package(name: &str) -> Result<PathBuf, Stop> {
    package_for(name, &["amd64", "all"])?.ok_or_else(|| {
        Stop::Skip(format!(
            "there is no package {name} in SWITCH_ROOT_PACKAGES"
        ))
    })
}

/// The file of a package for one of these architectures, if there is one.
fn package_for(name: &str, architectures: &[&str]) -> Result<Option<PathBuf>, Stop> {
    let start = format!("{name}_");
    let named = |path: &PathBuf| {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let ends = |architecture: &&str| file.ends_with(&format!("_{architecture}.deb"));
        file.starts_with(&start) && architectures.iter().any(ends)
    };
    let mut files = fs::read_dir(folder()?)?.flatten().map(|entry| entry.path());
    Ok(files.find(named))
}

/// The packages, by name.
const PACKAGES: [&str; 3] = ["switch-root", "srctl", "switch-root-policies"];

/// Runs a program that has to succeed, and gives what it prints.
fn output(command: &mut Command) -> Result<String, Stop> {
    let shown = format!("{command:?}");
    let output = command.output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{shown}: {errors}\n{said}");
    Ok(said)
}

/// Unpacks a package for machines like this one.
fn unpacked(name: &str) -> Result<tempfile::TempDir, Stop> {
    unpacked_file(&package(name)?)
}

/// Unpacks the file of a package.
fn unpacked_file(package: &Path) -> Result<tempfile::TempDir, Stop> {
    let folder = tempfile::tempdir()?;
    output(
        Command::new(program("dpkg-deb")?)
            .arg("--extract")
            .args([package, folder.path()]),
    )?;
    Ok(folder)
}

/// The paths of a package for machines like this one: see [`listed_in`].
fn listed(name: &str) -> Result<BTreeSet<String>, Stop> {
    listed_in(name, &package(name)?)
}

/// The paths of a package, as `dpkg-deb --contents` has them, with their modes and owners;
/// folders that any package has are left out. Units are in `/lib` or in `/usr/lib`, which are
/// one folder, as the debhelper has it that built the package.
fn listed_in(name: &str, package: &Path) -> Result<BTreeSet<String>, Stop> {
    let list = output(
        Command::new(program("dpkg-deb")?)
            .arg("--contents")
            .arg(package),
    )?;
    let mut paths = BTreeSet::new();
    for line in list.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [mode, owner, _, _, _, path, ..] = words[..] else {
            return Err(Stop::Fail(format!("{name}: {line}")));
        };
        ensure!(owner == "root/root", "{name}: {line}");
        let path = path.trim_start_matches('.');
        let path = match path.starts_with("/lib/") {
            true => format!("/usr{path}"),
            false => path.to_owned(),
        };
        let own = path.contains("switch-root") || path.contains("srctl");
        if mode.starts_with('d') && !own {
            ensure!(mode == "drwxr-xr-x", "{name}: {line}");
            continue;
        }
        paths.insert(format!("{mode} {path}"));
    }
    Ok(paths)
}

/// Fails unless each of these paths, with its mode, is in the package.
fn has(name: &str, expected: &[&str]) -> Checked {
    let paths = listed(name)?;
    for path in expected {
        ensure!(paths.contains(*path), "{name} has no {path}: {paths:#?}");
    }
    Ok(())
}

fn each_package_has_what_it_is_to_have() -> Checked {
    has(
        "switch-root",
        &[
            "drwxr-xr-x /etc/switch-root/policies.d/",
            "drwxr-xr-x /usr/lib/switch-root/policies.d/",
            "-rw-r--r-- /etc/switch-root/initramfs.conf",
            "-rwxr-xr-x /etc/initramfs/post-update.d/switch-root",
            "-rwxr-xr-x /usr/lib/dracut/modules.d/99switch-root/module-setup.sh",
            "-rwxr-xr-x /usr/lib/switch-root/switch_root",
            "-rwxr-xr-x /usr/lib/switch-root/switch_root-aot",
            "-rw-r--r-- /usr/lib/systemd/system/switch-root-preserve.service",
            "-rw-r--r-- /usr/share/doc/switch-root/FAILURES.md",
            "-rw-r--r-- /usr/share/doc/switch-root/book/README.md",
            "-rw-r--r-- /usr/share/doc/switch-root/book/how-to/write-policies.md",
            "-rw-r--r-- /usr/share/doc/switch-root/copyright",
            "-rw-r--r-- /usr/share/doc/switch-root/policy.wit",
            "-rwxr-xr-x /usr/share/initramfs-tools/hooks/switch-root",
            "-rw-r--r-- /usr/share/man/man5/switch-root-initramfs.conf.5.gz",
            "-rw-r--r-- /usr/share/man/man8/switch-root.8.gz",
        ],
    )?;
    has(
        "srctl",
        &[
            "-rwxr-xr-x /usr/bin/srctl",
            "-rw-r--r-- /usr/lib/systemd/system/switch-root-metrics.service",
            "-rw-r--r-- /usr/share/bash-completion/completions/srctl",
            "-rw-r--r-- /usr/share/doc/srctl/copyright",
            "-rw-r--r-- /usr/share/fish/vendor_completions.d/srctl.fish",
            "-rw-r--r-- /usr/share/man/man1/srctl-policy-new.1.gz",
            "-rw-r--r-- /usr/share/man/man1/srctl.1.gz",
            "-rw-r--r-- /usr/share/zsh/vendor-completions/_srctl",
        ],
    )?;
    let mut policies = vec!["-rw-r--r-- /usr/share/doc/switch-root-policies/copyright".to_owned()];
    for name in [
        "default",
        "extension-allowlist",
        "extension-relations",
        "handover",
        "keep-paths",
        "kernel-abi",
        "sysext",
    ] {
        policies.push(format!(
            "-rw-r--r-- /usr/share/switch-root/policies/{name}.wasm"
        ));
    }
    let policies: Vec<&str> = policies.iter().map(String::as_str).collect();
    has("switch-root-policies", &policies)?;
    // No file is in two of them.
    let mut all = BTreeSet::new();
    for name in PACKAGES {
        for path in listed(name)?
            .into_iter()
            .filter(|path| path.starts_with('-'))
        {
            ensure!(
                all.insert(path.clone()),
                "{name} has {path}, and so has another"
            );
        }
    }
    // They are what was tested, to the byte.
    let boot = unpacked("switch-root")?;
    let operator = unpacked("srctl")?;
    for (packed, tested) in [
        (
            boot.path().join("usr/lib/switch-root/switch_root"),
            tools::subject()?,
        ),
        (
            boot.path().join("usr/lib/switch-root/switch_root-aot"),
            tools::small()?,
        ),
        (operator.path().join("usr/bin/srctl"), tools::srctl()?),
    ] {
        ensure!(
            fs::read(&packed)? == fs::read(&tested)?,
            "{} is not {}",
            packed.display(),
            tested.display()
        );
    }
    Ok(())
}

fn the_packages_have_no_faults_that_lintian_knows() -> Checked {
    let mut lintian = Command::new(program("lintian")?);
    lintian.args(["--fail-on", "error,warning", "--allow-root", "--info"]);
    for name in PACKAGES {
        lintian.arg(package(name)?);
    }
    output(lintian.env("LC_ALL", "C.UTF-8")).map(drop)
}

fn what_others_wrote_is_named_with_the_text_of_its_licence() -> Checked {
    for (name, crates) in [
        (
            "switch-root",
            &["wasmtime 4", "nix 0", "postcard 1", "musl:"][..],
        ),
        (
            "srctl",
            &["wasmtime 4", "ring 0", "zstd-sys 2", "clap 4", "musl:"],
        ),
        ("switch-root-policies", &["wit-bindgen 0"]),
    ] {
        let folder = unpacked(name)?;
        let list = folder
            .path()
            .join(format!("usr/share/doc/{name}/third-party.txt.gz"));
        let text = output(Command::new(program("gzip")?).args(["-dc"]).arg(&list))?;
        says(&text, crates)?;
        says(&text, &["Permission is hereby granted", "Apache License"])?;
        // No folder of the machine that built them.
        ensure!(
            !text.contains("/registry/"),
            "{name} tells where crates were"
        );
    }
    Ok(())
}

fn manual_pages_of_the_packages_have_no_faults() -> Checked {
    let folder = unpacked("switch-root")?;
    let programs = CHECKS.map(|(name, arguments)| Ok((program(name)?, arguments)));
    let programs: Vec<_> = programs.into_iter().collect::<Result<_, Stop>>()?;
    for page in [
        "man5/switch-root-initramfs.conf.5.gz",
        "man8/switch-root.8.gz",
    ] {
        let page = folder.path().join("usr/share/man").join(page);
        for (program, arguments) in &programs {
            manual_pages::check(program, arguments, &page)?;
        }
    }
    Ok(())
}

/// The options of a help text: the words that begin with a dash at the beginning of a line.
fn options(help: &str) -> BTreeSet<String> {
    help.lines()
        .filter(|line| line.trim_start().starts_with('-'))
        .flat_map(|line| {
            let words = line
                .split_whitespace()
                .map(|word| word.trim_end_matches(','));
            words.take_while(|word| word.starts_with('-'))
        })
        .map(str::to_owned)
        .collect()
}

fn the_manual_page_has_every_option_that_the_help_has() -> Checked {
    let folder = unpacked("switch-root")?;
    let page = folder.path().join("usr/share/man/man8/switch-root.8.gz");
    let page = output(
        Command::new(program("man")?)
            .args(["-E", "ascii", "-l"])
            .arg(page)
            .env("LC_ALL", "C.UTF-8")
            .env("MANWIDTH", "100"),
    )?;
    let in_page = options(&page);
    let scratch = tempfile::tempdir()?;
    for name in ["switch_root", "run-init"] {
        let program = scratch.path().join(name);
        std::os::unix::fs::symlink(tools::subject()?, &program)?;
        let help = output(Command::new(&program).arg("--help"))?;
        let in_help = options(&help);
        ensure!(in_help.len() >= 4, "{name}: {in_help:?}");
        for option in in_help {
            ensure!(
                in_page.contains(&option),
                "switch-root(8) says nothing of {option}, which {name} has; it has {in_page:?}"
            );
        }
    }
    Ok(())
}
