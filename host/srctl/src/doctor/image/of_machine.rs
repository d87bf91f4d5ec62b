//! The machine that an image is of.

use policy::folder::Policy;

use crate::doctor::machine::Machine;
use crate::rooted::Rooted;

/// The machine that an image is of.
pub struct OfMachine<'a> {
    pub root: &'a Rooted,
    pub machine: &'a Machine,
    /// `uname -r` of the kernel that the image is for.
    pub kernel: Option<&'a str>,
    /// Its policies that can be loaded.
    pub policies: &'a [Policy],
}
