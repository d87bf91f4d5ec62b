//! Policies with the files that they are made of, for tools that carry them elsewhere.

use std::path::{Path, PathBuf};

use super::{Assembled, File, OPERATOR, Policy, VENDOR, assemble, collect};
use crate::source::Source;

/// The files of one name, as far as they count.
#[derive(Clone, Debug)]
pub struct Found {
    /// The `.wasm`.
    pub wasm: Option<PathBuf>,
    /// The `.cwasm` that goes with it.
    pub cwasm: Option<PathBuf>,
    /// The sidecar.
    pub sidecar: Option<PathBuf>,
    /// What a boot makes of them; `None` where the policy is masked, or a sidecar has no
    /// policy.
    pub policy: Option<Policy>,
}

/// What there is in the policy folders of a root directory: what cannot be read of the
/// folders, as policies that have failed, and all names in the order in which policies
/// are asked, the embedded one's among them.
pub fn survey(root: &dyn Source) -> (Vec<Policy>, Vec<Found>) {
    let places = [(root, Path::new(VENDOR)), (root, Path::new(OPERATOR))];
    let (failed, all, demand) = collect(root, &places);
    let path = |file: &File<'_>| file.path.clone();
    let found = all
        .iter()
        .map(|(stem, files)| Found {
            wasm: files.wasm.as_ref().map(path),
            cwasm: files.native().0.first().map(|file| path(file)),
            sidecar: files.sidecar.as_ref().map(path),
            policy: match assemble(stem, files, &demand) {
                Assembled::Policy(policy) => Some(*policy),
                Assembled::Masked | Assembled::Nothing => None,
            },
        })
        .collect();
    (failed, found)
}
