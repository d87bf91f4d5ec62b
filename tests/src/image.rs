//! Images of file systems, made by the programs that Debian has for them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::apply::apply_in;
use crate::programs::output;
use crate::scene::{INIT, QUESTIONS, Questions};
use crate::steps::{Content, Step, Steps};

/// The programs that are run.
pub const PROGRAMS: [&str; 2] = ["mksquashfs", "mkfs.erofs"];

/// The size of images that can be written.
const EXT4_SIZE: &str = "32M";

/// Where a running system finds which extensions it has.
pub const EXTENSIONS: &str = "/etc/extensions.yaml";

/// Which file system an image holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Format {
    /// By `mksquashfs`.
    Squashfs,
    /// By `mkfs.erofs`.
    Erofs,
    /// By `mke2fs`: of [`EXT4_SIZE`], and everything in it is whose it is here.
    Ext4,
}

/// Makes an image named `name` in `folder` of what the steps make, all of it root's.
/// Paths of the steps are those in the image.
///
/// # Errors
/// Steps that fail, and what the program says.
pub fn make(folder: &Path, name: &str, format: Format, steps: &[Step]) -> io::Result<PathBuf> {
    let tree = folder.join(format!("{name}.tree"));
    apply_in(&tree, steps)?;
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
        Format::Ext4 => {
            let mut command = Command::new("mke2fs");
            command.args(["-q", "-t", "ext4", "-d"]);
            command.args([&tree, &image]).arg(EXT4_SIZE);
            command
        }
    };
    output(&mut command)?;
    fs::remove_dir_all(tree)?;
    Ok(image)
}

/// What a root image must hold to be booted: the probe as its init, an os-release, and
/// the place for the list of extensions.
///
/// # Errors
/// That the questions cannot be written down.
pub fn root(probe: &Path, questions: &Questions) -> io::Result<Vec<Step>> {
    let steps = ["/dev", "/proc", "/sys", "/run"]
        .into_iter()
        .fold(Vec::new(), Steps::directory);
    Ok(steps
        .executable(INIT, Content::Copy(probe.into()))
        .file(QUESTIONS, serde_json::to_vec(questions)?)
        .file("/etc/os-release", "ID=probeos\nVERSION_ID=2.5.1\n")
        .file(EXTENSIONS, ""))
}

/// The digest of a file, `sha256:<hex>`.
///
/// # Errors
/// Those of reading the file.
pub fn digest(file: &Path) -> io::Result<String> {
    Ok(format!("sha256:{:x}", Sha256::digest(fs::read(file)?)))
}
