//! Putting an artifact into an OCI image layout, which is made where there is none.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::output::{AtomicFile, cannot_write};

use super::digest;
use super::files::{Files, Folder};
use super::layout::{Layout, NAME, path};

switch_root_core::outcomes! {
    /// Why nothing is put into a layout.
    pub enum Unfit in "manifests" {
        /// The file was damaged, or written by hand. Push to a new folder.
        "SR-O73" NoManifests { place: String } = "index.json of {place} has no list of manifests",
    }
}

const MARKER: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A layout that is written to.
pub(super) struct LayoutWriter {
    folder: PathBuf,
    /// What `index.json` says; what we do not know of it stays as it is.
    index: Value,
}

impl LayoutWriter {
    /// The layout in a folder, or a new one where the folder is missing or empty.
    ///
    /// # Errors
    /// The folder holds something else, or cannot be written to.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let files = Folder(folder.to_owned());
        let fresh = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
            Err(error) => return Err(cannot_write(folder, &error)),
        };
        let index = if fresh {
            json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": []})
        } else {
            // Whether it is one of a version that we know.
            Layout::folder(folder)?;
            let what = format!("index.json of {}", files.place());
            super::document::json(&files.read("index.json")?, &what)?
        };
        let this = Self {
            folder: folder.to_owned(),
            index,
        };
        if !this.index["manifests"].is_array() {
            let place = escape::path(folder.as_os_str().as_bytes());
            return Err(Error::input(Unfit::NoManifests { place }));
        }
        if fresh {
            this.write("oci-layout", MARKER.as_bytes())?;
        }
        Ok(this)
    }

    /// Adds a blob.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn blob(&self, bytes: &[u8]) -> Result<()> {
        self.write(&path(&digest::sha256(bytes))?, bytes)
    }

    /// Adds a manifest under a name, which does not name anything else any more.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn manifest(mut self, name: Option<&str>, bytes: &[u8], kind: &str) -> Result<()> {
        self.blob(bytes)?;
        let digest = digest::sha256(bytes);
        let mut entry = json!({"mediaType": kind, "digest": digest, "size": bytes.len()});
        if let Some(name) = name {
            entry["annotations"] = json!({NAME: name});
        }
        if let Some(manifests) = self.index["manifests"].as_array_mut() {
            manifests.retain(|other| match name {
                Some(name) => other["annotations"][NAME] != name,
                None => other["digest"] != digest || other["annotations"][NAME].is_string(),
            });
            manifests.push(entry);
        }
        self.write("index.json", self.index.to_string().as_bytes())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| cannot_write(&path, &error))?;
        }
        let mut file = AtomicFile::create(&path)?;
        file.write_all(bytes)
            .map_err(|error| cannot_write(&path, &error))?;
        file.commit()
    }
}
