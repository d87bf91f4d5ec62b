//! What policies are asked, and what they answer, as plain values: those of `wit/`, where the
//! meaning of each field is written down.

use serde::{Deserialize, Serialize};

use crate::file_kind::FileKind;

/// One entry of a directory of the initramfs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The name inside its directory: 1 to 255 bytes without NUL and `/`.
    pub name: Vec<u8>,
    /// What it is; a symbolic link is itself.
    pub kind: FileKind,
    /// `st_size`, in bytes.
    pub size: u64,
    /// The permission bits of `st_mode` (`& 0o7777`).
    pub mode: u32,
    /// Another file system is mounted here.
    pub mount_point: bool,
}

/// What shall become of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decision {
    /// The policy does not need it, nor anything below it.
    Delete,
    /// It survives, with everything below it.
    Keep,
    /// It survives, and is bound read-only at this path of the new root.
    Carry(Vec<u8>),
    /// The policy is asked about its children.
    Descend,
}

/// The machine that extensions are to be activated on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// The fields of the new root's os-release, in the order of the file.
    pub os_release: Vec<(String, String)>,
    /// `uname -r`; empty where it is not known.
    pub kernel_release: String,
    /// `uname -m`.
    pub architecture: String,
    /// The kernel command line without its newline; empty where it cannot be read.
    pub kernel_command_line: String,
}

/// A statement of an extension that it works with some versions of an operating system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// The operating system, as the `ID` of os-release names it.
    pub operating_system: String,
    /// A version constraint, as the extension's author wrote it.
    pub version: String,
}

/// One extension, as an element of `layers` in `extensions.yaml` describes it. What is
/// missing there is empty here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// The file name of the layer.
    pub image: String,
    /// The digest of the layer, `sha256:<hex>`, where it is recorded.
    pub digest: Option<String>,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.version`, in the spelling of the file.
    pub version: String,
    /// `metadata.author`.
    pub author: String,
    /// `metadata.description`.
    pub description: String,
    /// `metadata.compatibility`, in file order.
    pub compatibility: Vec<Requirement>,
    /// All of `metadata`, as JSON.
    pub metadata: String,
}

/// What a policy says of one extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// It may be activated.
    Compatible,
    /// It must not, for this reason.
    Incompatible(String),
    /// The policy has no opinion.
    Abstain,
}

/// What the verdicts on one extension come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// At least one policy approves, and none objects.
    Compatible,
    /// A policy objects, or has failed.
    Incompatible,
    /// No policy has an opinion. It is activated.
    Unjudged,
}
