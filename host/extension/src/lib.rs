//! What makes system extensions real, up to the initramfs that carries them.
//!
//! The way of an extension: a machine configuration ([`configuration`]) names
//! images ([`mod@reference`]) and registries ([`registries`]); they are fetched and
//! unpacked ([`pull`]) into a folder of extensions ([`folder`]), checked
//! ([`validate`]), made into layers and an archive ([`pack`]), and put into an
//! initramfs ([`initramfs`]). Policies go to registries and come from there
//! ([`artifact`]). None of this is part of the boot binary.

pub mod archive;
pub mod artifact;
pub mod component;
pub mod compression;
pub mod configuration;
pub mod contents;
pub mod edit;
pub mod error;
pub mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod initramfs;
pub mod interrupt;
pub mod kept;
pub mod known_keys;
pub mod machine;
pub mod manifest;
pub mod output;
pub mod pack;
pub mod policies;
pub mod progress;
pub mod pull;
pub mod reference;
pub mod registries;
pub mod sign;
pub mod squashfs;
pub mod unpack;
pub mod validate;

pub use error::{Error, Kind, Result};
