//! Finding the component of a project, where a command takes either.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::reading::cannot_read;

switch_root_core::outcomes! {
    /// Why a project is not taken for its component.
    pub(crate) enum NoComponent in "policies" {
        /// A command was given the folder of a project, and takes the one `.wasm` in it.
        "SR-T28" NotBuilt { folder: String } = "there is no component in {folder}; build it with `srctl policy build {folder}`",
        "SR-T29" Several { folder: String } = "{folder} holds more than one component; name the one that is meant",
    }
}

/// The file of a policy: the path itself, or where that is the folder of a project the
/// component that `srctl policy build` wrote into it.
///
/// # Errors
/// The folder cannot be read, or does not hold one component.
pub fn component(path: &Path) -> Result<PathBuf> {
    match path.is_dir() {
        true => built(path),
        false => Ok(path.to_owned()),
    }
}

/// The component of a project, as `srctl policy build` writes it.
fn built(project: &Path) -> Result<PathBuf> {
    let shown = project.shown();
    let failed = |error| cannot_read(project, &error);
    let mut components = Vec::new();
    for entry in std::fs::read_dir(project).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "wasm") {
            components.push(path);
        }
    }
    let component = match components.pop() {
        Some(component) if components.is_empty() => component,
        None => {
            return Err(Error::input(NoComponent::NotBuilt { folder: shown }));
        }
        Some(_) => {
            return Err(Error::input(NoComponent::Several { folder: shown }));
        }
    };
    let age = std::fs::metadata(&component)
        .and_then(|component| component.modified())
        .map_err(failed)?;
    if let Some(source) = newer(project, age)? {
        tracing::warn!(
            "{} is older than {}; build it with `srctl policy build {shown}`",
            component.shown(),
            source.shown()
        );
    }
    Ok(component)
}

/// A source that is newer than the component: of the files beside it, and in `src`.
fn newer(project: &Path, age: SystemTime) -> Result<Option<PathBuf>> {
    for folder in [project.to_owned(), project.join("src")] {
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let failed = |error| cannot_read(&folder, &error);
            let path = entry.map_err(failed)?.path();
            let source = ["rs", "c", "h", "js", "py", "toml", "wit"];
            let ending = path.extension().unwrap_or_default();
            if !source.iter().any(|known| ending == *known) {
                continue;
            }
            let changed = std::fs::metadata(&path).and_then(|file| file.modified());
            if changed.is_ok_and(|changed| changed > age) {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}
