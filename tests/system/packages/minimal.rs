//! The minimal Debian that packages are installed into.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::archive;
use super::{PACKAGES, folder, output, package};
use crate::tools::{Checked, named_by, need_privileges, program};

/// Unpacks it into a folder, with the packages, the archive and their checksums in its
/// `/packages`.
pub fn unpack(root: &Path) -> Checked {
    need_privileges()?;
    let archive = named_by(
        "SWITCH_ROOT_MINIMAL_DEBIAN",
        "the archive of a minimal Debian",
    )?;
    output(
        Command::new(program("tar")?)
            .args(["--extract", "--numeric-owner", "--file"])
            .arg(archive)
            .arg("--directory")
            .arg(root),
    )?;
    let packages = root.join("packages");
    fs::create_dir(&packages)?;
    let mut files = vec![folder()?.join("SHA256SUMS"), archive::archive()?];
    for name in PACKAGES {
        files.push(package(name)?);
    }
    for file in files {
        let name = file.file_name().ok_or("a package has no name")?;
        fs::copy(&file, packages.join(name))?;
    }
    Ok(())
}
