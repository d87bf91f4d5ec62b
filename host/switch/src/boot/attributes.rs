//! Extended attributes of directories, as layers of an overlay have them.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use policy::escape;
use rustix::fs::{self, XattrFlags};
use rustix::io::Errno;

/// By these overlayfs is directed: to hide a directory, or to take one from elsewhere. They
/// mean something to it alone. `user.overlay.` is for overlays with the option userxattr,
/// which is never given.
pub const OVERLAY: &[u8] = b"trusted.overlay.";

/// What SELinux decides by.
const LABEL: &[u8] = b"security.selinux";

/// The attributes of a directory by their names, but those of overlayfs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<Vec<u8>, Vec<u8>>);

impl Attributes {
    /// Reads all of them. A file system that has none gives none.
    ///
    /// # Errors
    /// Those of flistxattr(2) and fgetxattr(2).
    pub fn of(directory: impl AsFd) -> io::Result<Self> {
        let mut names = match fs::flistxattr_query(&directory) {
            Ok(length) => vec![0; length],
            Err(Errno::OPNOTSUPP) => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let length = fs::flistxattr(&directory, names.as_mut_slice())?;
        names.truncate(length);
        names
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty() && !name.starts_with(OVERLAY))
            .map(|name| {
                let mut value = vec![0; fs::fgetxattr_query(&directory, name)?];
                let length = fs::fgetxattr(&directory, name, value.as_mut_slice())?;
                value.truncate(length);
                Ok((name.to_vec(), value))
            })
            .collect()
    }

    /// Whether SELinux has a label among them.
    pub fn has_label(&self) -> bool {
        self.0.contains_key(LABEL)
    }

    /// Gives them to another directory, but those for which an error is `tolerated`.
    ///
    /// # Errors
    /// The first one that could not be set, and why.
    pub fn set(&self, to: impl AsFd, tolerated: impl Fn(Errno) -> bool) -> io::Result<()> {
        for (name, value) in &self.0 {
            match fs::fsetxattr(&to, name.as_slice(), value, XattrFlags::empty()) {
                Err(error) if !tolerated(error) => {
                    let name = escape::path(name);
                    return Err(io::Error::other(format!("attribute {name}: {error}")));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl FromIterator<(Vec<u8>, Vec<u8>)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (Vec<u8>, Vec<u8>)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}

/// Whether labels that are set now are lost: SELinux is active, and what is made in a tmpfs
/// before its policy is loaded gets the label that the policy has for a tmpfs, whatever was
/// set (`inode_doinit_with_dentry` of the kernel; `init` is the first program, so that
/// nobody has loaded a policy yet).
pub fn labels_are_lost() -> bool {
    Path::new("/sys/fs/selinux").is_dir()
}
