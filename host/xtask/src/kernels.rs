//! Kernels to boot, and the modules that booting an image takes: from Debian's
//! packages, unpacked and never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use switch_root_tests::architecture::Architecture;

use crate::run::{output, run, step, target};
use crate::setup::{self, DEPMOD};

/// Where kernels come from: 6.1 and 6.12, whose root cannot be pivoted away, and the
/// newest there is, whose root can. For aarch64 the oldest and the newest do.
fn suites(architecture: Architecture) -> &'static [&'static str] {
    match architecture {
        Architecture::X86_64 => &["bookworm", "trixie", "sid"],
        Architecture::Aarch64 => &["bookworm", "sid"],
    }
}

/// Debian's name of an architecture.
fn debian(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "amd64",
        Architecture::Aarch64 => "arm64",
    }
}

/// The modules that are kept, with what they need.
const MODULES: [&str; 5] = ["loop", "squashfs", "erofs", "overlay", "fuse"];
/// Packages of a moving suite are replaced: after this time it is asked again.
const FRESH: Duration = Duration::from_secs(3 * 24 * 3600);

/// A folder with a `vmlinuz-RELEASE` and a `modules-RELEASE` (what is to be at
/// `/lib/modules/RELEASE`) for each kernel that could be had, and why the others
/// could not.
pub fn fetch(architecture: Architecture) -> (PathBuf, Vec<String>) {
    let folder = target().join("kernels");
    let folder = match architecture {
        Architecture::X86_64 => folder,
        other => folder.join(other.name()),
    };
    let missing = suites(architecture)
        .iter()
        .filter_map(|suite| {
            fetch_one(&folder, suite, debian(architecture))
                .err()
                .map(|error| {
                    let name = architecture.name();
                    format!("the kernel for {name} of Debian {suite}: {error:#}")
                })
        })
        .collect();
    (folder, missing)
}

fn fetch_one(folder: &Path, suite: &str, debian: &str) -> Result<()> {
    let missing = setup::tools(&[&DEPMOD]);
    ensure!(
        missing.is_empty(),
        "depmod is missing ({})",
        missing.join(" ")
    );
    // Names the kernel of a suite, and tells when it was fetched.
    let stamp = folder.join(format!("{suite}.release"));
    let at_hand = fs::read_to_string(&stamp).is_ok_and(|name| {
        folder.join(&name).is_file() && has_modules(&folder.join(modules_of(&name)))
    });
    let fresh = fs::metadata(&stamp)
        .and_then(|file| file.modified())
        .is_ok_and(|modified| {
            SystemTime::now()
                .duration_since(modified)
                .is_ok_and(|age| age < FRESH)
        });
    if at_hand && fresh {
        return Ok(());
    }
    step(&format!("the kernel of Debian {suite} for {debian}"));
    match download(folder, suite, debian) {
        Ok(name) => {
            if let Ok(old) = fs::read_to_string(&stamp)
                && old != name
            {
                let _ = fs::remove_dir_all(folder.join(modules_of(&old)));
                let _ = fs::remove_file(folder.join(old));
            }
            fs::write(&stamp, name).with_context(|| format!("writing {}", stamp.display()))
        }
        // Without a network yesterday's kernel is as good.
        Err(error) if at_hand => {
            eprintln!("xtask: the kernel at hand is used, since there is no newer one: {error:#}");
            Ok(())
        }
        Err(error) => Err(error),
    }
}

/// Fetches the newest kernel of a suite and returns the name of its file.
fn download(folder: &Path, suite: &str, debian: &str) -> Result<String> {
    // apt wants absolute paths.
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let state = folder.canonicalize()?.join(suite);
    for part in ["lists/partial", "cache/archives/partial", "sources"] {
        fs::create_dir_all(state.join(part))?;
    }
    let source = format!(
        "Types: deb\nURIs: {}\nSuites: {suite}\nComponents: main\nArchitectures: {debian}\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n",
        mirror()?
    );
    fs::write(state.join("sources/kernel.sources"), source)?;
    // A package index of its own: the machine's own stays as it is.
    let apt = |program: &str| {
        let mut apt = Command::new(program);
        apt.current_dir(&state).env("LC_ALL", "C");
        for (option, value) in [
            ("Dir::Etc::sourcelist", "/dev/null".to_owned()),
            (
                "Dir::Etc::sourceparts",
                state.join("sources").display().to_string(),
            ),
            (
                "Dir::State::lists",
                state.join("lists").display().to_string(),
            ),
            ("Dir::State::status", "/dev/null".to_owned()),
            ("Dir::Cache", state.join("cache").display().to_string()),
            ("APT::Architecture", debian.to_owned()),
            ("APT::Sandbox::User", "root".to_owned()),
        ] {
            apt.arg("-o").arg(format!("{option}={value}"));
        }
        apt
    };
    run(apt("apt-get").args(["-qq", "update"]))?;
    // It depends on the newest kernel of the suite.
    let meta = format!("linux-image-cloud-{debian}");
    // From the meta package to those that hold the image and the modules: they
    // are split in newer suites.
    let package = depends(
        &output(apt("apt-cache").args(["depends", &meta]))?,
        "linux-image-",
    )
    .with_context(|| format!("{meta} of {suite} depends on no kernel"))?;
    let dependencies = output(apt("apt-cache").args(["depends", &package]))?;
    let parts: Vec<String> = ["linux-binary-", "linux-modules-"]
        .iter()
        .filter_map(|part| depends(&dependencies, part))
        .collect();
    let packages = if parts.is_empty() {
        vec![package]
    } else {
        parts
    };
    for old in files_ending(&state, ".deb")? {
        fs::remove_file(old)?;
    }
    run(apt("apt-get").args(["-qq", "download"]).args(&packages))?;
    let archives = files_ending(&state, ".deb")?;
    ensure!(
        archives.len() == packages.len(),
        "apt-get download {} left {} files",
        packages.join(" "),
        archives.len()
    );
    let unpacked = state.join("unpacked");
    let _ = fs::remove_dir_all(&unpacked);
    for archive in &archives {
        run(Command::new("dpkg-deb")
            .arg("--extract")
            .args([archive, &unpacked]))?;
    }
    let (image, release) = find_image(&unpacked)?
        .with_context(|| format!("{} hold no kernel image", packages.join(" ")))?;
    let name = format!("vmlinuz-{release}");
    keep_modules(&unpacked, &release, &folder.join(modules_of(&name)))?;
    fs::copy(&image, folder.join(&name)).with_context(|| format!("copying {}", image.display()))?;
    // Packages and their index are five times the size of what is kept of them.
    fs::remove_dir_all(&state)?;
    Ok(name)
}

/// The folder of the modules that belong to a kernel's file.
fn modules_of(kernel: &str) -> String {
    kernel.replacen("vmlinuz-", "modules-", 1)
}

/// The file in the folder of modules that says which [`MODULES`] were looked for: some
/// kernels have them built in.
const LOOKED_FOR: &str = "looked-for";

/// Whether the folder of modules has those that are wanted today.
fn has_modules(folder: &Path) -> bool {
    fs::read_to_string(folder.join(LOOKED_FOR)).is_ok_and(|text| text == MODULES.join(" "))
}

/// Copies [`MODULES`] and what they need, with an index of them alone.
fn keep_modules(unpacked: &Path, release: &str, folder: &Path) -> Result<()> {
    // Where depmod looks.
    let usual = unpacked.join("lib/modules");
    if !usual.exists() {
        fs::create_dir_all(unpacked.join("lib"))?;
        fs::rename(unpacked.join("usr/lib/modules"), &usual)?;
    }
    run(Command::new("depmod").arg("-b").arg(unpacked).arg(release))?;
    let source = usual.join(release);
    let index = fs::read_to_string(source.join("modules.dep"))?;
    let wanted = index.lines().filter(|line| {
        let (module, _) = line.split_once(':').unwrap_or((line, ""));
        let file = module.rsplit('/').next().unwrap_or(module);
        MODULES
            .iter()
            .any(|name| file.starts_with(&format!("{name}.ko")))
    });
    let _ = fs::remove_dir_all(folder);
    fs::create_dir_all(folder)?;
    let mut kept = String::new();
    for line in wanted {
        for file in line.replace(':', " ").split_whitespace() {
            let target = folder.join(file);
            fs::create_dir_all(target.parent().unwrap_or(folder))?;
            fs::copy(source.join(file), &target)
                .with_context(|| format!("copying the module {file}"))?;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    fs::write(folder.join("modules.dep"), kept)?;
    fs::write(folder.join(LOOKED_FOR), MODULES.join(" "))?;
    Ok(())
}

/// The mirror that this machine's apt uses.
///
/// # Errors
/// Where it uses none.
pub fn mirror() -> Result<String> {
    let targets = output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(SITE) $(ORIGIN)",
        "Created-By: Packages",
    ]))?;
    targets
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(site, origin)| *origin == "Debian" && !site.contains("security"))
        .map(|(site, _)| site.to_owned())
        .context("apt knows no Debian mirror; run `apt-get update` as root first")
}

fn depends(listing: &str, prefix: &str) -> Option<String> {
    listing
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|package| package.starts_with(prefix))
        .map(str::to_owned)
}

fn files_ending(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(ending) {
            files.push(path);
        }
    }
    Ok(files)
}

/// The kernel in an unpacked package, and its release.
fn find_image(unpacked: &Path) -> Result<Option<(PathBuf, String)>> {
    let names = |folder: &Path| -> Result<Vec<String>> {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(error).with_context(|| format!("reading {}", folder.display()));
            }
        };
        Ok(entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect())
    };
    let boot = unpacked.join("boot");
    for name in names(&boot)? {
        if let Some(release) = name.strip_prefix("vmlinuz-") {
            return Ok(Some((boot.join(&name), release.to_owned())));
        }
    }
    // Where it is from forky on.
    let modules = unpacked.join("usr/lib/modules");
    for release in names(&modules)? {
        let image = modules.join(&release).join("vmlinuz");
        if image.is_file() {
            // Out of the way of the modules, which may be moved.
            let aside = unpacked.join("vmlinuz");
            fs::rename(&image, &aside)?;
            return Ok(Some((aside, release)));
        }
    }
    Ok(None)
}
