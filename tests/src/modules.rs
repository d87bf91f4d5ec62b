//! The modules of a kernel, as they are put into an initramfs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::steps::{Content, Steps};

/// The folder of the modules that belong to a file `vmlinuz-RELEASE`, beside it.
pub fn folder(kernel: &Path) -> PathBuf {
    kernel.with_file_name(format!("modules-{}", release(kernel)))
}

/// `uname -r` of a kernel, by the name of its file.
pub fn release(kernel: &Path) -> String {
    let name = kernel.file_name().unwrap_or_default().to_string_lossy();
    name.trim_start_matches("vmlinuz-").to_owned()
}

/// Adds the modules of a kernel and their index, each module changed by `change`: its
/// name and its bytes.
///
/// # Errors
/// Those of reading the index, and of `change`.
pub fn add<S: Steps>(
    mut tree: S,
    kernel: &Path,
    change: impl Fn(&Path) -> io::Result<(String, Content)>,
) -> io::Result<S> {
    let folder = folder(kernel);
    let index = fs::read_to_string(folder.join("modules.dep"))?;
    let at = |file: &str| format!("/lib/modules/{}/{file}", release(kernel));
    let mut files: Vec<&str> = index
        .split_whitespace()
        .map(|word| word.trim_end_matches(':'))
        .collect();
    files.sort_unstable();
    files.dedup();
    let mut changed = index.clone();
    for file in files {
        let (name, content) = change(&folder.join(file))?;
        let new = match file.rsplit_once('/') {
            Some((above, _)) => format!("{above}/{name}"),
            None => name,
        };
        changed = changed.replace(file, &new);
        tree = tree.file(at(&new), content);
    }
    Ok(tree.file(at("modules.dep"), changed.as_str()))
}

/// Leaves a module as it is, for [`add`].
///
/// # Errors
/// None.
pub fn as_it_is(module: &Path) -> io::Result<(String, Content)> {
    let name = module.file_name().unwrap_or_default().to_string_lossy();
    Ok((name.into_owned(), Content::Copy(module.into())))
}
