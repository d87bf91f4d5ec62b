//! How the file of a case is written.

use std::path::Path;

/// How the file of a case is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Yaml,
    Toml,
}

impl Form {
    /// By the name of the file.
    pub(super) fn of(path: &Path) -> Self {
        match path.extension() {
            Some(ending) if ending == "toml" => Self::Toml,
            _ => Self::Yaml,
        }
    }
}
