//! The minimal Debian that packages are installed into.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{PACKAGES, output, package};
use crate::tools::{Checked, named_by, need_privileges, program};

/// Unpacks it into a folder, with the packages in its `/packages`.
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
    for name in PACKAGES {
        let file = package(name)?;
        let name = file.file_name().ok_or("a package has no name")?;
        fs::copy(&file, packages.join(name))?;
    }
    Ok(())
}
