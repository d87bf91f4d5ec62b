//! A folder of unpacked extensions, in the order of the configuration.

use std::cmp::Ordering;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use switch_root_core::error::{Error, Result};
use switch_root_core::{escape, interrupt};

switch_root_core::outcomes! {
    /// Why a folder is not one of extensions.
    pub enum Unfit in "extensions" {
        /// The system's own words follow.
        "SR-Y05" Unread { folder: String } = "cannot read the folder of extensions {folder}",
        /// The folder is made by `srctl extension pull`.
        "SR-Y06" OneExtension { folder: String } = "{folder} is the folder of one extension, with its manifest.yaml and rootfs; name the folder that it is in, which holds nothing but a folder for each extension",
        "SR-Y07" Link { path: String, folder: String } = "{path} is a symbolic link; in the folder of extensions {folder} there must be nothing but a folder for each extension, so move it elsewhere",
        "SR-Y08" NotAFolder { path: String, folder: String } = "{path} is not a folder; in the folder of extensions {folder} there must be nothing but a folder for each extension, so move it elsewhere",
        "SR-Y09" NotUtf8 { path: String, folder: String } = "{path} has a name that is not UTF-8; in the folder of extensions {folder} there must be nothing but a folder for each extension, so move it elsewhere",
    }
}

/// What an extension has in its folder: what says what it is.
pub const MANIFEST: &str = "manifest.yaml";
/// And what belongs into the new root.
pub const ROOTFS: &str = "rootfs";

/// One unpacked extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The name of its folder: `002.ghcr.io-siderolabs-gvisor-v1`.
    pub name: String,
    /// Its folder, with `manifest.yaml` and `rootfs` in it.
    pub path: PathBuf,
}

/// The extensions in a folder, in order: by the number before the first dot, and
/// then by name; those without a number come last. A folder that is missing has
/// none. Names that begin with a dot are those of folders in the making, and are
/// passed over.
///
/// # Errors
/// It cannot be read, or something in it is no folder, or has a name that is not
/// UTF-8.
pub fn list(dir: &Path) -> Result<Vec<Unpacked>> {
    let shown = escape::path(dir.as_os_str().as_encoded_bytes());
    let failed = |error: io::Error| {
        let folder = shown.clone();
        Error::system(Unfit::Unread { folder }, &error)
    };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let is_one = |name: &str| fs::symlink_metadata(dir.join(name)).is_ok();
    if is_one(MANIFEST) && is_one(ROOTFS) {
        return Err(Error::input(Unfit::OneExtension { folder: shown }));
    }
    let mut extensions = Vec::new();
    for entry in entries {
        interrupt::check()?;
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let names = || {
            let path = escape::path(path.as_os_str().as_encoded_bytes());
            (path, shown.clone())
        };

        let kind = entry.file_type().map_err(failed)?;
        if kind.is_symlink() {
            let (path, folder) = names();
            return Err(Error::input(Unfit::Link { path, folder }));
        }
        if !kind.is_dir() {
            let (path, folder) = names();
            return Err(Error::input(Unfit::NotAFolder { path, folder }));
        }
        let Ok(name) = name.into_string() else {
            let (path, folder) = names();
            return Err(Error::input(Unfit::NotUtf8 { path, folder }));
        };
        extensions.push(Unpacked { name, path });
    }
    extensions.sort_by(|left, right| order(&left.name, &right.name));
    Ok(extensions)
}

/// By number, and names with the same number, or without any, by name.
fn order(left: &str, right: &str) -> Ordering {
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
    .then_with(|| left.cmp(right))
}

/// The digits before the first dot, in a form that compares like the number,
/// however large: their count, and then themselves.
fn number(name: &str) -> Option<(usize, &str)> {
    let (digits, _) = name.split_once('.')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    Some((digits.len(), digits))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn names(dir: &Path) -> Vec<String> {
        let list = list(dir).unwrap();
        list.into_iter().map(|extension| extension.name).collect()
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let names_in_order = [
            "000.z",
            "001.a",
            "001.b",
            "2.c",
            "010.a",
            "99999999999999999999999.a",
            "a",
            "b.001",
        ];
        for name in names_in_order.iter().rev() {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::create_dir(dir.path().join(".002.tmp")).unwrap();
        fs::write(dir.path().join(".lock"), "").unwrap();
        assert_eq!(names(dir.path()), names_in_order);
        assert_eq!(list(dir.path()).unwrap()[0].path, dir.path().join("000.z"));
    }

    #[test]
    fn a_missing_folder_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(names(&dir.path().join("nowhere")), [""; 0]);
        assert_eq!(names(dir.path()), [""; 0]);
    }

    #[test]
    fn folder_of_one_extension_is_named_as_that() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("rootfs")).unwrap();
        // One of this name in a folder of extensions is not made out to be another thing.
        assert_eq!(names(dir.path()), ["rootfs"]);
        fs::write(dir.path().join("manifest.yaml"), "").unwrap();
        let error = list(dir.path()).unwrap_err().to_string();
        assert!(error.contains("is the folder of one extension"), "{error}");
        assert!(error.contains("name the folder that it is in"), "{error}");
    }

    #[test]
    fn what_is_no_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("001.a\nb");
        fs::write(&file, "").unwrap();
        let error = list(dir.path()).unwrap_err().to_string();
        assert!(error.contains(r"/001.a\x0ab is not a folder"), "{error}");
        assert!(list(&file).is_err());
        fs::remove_file(&file).unwrap();
        symlink(dir.path(), dir.path().join("002.link")).unwrap();
        let error = list(dir.path()).unwrap_err().to_string();
        assert!(error.contains("/002.link is a symbolic link"), "{error}");
    }
}
