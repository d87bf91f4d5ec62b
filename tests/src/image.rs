//! Images of file systems, made by the programs that Debian has for them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::apply::apply;
use crate::steps::Step;

/// The programs that are run.
pub const PROGRAMS: [&str; 2] = ["mksquashfs", "mkfs.erofs"];

/// Which file system an image holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// By `mksquashfs`.
    Squashfs,
    /// By `mkfs.erofs`.
    Erofs,
}

/// Makes an image named `name` in `folder` of what the steps make, all of it root's.
/// Paths of the steps are those in the image.
///
/// # Errors
/// Steps that fail, and what the program says.
pub fn make(folder: &Path, name: &str, format: Format, steps: &[Step]) -> io::Result<PathBuf> {
    let tree = folder.join(format!("{name}.tree"));
    fs::create_dir_all(&tree)?;
    let steps: Vec<Step> = steps
        .iter()
        .map(|step| Step {
            path: [tree.as_os_str().as_encoded_bytes(), &step.path].concat(),
            make: step.make.clone(),
        })
        .collect();
    apply(&steps, Path::new("/"))?;
    let image = folder.join(name);
    let mut command = match format {
        Format::Squashfs => {
            let mut command = Command::new("mksquashfs");
            command
                .args([&tree, &image])
                .args(["-noappend", "-all-root", "-no-progress"]);
            command
        }
        Format::Erofs => {
            let mut command = Command::new("mkfs.erofs");
            command.arg("--all-root").args([&image, &tree]);
            command
        }
    };
    let output = command.stdin(Stdio::null()).output()?;
    if !output.status.success() {
        return Err(io::Error::other(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    fs::remove_dir_all(tree)?;
    Ok(image)
}

/// The digest of a file, `sha256:<hex>`.
///
/// # Errors
/// Those of reading the file.
pub fn digest(file: &Path) -> io::Result<String> {
    Ok(format!("sha256:{:x}", Sha256::digest(fs::read(file)?)))
}
