//! What is recorded of an extension.

use serde_json::Value;
use switch_root_core::contract::Extension as Record;
use switch_root_core::error::{Error, Result};
use switch_root_core::extensions;

switch_root_core::outcomes! {
    /// Why an extension is not recorded.
    pub(crate) enum NotRecorded in "srctl" {
        /// Its manifest has what extensions.yaml cannot hold.
        "SR-H48" Lost { image: String } = "the metadata of {image} is lost when recorded",
    }
}

/// What policies are told of an extension: its layer, and the metadata that is
/// recorded with it.
pub fn record(image: &str, digest: Option<&str>, metadata: &Value) -> Result<Record> {
    // By way of the file that is read at boot, so that both are the same.
    let written = extensions::to_write(image, digest, metadata);
    let file = extensions::render(&[written]);
    let mut read = extensions::parse(file.as_bytes()).map_err(|reason| {
        let why = |it: &str| format!("the metadata of {image} cannot be recorded: {it}");
        Error::input(reason.reworded(why))
    })?;
    read.pop().ok_or_else(|| {
        let image = image.to_owned();
        Error::input(NotRecorded::Lost { image })
    })
}
