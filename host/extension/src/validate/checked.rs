//! What is known of an extension when it was checked by itself.

use std::path::PathBuf;

use serde_json::Value;

use crate::contents::Contents;
use crate::manifest::Manifest;

/// An extension that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Checked {
    /// The name of its folder.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// Its manifest; nothing where a finding says what is wrong with it.
    pub manifest: Option<Manifest>,
    /// What is in its `rootfs`; nothing where a finding says that it has none.
    pub contents: Option<Contents>,
    /// Its metadata as it is to be recorded: see
    /// [`recorded_metadata`](crate::contents::recorded_metadata). Null without a manifest.
    pub metadata: Value,
}
