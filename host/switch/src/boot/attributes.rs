//! Extended attributes of directories, as layers of an overlay have them.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{self, XattrFlags};
use rustix::io::Errno;
use switch_root_core::escape;

use crate::mount_calls::LARGEST_ATTRIBUTE;

switch_root_core::outcomes! {
    /// What is wrong with the attributes of a directory.
    pub enum Wrong in "layers" {
        /// Pack the layer without extended attributes.
        "SR-L30" Many = "its attributes take more than {MOST} bytes",
        /// A reason why they are not restored: a tmpfs does not take it (`user.*` before Linux 6.6; any
        /// without `CONFIG_TMPFS_XATTR`).
        "SR-L31" Refused { name: String, error: Errno } = "attribute {name}: {error}",
    }
}

/// By these overlayfs is directed: to hide a directory, or to take one from elsewhere. They
/// mean something to it alone. `user.overlay.` is for overlays with the option userxattr,
/// which is never given.
pub const OVERLAY: &[u8] = b"trusted.overlay.";

/// What SELinux decides by.
const LABEL: &[u8] = b"security.selinux";

/// The most that the attributes of a directory may take, in bytes: some label, lists of
/// access and a few of somebody's own.
const MOST: usize = 1 << 20;

/// The attributes of a directory by their names, but those of overlayfs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes(BTreeMap<Vec<u8>, Vec<u8>>);

impl Attributes {
    /// Reads all of them. A file system that has none gives none.
    ///
    /// A layer says itself how long they are, and the kernel repeats that unchecked: nothing
    /// is allocated by it.
    ///
    /// # Errors
    /// Those of flistxattr(2) and fgetxattr(2); they take more than [`MOST`].
    pub fn of(directory: impl AsFd) -> io::Result<Self> {
        let mut names = vec![0; LARGEST_ATTRIBUTE];
        match fs::flistxattr(&directory, names.as_mut_slice()) {
            Ok(length) => names.truncate(length),
            Err(Errno::OPNOTSUPP) => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        }
        let mut value = vec![0; LARGEST_ATTRIBUTE];
        let mut taken = 0;
        names
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty() && !name.starts_with(OVERLAY))
            .map(|name| {
                let length = fs::fgetxattr(&directory, name, value.as_mut_slice())?;
                taken += length;
                if taken > MOST {
                    return Err(io::Error::other(Wrong::Many));
                }
                Ok((name.to_vec(), value[..length].to_vec()))
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
                    return Err(io::Error::other(Wrong::Refused { name, error }));
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
