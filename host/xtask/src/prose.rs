//! Whether the documents say what the source does: these are unit tests, and nothing of
//! them is in the program.

mod book;
mod failures;
mod links;
mod markdown;
pub mod messages;
mod report;
mod threats;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the repository.
fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().to_owned()
}

/// A file of the repository, by its path in it.
fn text(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
