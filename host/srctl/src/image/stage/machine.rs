//! A machine as its initramfs will be: the same folders of policies, and the signers of
//! `/etc/switch-root/trust` where the initramfs has its own.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use extension::{Error, Result};
use policy::escape;
use policy::limits::fixed;
use policy::source::{Contents, Source};
use policy::trust::{TRUST, Trust};

use super::rooted::Rooted;

/// Where an operator lists the signers that are accepted. Nothing at boot reads it: an
/// initramfs has its lists in [`TRUST`].
pub const SIGNERS: &str = "/etc/switch-root/trust";

/// What the names of signers files end with.
const ENDING: &[u8] = b"signers";

/// Lists of signers by their names; `None` where no signature is demanded.
pub type Signers = Option<BTreeMap<OsString, Vec<u8>>>;

/// A machine.
pub struct Machine {
    /// Its root directory.
    pub root: Rooted,
    /// The names of the operator's lists.
    operators: Vec<OsString>,
}

impl Machine {
    /// Opens a machine's root directory.
    ///
    /// # Errors
    /// It cannot be opened; or the operator's signers cannot be read: an image without
    /// them would accept anybody's policies.
    pub fn open(path: &Path) -> Result<Self> {
        let root = Rooted::open(path)?;
        // Tells a folder that is not there from one that cannot be read.
        Trust::in_folder(&root, Path::new(SIGNERS)).map_err(unusable)?;
        let names = root.names(Path::new(SIGNERS)).map_err(unusable)?;
        let operators = names
            .unwrap_or_default()
            .into_iter()
            .filter(|name| Path::new(name).extension().map(OsStr::as_bytes) == Some(ENDING))
            .collect();
        Ok(Self { root, operators })
    }

    /// The lists of signers that go into the image: the operator's, which replace those of
    /// the same name that the vendor has where an initramfs has them. An operator's folder
    /// without lists demands nothing: a package may have made it.
    ///
    /// # Errors
    /// One cannot be read, or is malformed.
    pub fn signers(&self) -> Result<Signers> {
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
                Ok(None) => return Err(unusable(format!("{shown} is a link to nothing"))),
                Err(reason) => return Err(unusable(format!("{shown} {reason}"))),
            };
        }
        Ok(Some(signers))
    }

    /// Where on the machine that is which the initramfs will have here.
    fn place<'p>(&self, path: &'p Path) -> std::borrow::Cow<'p, Path> {
        match path.strip_prefix(TRUST) {
            Ok(name) if self.operators.iter().any(|own| own == name.as_os_str()) => {
                Path::new(SIGNERS).join(name).into()
            }
            _ => path.into(),
        }
    }
}

fn unusable(reason: impl std::fmt::Display) -> Error {
    Error::input(format!(
        "cannot tell whose policies the image is to accept: {reason}; repair the list of signers"
    ))
}

impl Source for Machine {
    fn names(&self, directory: &Path) -> std::result::Result<Option<Vec<OsString>>, String> {
        let names = self.root.names(directory)?;
        if directory != Path::new(TRUST) || self.operators.is_empty() {
            return Ok(names);
        }
        let mut names = names.unwrap_or_default();
        names.retain(|name| !self.operators.contains(name));
        names.extend(self.operators.iter().cloned());
        Ok(Some(names))
    }

    fn read(&self, path: &Path, limit: u64) -> std::result::Result<Option<Contents>, String> {
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
