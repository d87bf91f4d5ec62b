//! The boot binary that the policies will run in: which engine it has, and for what
//! architecture it was built.
//!
//! It is read, not run: it may be another machine's, and whatever lies in the root of an
//! image need not be what its name says.

use std::path::Path;

use initramfs::boot_program::{LIMIT, engine_of, has_no_compiler};
use policy::engine;
use policy::source::Source;
use switch_root_core::architecture::{self, HEADER};
use switch_root_core::locations::BOOT_PROGRAMS;

use crate::rooted::Rooted;

/// Where images have it, and where it is installed.
const PLACES: [&str; 11] = [
    BOOT_PROGRAMS[0],
    BOOT_PROGRAMS[1],
    "/usr/sbin/run-init",
    "/usr/sbin/switch_root",
    "/usr/bin/run-init",
    "/usr/bin/switch_root",
    "/sbin/run-init",
    "/sbin/switch_root",
    "/bin/run-init",
    "/bin/switch_root",
    "/init",
];

/// A boot binary.
pub struct Binary {
    /// Where it is, in the image or on the machine.
    pub path: String,
    /// What it ties compiled code to, as [`engine::ENGINE`].
    pub engine: String,
    /// What it was built for, as `uname -m` has it.
    pub architecture: Option<&'static str>,
    /// It is the image's own, and has no compiler: what is not compiled for it never runs.
    pub small_of_image: bool,
}

impl Binary {
    /// Whether it takes what this program compiles.
    pub fn fits(&self) -> bool {
        self.engine == engine::ENGINE
    }
}

/// The boot binary of an image, or else the one that is installed on the machine that the
/// image is made for.
pub fn find(image: &Rooted, machine: &Rooted) -> Option<Binary> {
    let in_root = |root, own| PLACES.into_iter().find_map(|path| look(root, path, own));
    in_root(image, true).or_else(|| in_root(machine, false))
}

fn look(root: &Rooted, path: &str, of_image: bool) -> Option<Binary> {
    let bytes = root.read(Path::new(path), LIMIT).ok()??.bytes;
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let architecture = architecture::of_elf(header);
    architecture?;
    Some(Binary {
        path: root.shown(Path::new(path)),
        engine: engine_of(&bytes)?,
        architecture,
        small_of_image: of_image && has_no_compiler(&bytes),
    })
}
