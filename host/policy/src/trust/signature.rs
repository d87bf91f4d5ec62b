//! What is known of every signature: where its file is, and what it is made for.

use std::path::{Path, PathBuf};

/// What signatures are made for, so that none that was made for something else counts.
pub const NAMESPACE: &str = "switch-root-policy";

/// The path of a file's signature.
pub fn signature_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}
