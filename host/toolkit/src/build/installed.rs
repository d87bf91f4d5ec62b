//! Packages that a language's own package manager installs for one project, in a folder of the
//! project's hidden one: once, and again where the list of packages changes.

use std::fs;
use std::io::ErrorKind;
use std::io::Read;
use std::path::{Path, PathBuf};

use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::reading::{self, cannot_read};

use super::made::{FOLDER, NotMade};

/// The file that is written last: what was installed by. Without it the folder is half done.
const STAMP: &str = ".installed";

/// Makes sure that what the file `list` of the project names is installed in its `.build/NAME`,
/// and returns that folder. `install` does it, in an empty folder.
///
/// # Errors
/// The list cannot be read, or `install` fails; nothing stays of the folder then.
pub fn folder(
    project: &Path,
    name: &str,
    list: &str,
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let list = project.join(list);
    let mut wanted = Vec::new();
    reading::regular(&list)?
        .read_to_end(&mut wanted)
        .map_err(|error| cannot_read(&list, &error))?;
    let folder = project.join(FOLDER).join(name);
    // Programs of a virtual environment hold its absolute path, and programs are run elsewhere.
    let folder = std::path::absolute(&folder).map_err(|error| {
        let path = folder.shown();
        Error::system(NotMade::Nameless { path }, &error)
    })?;
    let stamp = folder.join(STAMP);
    // The place is part of it: a project that was moved or copied is installed anew.
    let mut content = folder.as_os_str().as_encoded_bytes().to_vec();
    content.push(b'\n');
    content.extend_from_slice(&wanted);
    if fs::read(&stamp).is_ok_and(|there| there == content) {
        return Ok(folder);
    }
    let failed = |error| {
        let path = folder.shown();
        Error::system(Attempt::Make { path }, &error)
    };
    remove(&folder).map_err(failed)?;
    fs::create_dir_all(&folder).map_err(failed)?;
    let installed = install(&folder).and_then(|()| fs::write(&stamp, &content).map_err(failed));
    if let Err(error) = installed {
        let _ = remove(&folder);
        // Where nothing else is in it.
        let _ = fs::remove_dir(project.join(FOLDER));
        return Err(error);
    }
    Ok(folder)
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use switch_root_core::outcome::Message;

    #[test]
    fn packages_are_installed_once_for_each_list() {
        let project = tempfile::tempdir().unwrap();
        let count = Cell::new(0);
        let install = |fail: bool| {
            folder(project.path(), "x", "list", |folder| {
                count.set(count.get() + 1);
                fs::write(folder.join("half"), "").unwrap();
                match fail {
                    true => Err(Error::input(Message::quoted("no network"))),
                    false => Ok(()),
                }
            })
        };
        assert!(install(false).unwrap_err().to_string().contains("list"));
        fs::write(project.path().join("list"), "a").unwrap();
        assert!(install(true).is_err());
        assert!(!project.path().join(".build").exists());
        install(false).unwrap();
        install(false).unwrap();
        assert_eq!(count.get(), 2);
        fs::write(project.path().join("list"), "b").unwrap();
        install(false).unwrap();
        assert_eq!(count.get(), 3);
    }
}
