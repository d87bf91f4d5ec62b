//! The boot binary that the policies will run in: which engine it has, and for what
//! architecture it was built.

use std::path::Path;

use initramfs::boot_program::{self, Binary, LIMIT};
use policy::source::Source;

use crate::rooted::Rooted;

/// A boot binary.
pub struct Found {
    /// Where it is, in the image or on the machine.
    pub path: String,
    /// What it ties compiled code to, as [`ENGINE`](policy::engine::ENGINE).
    pub engine: String,
    /// What it was built for, as `uname -m` has it.
    pub architecture: &'static str,
    /// Whether it takes what this program compiles.
    pub fits: bool,
    /// It is the image's own, and has no compiler: what is not compiled for it never runs.
    pub small_of_image: bool,
}

/// The boot binary of an image, or else the one that is installed on the machine that the
/// image is made for.
pub fn find(image: &Rooted, machine: &Rooted) -> Option<Found> {
    look(image, true).or_else(|| look(machine, false))
}

fn look(root: &Rooted, of_image: bool) -> Option<Found> {
    let examine = |path: &str| {
        let binary = Binary::of(&root.bytes(path, LIMIT).ok()??)?;
        Some(Found {
            path: root.shown(Path::new(path)),
            fits: binary.takes_ours(),
            engine: binary.engine?,
            architecture: binary.architecture?,
            small_of_image: of_image && binary.small,
        })
    };
    boot_program::find(examine).map(|(_, found)| found)
}
