//! Whether the documents say what the source does: these are unit tests, and nothing of
//! them is in the program.

mod book;
mod links;
mod markdown;
mod report;
pub mod strings;
mod threats;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

/// The folder of the repository.
fn repository() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap().to_owned()
}

/// The files of the repository that people write, but for folders and files of these names.
fn files(left_out: &[&str]) -> impl Iterator<Item = PathBuf> {
    let walk = WalkDir::new(repository()).min_depth(1).into_iter();
    let entries = walk.filter_entry(|entry| {
        let name = entry.file_name().to_string_lossy();
        let is_hidden = name.starts_with('.') && name != ".github";
        !is_hidden && !left_out.contains(&&*name)
    });
    let entries = entries.map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files.map(walkdir::DirEntry::into_path)
}

/// A file of the repository, by its path in it.
fn text(path: impl AsRef<Path>) -> String {
    let path = repository().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
