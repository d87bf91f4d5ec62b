//! The plan as a value that programs read: `srctl plan --format json`.

use initramfs::image::Image;
use initramfs::tree::Tree;
use serde::Serialize;
use switch_root_core::outcome::Code;
use switch_root_core::plan::Deletion;
use switch_root_core::preserved;
use switch_root_core::report::{ExtensionReport, PolicyReport};

use super::branch::{Branch, Summary};

/// The plan.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`](super::SCHEMA).
    pub schema: u32,
    /// What was looked at.
    pub image: ImageReport,
    /// The root directory.
    pub tree: Branch,
    /// Every policy, in the order in which they are asked.
    pub policies: Vec<PolicyReport>,
    /// Every extension that extensions.yaml names.
    pub extensions: Vec<ExtensionReport>,
    /// What survives, by path.
    pub survivors: Vec<Survivor>,
    /// Whether the rest is deleted.
    pub deletion: Deletion,
    /// Why the switch would be refused.
    pub refused: Option<String>,
    /// The code of that reason.
    pub refused_code: Option<Code>,
    /// How much is kept, carried and deleted.
    pub summary: Summary,
    /// What is not as it should be.
    pub warnings: Vec<String>,
    /// The codes of the warnings, in the same order.
    pub warning_codes: Vec<Option<Code>>,
    /// What is worth knowing of the boot that is planned.
    pub notes: Vec<String>,
    /// What could not be found out and would decide: whether all is well is not known then.
    pub unknown: Vec<String>,
}

/// The image.
#[derive(Clone, Debug, Serialize)]
pub struct ImageReport {
    /// Its path as it was given, escaped.
    pub name: String,
    /// The size of the file; of a folder, 0.
    pub bytes: u64,
    /// Its parts; a folder has none.
    pub parts: Vec<PartReport>,
}

/// A part of an image.
#[derive(Clone, Debug, Serialize)]
pub struct PartReport {
    /// From 1.
    pub number: usize,
    /// How it is compressed, as the tools name it; `none` where it is not.
    pub format: String,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// In bytes.
    pub length: u64,
    /// Of its archives.
    pub members: u64,
}

impl ImageReport {
    pub(super) fn of(image: &Image) -> Self {
        Self {
            name: image.name.clone(),
            bytes: image.bytes,
            parts: image
                .parts
                .iter()
                .map(|part| PartReport {
                    number: part.number,
                    format: part
                        .format
                        .map_or_else(|| "none".into(), |format| format.to_string()),
                    offset: part.offset,
                    length: part.length,
                    members: part.members,
                })
                .collect(),
        }
    }
}

/// One path that survives, as the report of a boot has it, and how large it is.
#[derive(Clone, Debug, Serialize)]
pub struct Survivor {
    /// What, and by whose word.
    #[serde(flatten)]
    pub what: preserved::Survivor,
    /// Bytes of all files at and below it.
    pub bytes: u64,
}

impl Survivor {
    pub(super) fn of(tree: &Tree, what: preserved::Survivor) -> Self {
        let id = tree.find(&what.path.0);
        Self {
            bytes: id.map_or(0, |id| tree.sum(id).bytes),
            what,
        }
    }
}
