//! What doctor has looked at.

use std::path::PathBuf;

use super::finding::Finding;

/// What is looked at, and what was found.
pub struct Examination {
    pub root: Option<PathBuf>,
    pub images: Vec<PathBuf>,
    pub findings: Vec<Finding>,
}
