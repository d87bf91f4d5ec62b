//! What an initramfs image holds, and what will become of it when the machine
//! switches to its real root.
//!
//! An image, or a folder that one would be made of, is read into a [`tree::Tree`]
//! in memory, as the kernel would unpack it: nothing is unpacked to disk, and
//! nobody need be root. From that a [`plan`] is made, and the [`rehearsal`] executes
//! what was planned.

pub mod boot_program;
pub mod called;
pub mod diff;
pub mod files;
pub mod html;
pub mod image;
mod members;
pub mod plan;
pub mod rehearsal;
pub mod runs;
pub mod tree;
