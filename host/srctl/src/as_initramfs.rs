//! A machine as its initramfs will be: the same folders of policies, and the signers of
//! `/etc/switch-root/trust` where the initramfs has its own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use policy::source::{Contents, Source};
use policy::trust::Trust;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::file::Unreadable;
use switch_root_core::limits::fixed;
use switch_root_core::locations::{COMPILED, SIGNERS, TRUST};
use switch_root_core::outcome::Message;

use crate::rooted::Rooted;

/// What the names of signers files end with.
const ENDING: &[u8] = b"signers";

/// Lists of signers by their names; `None` where no signature is demanded.
pub type Signers = Option<BTreeMap<OsString, Vec<u8>>>;

/// A machine.
pub struct AsInitramfs<'r> {
    /// Its root directory.
    root: &'r Rooted,
    /// The names of the operator's lists; or why there is no telling.
    operators: std::result::Result<Vec<OsString>, Message>,
}

impl<'r> AsInitramfs<'r> {
    /// The machine of a root directory. Where the operator's lists cannot be listed, the
    /// initramfs's cannot be either: it must not seem that no signature is demanded.
    pub fn of(root: &'r Rooted) -> Self {
        let names = root.names(Path::new(SIGNERS));
        let is_list =
            |name: &OsString| Path::new(name).extension().map(OsStr::as_bytes) == Some(ENDING);
        let operators = names.map(|names| names.into_iter().flatten().filter(is_list).collect());
        Self { root, operators }
    }

    /// Whether this is the machine that the program runs on.
    pub fn is_this_one(&self) -> bool {
        self.root.is_this_one()
    }

    /// The names of the operator's lists.
    fn operators(&self) -> &[OsString] {
        self.operators.as_deref().unwrap_or_default()
    }

    /// The lists of signers that go into the image: the operator's, which replace those of
    /// the same name that the vendor has where an initramfs has them. An operator's folder
    /// without lists demands nothing: a package may have made it.
    ///
    /// # Errors
    /// One cannot be read, or is malformed: an image without them would accept anybody's
    /// policies.
    pub fn signers(&self) -> Result<Signers> {
        // Tells a folder that is not there from one that cannot be read.
        Trust::in_folder(self.root, Path::new(SIGNERS)).map_err(unusable)?;
        if Trust::of(self).map_err(unusable)?.is_none() {
            return Ok(None);
        }
        let mut signers = BTreeMap::new();
        for name in self
            .names(Path::new(TRUST))
            .map_err(unusable)?
            .into_iter()
            .flatten()
        {
            let path = Path::new(TRUST).join(&name);
            if path.extension().map(OsStr::as_bytes) != Some(ENDING) {
                continue;
            }
            let contents = self.read(&path, fixed::SIGNERS_FILE);
            let shown = self.shown(&path);
            match contents {
                Ok(Some(contents)) => signers.insert(name, contents.bytes),
                Ok(None) => {
                    return Err(unusable(Message::from(Unreadable::Dangling).said_of(shown)));
                }
                Err(reason) => return Err(unusable(reason.said_of(shown))),
            };
        }
        Ok(Some(signers))
    }

    /// Where on the machine that is which the initramfs will have here.
    fn place<'p>(&self, path: &'p Path) -> std::borrow::Cow<'p, Path> {
        match path.strip_prefix(TRUST) {
            Ok(name) if self.operators().iter().any(|own| own == name.as_os_str()) => {
                Path::new(SIGNERS).join(name).into()
            }
            _ => path.into(),
        }
    }
}

fn unusable(reason: Message) -> Error {
    Error::input(reason.reworded(|it| {
        format!(
            "cannot tell whose policies the image is to accept: {it}; repair the list of signers"
        )
    }))
}

impl Source for AsInitramfs<'_> {
    fn names(&self, directory: &Path) -> std::result::Result<Option<Vec<OsString>>, Message> {
        let names = self.root.names(directory)?;
        if directory != Path::new(TRUST) {
            return Ok(names);
        }
        let operators = self.operators.as_ref().map_err(Message::clone)?;
        if operators.is_empty() {
            return Ok(names);
        }
        let mut names = names.unwrap_or_default();
        names.retain(|name| !operators.contains(name));
        names.extend(operators.iter().cloned());
        Ok(Some(names))
    }

    fn read(&self, path: &Path, limit: u64) -> std::result::Result<Option<Contents>, Message> {
        // What is listed on the machine was compiled for another image: the next one gets
        // a list of its own, of what is compiled for it.
        if path == Path::new(COMPILED) {
            return Ok(None);
        }
        self.root.read(&self.place(path), limit)
    }

    fn is_null(&self, path: &Path) -> bool {
        self.root.is_null(&self.place(path))
    }

    fn is_empty(&self, path: &Path) -> bool {
        self.root.is_empty(&self.place(path))
    }

    fn shown(&self, path: &Path) -> String {
        escape::path(self.place(path).as_os_str().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[&str]) -> (tempfile::TempDir, Rooted) {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(&file[1..]);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let root = Rooted::open(folder.path()).unwrap();
        (folder, root)
    }

    #[test]
    fn the_operators_lists_are_where_the_initramfs_has_its_own() {
        let (_folder, root) = machine(&["/etc/switch-root/trust/a.signers"]);
        let initramfs = AsInitramfs::of(&root);
        let list = Path::new(TRUST).join("a.signers");
        assert_eq!(
            initramfs.names(Path::new(TRUST)).unwrap().unwrap(),
            ["a.signers"]
        );
        assert!(initramfs.is_empty(&list));
        assert_eq!(initramfs.shown(&list), "/etc/switch-root/trust/a.signers");
    }

    #[test]
    fn they_replace_the_vendors_of_the_same_name_and_no_others() {
        let (_folder, root) = machine(&[
            "/etc/switch-root/trust/a.signers",
            "/usr/lib/switch-root/trust/a.signers",
            "/usr/lib/switch-root/trust/b.signers",
        ]);
        let initramfs = AsInitramfs::of(&root);
        let mut names = initramfs.names(Path::new(TRUST)).unwrap().unwrap();
        names.sort();
        assert_eq!(names, ["a.signers", "b.signers"]);
        let shown = |name: &str| initramfs.shown(&Path::new(TRUST).join(name));
        assert_eq!(shown("a.signers"), "/etc/switch-root/trust/a.signers");
        assert_eq!(shown("b.signers"), "/usr/lib/switch-root/trust/b.signers");
    }

    #[test]
    fn a_folder_of_the_operator_without_lists_demands_nothing() {
        let (_folder, root) = machine(&["/etc/switch-root/trust/README"]);
        let initramfs = AsInitramfs::of(&root);
        assert_eq!(initramfs.names(Path::new(TRUST)), Ok(None));
        assert!(initramfs.signers().unwrap().is_none());
    }

    #[test]
    fn where_they_cannot_be_listed_the_initramfs_lists_cannot_be_either() {
        let (_folder, root) = machine(&["/etc/switch-root/trust"]);
        let initramfs = AsInitramfs::of(&root);
        assert!(initramfs.names(Path::new(TRUST)).is_err());
        assert!(initramfs.signers().is_err());
    }
}
