//! Extended attributes of files, which no layer has.

use std::path::Path;

use rustix::fs;
use rustix::io::Errno;

/// As many bytes of names as the kernel lists of a file.
const MOST: usize = 64 << 10;

/// How names begin of attributes that somebody gave a file for what it is. Others are those
/// of its file system or of this machine, such as labels of SELinux.
const MEANT: [&str; 4] = [
    "security.capability",
    "system.posix_acl_",
    "trusted.",
    "user.",
];

/// What overlays write for themselves.
const OF_OVERLAYS: [&str; 2] = ["trusted.overlay.", "user.overlay."];

/// Lists names into memory that is used again.
pub(super) struct Attributes(Vec<u8>);

impl Default for Attributes {
    fn default() -> Self {
        Self(vec![0; MOST])
    }
}

impl Attributes {
    /// The names of the attributes of what is at a path, with commas between them; empty
    /// where there are none. No link is followed at the end.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) fn of(&mut self, path: &Path) -> rustix::io::Result<String> {
        let length = match fs::llistxattr(path, self.0.as_mut_slice()) {
            Ok(length) => length,
            Err(Errno::OPNOTSUPP) => 0,
            Err(error) => return Err(error),
        };
        let names = self.0[..length].split(|byte| *byte == 0);
        let names = names.map(String::from_utf8_lossy).filter(|name| {
            let begins = |with: &str| name.starts_with(with);
            MEANT.iter().any(|with| begins(with)) && !OF_OVERLAYS.iter().any(|with| begins(with))
        });
        Ok(names.collect::<Vec<_>>().join(", "))
    }
}
