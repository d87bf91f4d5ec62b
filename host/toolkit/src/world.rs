//! The world of a project that is not written in Rust: what its component imports and exports,
//! as its `wit/` folder says.

use std::path::Path;

use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use wit_parser::{Resolve, WorldId};

switch_root_core::outcomes! {
    /// Why the world of a project is not known.
    pub(crate) enum NoWorld in "policies" {
        /// The folder is missing, or what is written in it is not WIT with one world. A project begun
        /// with `srctl policy new` has one to compare with.
        "SR-T22" Unreadable { folder: String, error: String } = "cannot read the world of the policy in {folder}: {error}; `srctl policy new` makes such a folder",
    }
}

/// The text of the contract, as this release of switch-root has it.
pub const CONTRACT: &str = include_str!("../wit/policy.wit");

/// A world, read.
pub(crate) struct World {
    /// The name of its package, which is that of the policy.
    pub policy: String,
    /// Its own name.
    pub name: String,
    /// All that was read.
    pub resolve: Resolve,
    /// Which of the worlds in there it is.
    pub id: WorldId,
}

impl World {
    /// Reads the one world of the package in `folder/wit`, with the packages in its `deps`.
    ///
    /// # Errors
    /// There is none, there are several, or they cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let folder = folder.join("wit");
        let attempt = |error: String| {
            let folder = folder.shown();
            Error::input(NoWorld::Unreadable { folder, error })
        };
        let mut resolve = Resolve::default();
        let (package, _) = resolve
            .push_dir(&folder)
            .map_err(|error| attempt(format!("{error:#}")))?;
        let id = resolve
            .select_world(&[package], None)
            .map_err(|error| attempt(format!("{error:#}")))?;
        Ok(Self {
            policy: resolve.packages[package].name.name.clone(),
            name: resolve.worlds[id].name.clone(),
            resolve,
            id,
        })
    }
}
