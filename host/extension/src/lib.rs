//! What makes system extensions real, up to the initramfs that carries them.
//!
//! The way of an extension: a machine configuration ([`configuration`]) names images and
//! registries; they are fetched and unpacked ([`oci`]) into a folder of extensions
//! ([`folder`]), checked ([`validate`]), made into layers and an archive ([`pack`]), and put
//! into an initramfs. None of this is part of the boot binary.

pub mod configuration;
pub mod conflict;
pub mod contents;
pub mod edit;
pub mod folder;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod known_keys;
pub mod manifest;
pub mod outcomes;
pub mod pack;
pub mod validate;
