//! The folder of an extension: `manifest.yaml`, `rootfs`, and nothing else.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_policy::constraint::Version;

use super::collector::Collector;
use crate::folder::{MANIFEST, ROOTFS};
use crate::manifest::{self, Manifest};

switch_root_core::outcomes! {
    /// Why an extension is not examined.
    pub enum Unread in "extensions" {
        /// The system's own words follow.
        "SR-Y03" Extension { path: String } = "cannot look at the extension {path}",
    }
}

switch_root_core::outcomes! {
    /// What is wrong with the folder of an extension.
    pub enum Unfit in "extension-findings" {
        /// An image of an extension holds nothing but these two.
        "SR-Y46" Unexpected = "an extension is manifest.yaml and rootfs; put what belongs into the new root into rootfs, and leave the rest out",
        "SR-Y47" RootfsIsNoFolder = "rootfs is not a directory; it must be one, with what belongs into the new root",
        "SR-Y48" NoRootfs = "there is no rootfs, the directory with what belongs into the new root; is this the image of an extension?",
        "SR-Y49" ManifestIsNoFile = "manifest.yaml is not a file; it must be one, and no link",
        "SR-Y50" NoManifest = "there is no manifest.yaml, which names the extension and its version; is this the image of an extension?",
        "SR-Y51" Constraint { system: String, version: String, error: String } = "metadata.compatibility.{system}.version, {version:?}, cannot be read as a version constraint: {error}; write one like \">= 1.6.0 < 2.0.0\"",
    }
}

/// Looks at the folder, and gives back the manifest and the path of the root
/// directory, where they are as they must be.
pub(super) fn check(
    folder: &Path,
    findings: &mut Collector,
) -> Result<(Option<Manifest>, Option<PathBuf>)> {
    let failed = |error: std::io::Error| {
        let path = escape::path(folder.as_os_str().as_encoded_bytes());
        Error::system(Unread::Extension { path }, &error)
    };
    let mut unexpected = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if name != MANIFEST && name != ROOTFS {
            unexpected.push(escape::path(name.as_encoded_bytes()));
        }
    }
    unexpected.sort();
    for name in unexpected {
        findings.error("unexpected-file", &name, Unfit::Unexpected);
    }
    let rootfs = folder.join(ROOTFS);
    let rootfs = match kind(&rootfs).map_err(failed)? {
        Some(kind) if kind.is_dir() => Some(rootfs),
        Some(_) => {
            findings.error("rootfs-missing", ROOTFS, Unfit::RootfsIsNoFolder);
            None
        }
        None => {
            findings.error("rootfs-missing", ROOTFS, Unfit::NoRootfs);
            None
        }
    };
    let path = folder.join(MANIFEST);
    let manifest = match kind(&path).map_err(failed)? {
        Some(kind) if kind.is_file() => read(&path, findings).map_err(failed)?,
        Some(_) => {
            findings.error("manifest-missing", MANIFEST, Unfit::ManifestIsNoFile);
            None
        }
        None => {
            findings.error("manifest-missing", MANIFEST, Unfit::NoManifest);
            None
        }
    };
    Ok((manifest, rootfs))
}

fn kind(path: &Path) -> std::io::Result<Option<FileType>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata.file_type())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(path: &Path, findings: &mut Collector) -> std::io::Result<Option<Manifest>> {
    let mut text = Vec::new();
    let file: File = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)?;
    // One byte more, by which the reader knows what is too large.
    file.take(manifest::LARGEST as u64 + 1)
        .read_to_end(&mut text)?;
    match manifest::parse(&text) {
        Ok(manifest) => {
            constraints(&manifest, findings);
            if let Some(problem) = &manifest.second {
                findings.warning("second-document", MANIFEST, problem.whole());
            }
            for problem in &manifest.unknown {
                findings.warning("unknown-key", MANIFEST, problem.whole());
            }
            Ok(Some(manifest))
        }
        Err(problems) => {
            for problem in problems {
                findings.error("manifest-invalid", MANIFEST, problem.whole());
            }
            Ok(None)
        }
    }
}

fn constraints(manifest: &Manifest, findings: &mut Collector) {
    let constraints = manifest.compatibility.iter();
    // An empty one constrains nothing.
    for (system, version) in constraints.filter(|(_, version)| !version.trim().is_empty()) {
        // Any version will do to see whether the constraint is one.
        if let Err(error) = Version::default().satisfies(version) {
            findings.error(
                "constraint",
                MANIFEST,
                Unfit::Constraint {
                    system: system.clone(),
                    version: version.clone(),
                    error: error.to_string(),
                },
            );
        }
    }
}
