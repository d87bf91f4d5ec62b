//! What is installed, at the places where it is installed: one tree, which the archive has
//! whole, and of which each Debian package has its part (host/distribution/debian/*.install).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::files::{copy, make_folder};
use super::release::{Release, here};
use super::{book, licences};
use crate::run::{files_below, workspace};

/// Folders of host/distribution, and where their files go, with the modes that they have.
const FOLDERS: [(&str, &str); 8] = [
    ("dracut", "usr/lib/dracut/modules.d"),
    ("etc", "etc/switch-root"),
    ("initramfs-tools/hooks", "usr/share/initramfs-tools/hooks"),
    (
        "initramfs-tools/post-update.d",
        "etc/initramfs/post-update.d",
    ),
    // What the hooks of all generators do alike.
    ("lib", "usr/lib/switch-root"),
    ("mkinitcpio", "usr/lib/initcpio"),
    ("mkosi", "usr/share/doc/switch-root/examples/mkosi"),
    ("systemd", "usr/lib/systemd/system"),
];

/// Folders that policies are put into, and that are there before anybody has.
const EMPTY: [&str; 2] = [
    "etc/switch-root/policies.d",
    "usr/lib/switch-root/policies.d",
];

/// Completions: the file in target/dist, and where its shell looks for it.
const COMPLETIONS: [(&str, &str); 3] = [
    ("srctl.bash", "usr/share/bash-completion/completions/srctl"),
    ("_srctl", "usr/share/zsh/site-functions/_srctl"),
    (
        "srctl.fish",
        "usr/share/fish/vendor_completions.d/srctl.fish",
    ),
];

/// Documents, by the package that has them.
const DOCUMENTS: [(&str, &str); 10] = [
    ("host/switch/FAILURES.md", "switch-root"),
    ("host/switch/REPORT.md", "switch-root"),
    ("host/switch/THREATS.md", "switch-root"),
    ("host/switch/report.schema.json", "switch-root"),
    ("host/distribution/README.md", "switch-root"),
    ("wit/policy.wit", "switch-root"),
    ("host/srctl/DOCTOR.md", "srctl"),
    ("host/srctl/FAILURES.md", "srctl"),
    ("host/srctl/STATUS.md", "srctl"),
    ("host/preview/PLAN.md", "srctl"),
];

/// Writes the tree.
///
/// # Errors
/// What was not built, or cannot be written.
pub fn write(release: &Release, root: &Path) -> Result<()> {
    let dist = &release.dist;
    let programs = match release.architecture == here()? {
        true => dist.clone(),
        false => dist.join(release.architecture.name()),
    };
    for name in ["switch_root", "switch_root-aot"] {
        let installed = root.join("usr/lib/switch-root").join(name);
        copy(&programs.join(name), &installed, true)?;
    }
    copy(&programs.join("srctl"), &root.join("usr/bin/srctl"), true)?;
    for folder in EMPTY {
        make_folder(&root.join(folder))?;
    }
    distribution(root)?;
    policies(&dist.join("policies"), root)?;
    for (name, place) in COMPLETIONS {
        copy(
            &dist.join("completions").join(name),
            &root.join(place),
            false,
        )?;
    }
    pages(&dist.join("man"), root)?;
    pages(&workspace().join("host/distribution/man"), root)?;
    let documents = documents()?;
    for (document, place) in &documents {
        copy(&workspace().join(document), &root.join(place), false)?;
    }
    book::write(root, &documents)?;
    for package in licences::PACKAGES {
        licences::write(release, package, &doc(root, package))?;
    }
    open_folders(root)
}

/// The documents, and what is written about each policy: where they are in the repository, and
/// where they are installed.
///
/// # Errors
/// The folder of the policies cannot be read.
pub fn documents() -> Result<Vec<(PathBuf, PathBuf)>> {
    let mut documents = Vec::new();
    for (document, package) in DOCUMENTS {
        let document = PathBuf::from(document);
        let name = document.file_name().unwrap_or_default();
        let place = doc(Path::new(""), package).join(name);
        documents.push((document, place));
    }
    for entry in fs::read_dir(workspace().join("policies")).context("reading policies")? {
        let name = entry?.file_name();
        let about = Path::new("policies").join(&name).join("README.md");
        if workspace().join(&about).exists() {
            let place = doc(Path::new(""), "switch-root-policies").join(&name);
            documents.push((about, place.with_extension("md")));
        }
    }
    documents.sort();
    Ok(documents)
}

/// The documents of a package.
fn doc(root: &Path, package: &str) -> std::path::PathBuf {
    root.join("usr/share/doc").join(package)
}

/// The hooks of generators, units and settings.
fn distribution(root: &Path) -> Result<()> {
    let distribution = workspace().join("host/distribution");
    for (folder, place) in FOLDERS {
        let source = distribution.join(folder);
        let files = files_below(&source)?;
        if files.is_empty() {
            bail!("{} has no files", source.display());
        }
        for file in files {
            // Explains what is in the folder, and is none of it; but of an example it is.
            let explains = file.extension().is_some_and(|ending| ending == "md");
            if explains && folder != "mkosi" {
                continue;
            }
            let executable = fs::metadata(&file)?.permissions().mode() & 0o100 != 0;
            let name = file.strip_prefix(&source)?;
            copy(&file, &root.join(place).join(name), executable)?;
        }
    }
    Ok(())
}

/// The policies that ship.
fn policies(built: &Path, root: &Path) -> Result<()> {
    for file in files_below(built)? {
        let name = file.file_name().unwrap_or_default();
        copy(
            &file,
            &root.join("usr/share/switch-root/policies").join(name),
            false,
        )?;
    }
    Ok(())
}

/// Manual pages, each into the folder of its section.
fn pages(folder: &Path, root: &Path) -> Result<()> {
    for page in files_below(folder)? {
        let section = page
            .extension()
            .and_then(|section| section.to_str())
            .with_context(|| format!("{} is of no section", page.display()))?;
        let place = root.join(format!("usr/share/man/man{section}"));
        copy(
            &page,
            &place.join(page.file_name().unwrap_or_default()),
            false,
        )?;
    }
    Ok(())
}

/// Lets everybody read every folder, whatever the umask says.
fn open_folders(folder: &Path) -> Result<()> {
    make_folder(folder)?;
    for entry in fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_folders(&entry.path())?;
        }
    }
    Ok(())
}
