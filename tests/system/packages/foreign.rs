//! The packages for machines of another architecture, which are built on this one.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{listed, listed_in, output, package, package_for, unpacked_file};
use crate::check::ensure;
use crate::cost::segments;
use crate::tools::{Checked, Stop, program};

/// Those with programs in them. The policies are the same everywhere.
const PACKAGES: [&str; 2] = ["switch-root", "srctl"];
/// Debian's name, and that of the archive.
const ARCHITECTURE: (&str, &str) = ("arm64", "aarch64");

/// Checks that the packages for aarch64 are what those for this architecture are, and that
/// their programs are for that one.
///
/// # Errors
/// What differs; or that they have not been built.
pub fn are_the_same_for_aarch64() -> Checked {
    for name in PACKAGES {
        let file = package_for(name, &[ARCHITECTURE.0])?.ok_or_else(|| {
            Stop::NotThere("they take minutes: `cargo xtask prove aarch64` builds them".into())
        })?;
        let (here, there) = (listed(name)?, listed_in(name, &file)?);
        ensure!(
            here == there,
            "{name} has {here:#?}\nand for aarch64 {there:#?}"
        );
        let field = |file: &Path, field: &str| {
            output(
                Command::new(program("dpkg-deb")?)
                    .arg("--field")
                    .args([file.as_os_str(), field.as_ref()]),
            )
        };
        let architecture = field(&file, "Architecture")?;
        ensure!(
            architecture.trim() == ARCHITECTURE.0,
            "{name}: {architecture}"
        );
        for same in [
            "Version",
            "Depends",
            "Recommends",
            "Suggests",
            "Description",
        ] {
            let (here, there) = (field(&package(name)?, same)?, field(&file, same)?);
            ensure!(here == there, "{name}: {same}: {here} {there}");
        }
        programs_are_for_it(name, &file)?;
    }
    Ok(())
}

/// Checks that all programs of a package are static ones for aarch64.
fn programs_are_for_it(name: &str, file: &Path) -> Checked {
    /// `e_machine` of linux/elf-em.h, and the segment that names a loader.
    const AARCH64: u16 = 183;
    const INTERPRETER: u32 = 3;
    let folder = unpacked_file(file)?;
    let mut programs = 0;
    let mut folders = vec![folder.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
                continue;
            }
            if !kind.is_file() {
                continue;
            }
            let bytes = fs::read(entry.path())?;
            if !bytes.starts_with(b"\x7fELF") {
                continue;
            }
            programs += 1;
            let shown = entry.path();
            let shown = shown.display();
            ensure!(
                bytes[18..20] == AARCH64.to_le_bytes(),
                "{shown} is for another machine"
            );
            let kinds = segments(&entry.path())?;
            ensure!(!kinds.contains(&INTERPRETER), "{shown} needs a loader");
        }
    }
    let expected = if name == "srctl" { 1 } else { 2 };
    ensure!(programs == expected, "{name} has {programs} programs");
    Ok(())
}
