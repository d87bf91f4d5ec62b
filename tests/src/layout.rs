//! OCI image layouts, as a registry is filled from them: blobs, manifests and an index,
//! written by hand so that each test says what is in them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::programs::output;

/// The media type of an image's manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Compression {
    /// By `gzip`.
    Gzip,
    /// By `zstd`.
    Zstd,
}

/// A layout in the making.
pub struct Layout {
    /// Where it is.
    pub folder: PathBuf,
    named: Vec<Value>,
}

impl Layout {
    /// Begins a layout in a folder that is made.
    ///
    /// # Errors
    /// Those of writing.
    pub fn create(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder.join("blobs/sha256"))?;
        fs::write(
            folder.join("oci-layout"),
            r#"{"imageLayoutVersion": "1.0.0"}"#,
        )?;
        Ok(Self {
            folder: folder.to_owned(),
            named: Vec::new(),
        })
    }

    /// Adds a blob, and gives its descriptor.
    ///
    /// # Errors
    /// Those of writing.
    pub fn blob(&self, media_type: &str, bytes: &[u8]) -> io::Result<Value> {
        let digest = format!("{:x}", Sha256::digest(bytes));
        fs::write(self.folder.join("blobs/sha256").join(&digest), bytes)?;
        Ok(json!({
            "mediaType": media_type,
            "digest": format!("sha256:{digest}"),
            "size": bytes.len(),
        }))
    }

    /// Adds an image for linux and an architecture, of one layer with what is in the
    /// folder `tree`, and gives the descriptor of its manifest.
    ///
    /// # Errors
    /// Those of writing, and what `tar` says.
    pub fn image(
        &self,
        tree: &Path,
        compression: Compression,
        architecture: &str,
    ) -> io::Result<Value> {
        let archive = tar(tree, None)?;
        let (compressed, ending) = match compression {
            Compression::Gzip => (tar(tree, Some("--gzip"))?, "gzip"),
            Compression::Zstd => (tar(tree, Some("--zstd"))?, "zstd"),
        };
        let layer = self.blob(
            &format!("application/vnd.oci.image.layer.v1.tar+{ending}"),
            &compressed,
        )?;
        let digest = format!("{:x}", Sha256::digest(&archive));
        let configuration = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{digest}")]},
        });
        let configuration = self.blob(CONFIGURATION, configuration.to_string().as_bytes())?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": configuration,
            "layers": [layer],
        });
        let mut descriptor = self.blob(MANIFEST, manifest.to_string().as_bytes())?;
        descriptor["platform"] = json!({"os": "linux", "architecture": architecture});
        Ok(descriptor)
    }

    /// The digest of the layer of an image.
    ///
    /// # Errors
    /// There is none.
    pub fn layer(&self, image: &Value) -> io::Result<String> {
        let digest = image["digest"].as_str().unwrap_or_default();
        let file = digest.replace(':', "/");
        let manifest = fs::read(self.folder.join("blobs").join(file))?;
        let manifest: Value = serde_json::from_slice(&manifest)?;
        let digest = manifest["layers"][0]["digest"].as_str();
        digest
            .map(str::to_owned)
            .ok_or_else(|| io::Error::other("an image without a layer"))
    }

    /// Adds an index of images, and gives its descriptor.
    ///
    /// # Errors
    /// Those of writing.
    pub fn index(&self, images: &[Value]) -> io::Result<Value> {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": images});
        self.blob(INDEX, index.to_string().as_bytes())
    }

    /// Gives an image or an index a name in the layout.
    ///
    /// # Errors
    /// Those of writing.
    pub fn name(&mut self, name: &str, descriptor: &Value) -> io::Result<()> {
        let mut named = descriptor.clone();
        named["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        self.named.push(named);
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.named});
        fs::write(self.folder.join("index.json"), index.to_string())
    }
}

/// An archive of what is in a folder.
fn tar(tree: &Path, compression: Option<&str>) -> io::Result<Vec<u8>> {
    let mut command = Command::new("tar");
    command.arg("--directory").arg(tree);
    command.args(["--create", "--numeric-owner", "--sort=name"]);
    command.args(compression).arg(".");
    output(&mut command)
}
