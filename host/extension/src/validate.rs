//! Everything that is wrong with an extension, at once.
//!
//! The rules are today's of Talos, and what later mistakes taught. Each has a
//! name, which stays the same from release to release:
//!
//! | rule | severity | what it is about |
//! |---|---|---|
//! | `manifest-missing` `rootfs-missing` `unexpected-file` | error | An extension is `manifest.yaml` and `rootfs`, nothing else. |
//! | `manifest-invalid` | error | See [`crate::manifest`]. |
//! | `unknown-key` | warning | A key of the manifest's metadata that nobody reads. |
//! | `second-document` | warning | A document of the manifest that nobody reads. |
//! | `constraint` | error | A version constraint cannot be read. |
//! | `outside-allowed-paths` | error | Files that an extension may not bring. |
//! | `outside-allowed-paths` | warning | Files that Talos takes by the beginning of their names alone. |
//! | `world-writable` `setuid` `special-file` | error | Never, wherever it is. |
//! | `symlink-escapes` | error | A link climbs above the root, or is absolute and leads to a place where extensions have nothing. |
//! | `symlink-escapes` | warning | A link is absolute: whoever reads the layer elsewhere follows it out of the layer; or it climbs above the root of its container. |
//! | `world-writable` | warning | A directory of a container where all may make files, such as its /tmp. |
//! | `symlink-target` | warning | A relative link leads to a place where extensions have nothing. |
//! | `root-directory-mode` | error | `/` of the machine would get the mode of the layer's root directory. |
//! | `directory-mode` | error | So would a directory that the base system has. |
//! | `directory-mode` | warning | A directory that not everybody may enter. |
//! | `not-a-directory` | error | Something else would hide a directory of the base system. |
//! | `owner` | warning | Owners other than root, which packing does away with. |
//! | `kernel-release` | error | Modules contradict the manifest, or their directory. |
//! | `kernel-release` | warning | Modules for several kernels. |
//! | `kernel-modules` | warning | Kernel modules, which no index lists together with the machine's. |
//! | `microcode` | warning | Microcode, which comes too late in a layer. |
//! | `attributes` | warning | Extended attributes and file capabilities, which layers do not have. |
//! | `architecture` | error | Programs contradict the manifest. |
//! | `architecture` | warning | Programs that no machine runs all of. |
//! | `duplicate-name` | error | Two extensions of one name, whatever their versions. |
//! | `duplicate-file` | error | A file hides a directory of another layer, or the other way round. |
//! | `duplicate-file` | warning | Two layers bring the same file; the later one is seen. |
//! | `requires` `conflicts` | error | What it says of other extensions does not hold. |

pub(crate) mod across;
mod checked;

pub(crate) mod collector;
mod finding;

pub(crate) mod kernel;

pub(crate) mod layout;

pub(crate) mod links;

pub(crate) mod paths;
mod places;

pub(crate) mod release;

pub(crate) mod unworking;

use collector::Collector;
use serde_json::Value;
use switch_root_core::error::Result;
use switch_root_core::interrupt;

use crate::contents;
use crate::folder::Unpacked;

pub use checked::Checked;
pub use finding::{Finding, Severity};

/// Looks at all extensions, each by itself and all together, and tells everything
/// that is wrong: in the order of the extensions, and at most a hundred findings
/// of a rule for each.
///
/// # Errors
/// Something cannot be read, or is beyond what [`contents::scan`] takes. What is
/// wrong with an extension is a finding.
pub fn validate(folders: &[Unpacked]) -> Result<(Vec<Checked>, Vec<Finding>)> {
    let mut findings = Collector::default();
    let mut checked = Vec::with_capacity(folders.len());
    for folder in folders {
        interrupt::check()?;
        checked.push(check(folder, &mut findings)?);
    }
    across::check(&checked, &mut findings);
    let findings = findings.finish(folders.iter().map(|folder| folder.name.as_str()));
    Ok((checked, findings))
}

fn check(folder: &Unpacked, findings: &mut Collector) -> Result<Checked> {
    findings.of(&folder.name);
    let (manifest, rootfs) = layout::check(&folder.path, findings)?;
    let contents = rootfs.map(|rootfs| contents::scan(&rootfs)).transpose()?;
    if let Some(contents) = &contents {
        paths::check(contents, findings);
        unworking::check(contents, findings);
    }
    let metadata = manifest
        .as_ref()
        .map_or(&Value::Null, |manifest| &manifest.metadata);
    let metadata = match (&manifest, &contents) {
        (Some(_), Some(contents)) => {
            kernel::check(metadata, contents, findings);
            release::check(metadata, contents, findings);
            contents::recorded_metadata(metadata, contents)
        }
        _ => metadata.clone(),
    };
    Ok(Checked {
        name: folder.name.clone(),
        path: folder.path.clone(),
        manifest,
        contents,
        metadata,
    })
}

#[cfg(test)]
mod tests;
