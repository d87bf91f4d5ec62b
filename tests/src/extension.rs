//! Images of system extensions.

use std::fs;
use std::io;

use crate::apply::apply_in;
use crate::layout::{Compression, Layout};
use crate::steps::{Step, Steps};

/// What the image of an extension holds: `manifest.yaml` with this `metadata` (in
/// YAML's flow style), and `rootfs/` with what the steps make.
pub fn contents(metadata: &str, rootfs: &[Step]) -> Vec<Step> {
    let manifest = format!("version: v1alpha1\nmetadata: {metadata}\n");
    let below = rootfs.iter().map(|step| Step {
        path: [b"/rootfs", &*step.path].concat(),
        make: step.make.clone(),
    });
    let image = Vec::new()
        .file("/manifest.yaml", manifest.as_str())
        .directory("/rootfs");
    image.into_iter().chain(below).collect()
}

/// Adds an image of an extension to a layout, for this architecture and under this
/// name.
///
/// # Errors
/// Steps that fail, and those of writing.
pub fn add(layout: &mut Layout, name: &str, metadata: &str, rootfs: &[Step]) -> io::Result<()> {
    let tree = layout.folder.join(format!("{name}.tree"));
    apply_in(&tree, &contents(metadata, rootfs))?;
    let image = layout.image(&tree, Compression::Gzip, "amd64")?;
    fs::remove_dir_all(tree)?;
    layout.name(name, &image)
}
