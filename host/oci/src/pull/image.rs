//! Unpacking one image, wherever it comes from.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;

use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use switch_root_core::progress::Progress;

use super::ahead;
use super::digest::Checked;
use super::stop::Stop;
use super::store::{Image, Layer, Store};
use crate::unpack::{Dropped, Modes, Special, Unpacker, decompress};

switch_root_core::outcomes! {
    /// Why an image is not unpacked.
    pub enum Unfit in "pulling" {
        /// The reason follows.
        "SR-O08" Layer { key: String } = "cannot unpack the layer {key}",
        /// Talos refuses such extensions. Build the image without them.
        "SR-Q10" Special { kind: Special, path: String, others: String } = "the image holds {kind} at {path}{others}; an extension may hold plain files, directories and links only",
    }
}

/// Unpacks the layers of `image` into the empty `folder`. Modes of directories
/// are what is left to be done; and what has lost attributes is told, see
/// [`Unpacker::complete`].
pub(super) fn unpack(
    name: &str,
    image: &Image,
    store: &dyn Store,
    folder: &Path,
    stop: &Stop,
    progress: &dyn Progress,
) -> Result<(Modes, (Vec<Dropped>, usize))> {
    let size = image
        .layers
        .iter()
        .fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
    let task = progress.begin(name, Some(size));
    task.say("pulling");
    let mut unpacker = Unpacker::new(folder)?;
    let (sender, layers) = ahead::channel(stop);
    thread::scope(|scope| {
        scope.spawn(move || sender.send(store, &image.layers, stop, &*task));
        // Its own scope of values: the sender ends when nobody reads any more.
        let mut layers = layers;
        for layer in &image.layers {
            layers.next();
            apply(&mut unpacker, layer, &mut layers).map_err(|error| match error.kind {
                Kind::Interrupted => error,
                _ => error.within(Unfit::Layer {
                    key: escape::message(&layer.key, 200),
                }),
            })?;
        }
        Ok(())
    })?;
    check(&unpacker)?;
    Ok(unpacker.complete())
}

fn apply(unpacker: &mut Unpacker, layer: &Layer, layers: &mut ahead::Layers<'_>) -> Result<()> {
    let applied = {
        let plain = decompress(&mut *layers)?;
        match &layer.diff_id {
            Some(digest) => unpacker.apply(Checked::new(
                plain,
                digest.clone(),
                None,
                "its archive without compression".to_owned(),
            )?),
            None => unpacker.apply(plain),
        }
    };
    applied?;
    layers.finish()
}

/// Refuses what an extension may not hold, where the layers together have it: what one
/// of them brings another may take away.
fn check(unpacker: &Unpacker) -> Result<()> {
    let refused = unpacker.refused();
    let Some(((path, kind), others)) = refused.split_first() else {
        return Ok(());
    };
    let shown = |path: &Path| escape::path(path.as_os_str().as_bytes());
    let others: Vec<String> = others.iter().map(|(path, _)| shown(path)).collect();
    let others = match others.as_slice() {
        [] => String::new(),
        others => format!(" (and others at {})", others.join(", ")),
    };
    Err(Error::input(Unfit::Special {
        kind: *kind,
        path: shown(path),
        others,
    }))
}
