//! `cargo xtask packages`: what people install, in `target/dist/packages/`: Debian's packages,
//! and an archive for everybody else. host/distribution/PACKAGES.md says what is in them.

mod book;
mod changelog;
mod debian;
mod files;
mod licences;
mod minimal;
mod release;
mod tarball;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use switch_root_tests::architecture::Architecture;

use release::{Release, here};

use crate::dist;
use crate::run::{output, step, target, workspace};

pub use release::VERSION;

/// The list of checksums.
const SUMS: &str = "SHA256SUMS";

/// Builds the packages for the machines of an architecture, or of this one's, and prints
/// what was made.
///
/// # Errors
/// What is missing, cannot be built, or cannot be written.
pub fn packages(architecture: Option<Architecture>) -> Result<()> {
    let architecture = architecture.unwrap_or(here()?);
    let dist = dist::dist()?;
    if architecture != here()? {
        dist::dist_for(architecture)?;
    }
    let folder = dist.join("packages");
    let staged = target().join("packages").join(architecture.name());
    make(architecture, &dist, &folder, &staged)?;
    println!("\n{:>12}  file", "bytes");
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        println!(
            "{:>12}  target/dist/packages/{}",
            entry.metadata()?.len(),
            entry.file_name().to_string_lossy()
        );
    }
    Ok(())
}

/// What the tests of packages take.
pub struct Tried {
    /// The packages, with their checksums.
    pub folder: PathBuf,
    /// The archive of a minimal Debian.
    pub debian: PathBuf,
}

/// The archive of a minimal Debian to try packages in; or why they cannot be built or tried.
///
/// # Errors
/// Where that cannot be found out.
pub fn possible() -> Result<Result<PathBuf, String>> {
    let missing = debian::missing();
    if !missing.is_empty() {
        return Ok(Err(format!(
            "the packages, which are built with Debian's {}",
            missing.join(" ")
        )));
    }
    minimal::root()
}

/// Makes the packages of what is laid out in a folder, twice, to be tried in what [`possible`]
/// returned.
///
/// # Errors
/// They cannot be built, or differ between the two: what somebody else builds of the same
/// commit would have other checksums.
pub fn to_try(debian: PathBuf, dist: &Path) -> Result<Tried> {
    let folder = dist.join("packages");
    make(here()?, dist, &folder, &target().join("packages/first"))?;
    let again = target().join("packages/again");
    let second = again.join("where the path is a longer one");
    make(here()?, dist, &second, &again.join("staged"))?;
    let first = contents(&folder)?;
    for (name, bytes) in contents(&second)? {
        ensure!(
            first.get(&name) == Some(&bytes),
            "{name} is not the same when it is built again: compare that in {} with that in {} (diffoscope shows how they differ)",
            folder.display(),
            second.display()
        );
    }
    fs::remove_dir_all(&again).with_context(|| format!("removing {}", again.display()))?;
    Ok(Tried { folder, debian })
}

/// The packages in a folder with what is in them. The list of checksums covers those of
/// other architectures, too.
fn contents(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != SUMS {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(files)
}

/// Makes the packages of what lies in `dist`. They are put into `folder` when all are there.
fn make(architecture: Architecture, dist: &Path, folder: &Path, staged: &Path) -> Result<()> {
    let release = Release {
        architecture,
        dist: dist.to_owned(),
        epoch: epoch()?,
    };
    let missing = debian::missing();
    ensure!(
        missing.is_empty(),
        "packages are built with Debian's tools: install {}",
        missing.join(" ")
    );
    step(&format!("packages for {}", architecture.name()));
    if staged.exists() {
        fs::remove_dir_all(staged).with_context(|| format!("removing {}", staged.display()))?;
    }
    let root = staged.join("source/root");
    tree::write(&release, &root)?;
    let mut made = vec![tarball::write(&release, &root, staged)?];
    made.extend(debian::build(&release, &staged.join("source"))?);
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    remove_older(&release, folder)?;
    for file in made {
        let name = file.file_name().context("a package has no name")?;
        fs::rename(&file, folder.join(name))
            .with_context(|| format!("moving {} to {}", file.display(), folder.display()))?;
    }
    sums(folder)
}

/// Packages of other versions would be in the list of checksums.
fn remove_older(release: &Release, folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let of_now = name.contains(&format!("_{}_", release::version()))
            || name.starts_with(&format!("switch-root-{VERSION}-"));
        let replaced = name.contains(&format!("_{}.", release.debian()))
            || name.contains(&format!("-{}.tar", release.architecture.name()));
        if !of_now || replaced {
            fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// Writes the checksums of all packages in a folder, as `sha256sum --check` reads them.
fn sums(folder: &Path) -> Result<()> {
    let names: Vec<String> = contents(folder)?.into_keys().collect();
    let list = output(
        Command::new("sha256sum")
            .arg("--")
            .args(&names)
            .current_dir(folder),
    )?;
    let path = folder.join(SUMS);
    fs::write(&path, list).with_context(|| format!("writing {}", path.display()))
}

/// The time that is written into packages: SOURCE_DATE_EPOCH, as everywhere; or that of
/// the commit.
fn epoch() -> Result<u64> {
    let said = match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(said) => said,
        Err(_) => output(
            Command::new("git")
                .args(["log", "-1", "--format=%ct"])
                .current_dir(workspace()),
        )
        .context(
            "packages are dated by their commit, and there is none here; set SOURCE_DATE_EPOCH to the seconds since 1970 of the sources' release",
        )?,
    };
    match said.trim().parse() {
        Ok(epoch) => Ok(epoch),
        Err(error) => bail!("SOURCE_DATE_EPOCH is `{}`: {error}", said.trim()),
    }
}
