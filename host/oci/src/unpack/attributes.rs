//! What records of PAX say of an entry besides its name and size.

use std::io::Read;

use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use tar::{Entry, EntryType};

use super::failure::broken;

switch_root_core::outcomes! {
    /// Why an entry is not read.
    pub enum Unread in "unpacking" {
        /// No tool writes sparse files into layers of itself, and readers differ about them.
        "SR-Q18" Sparse { path: String } = "the layer's entry {path} is a sparse file, which is not read; build the image without `--sparse`",
    }
}

/// How records begin that bring an extended attribute, whose name follows: those of star
/// and GNU tar, and of libarchive.
const NAMED: [&str; 2] = ["SCHILY.xattr.", "LIBARCHIVE.xattr."];

/// Records of star and of GNU tar that are attributes by another name.
const OTHERS: [(&str, &str); 4] = [
    ("SCHILY.acl.access", "system.posix_acl_access"),
    ("SCHILY.acl.default", "system.posix_acl_default"),
    ("SCHILY.acl.ace", "system.nfs4_acl"),
    ("RHT.security.selinux", "security.selinux"),
];

/// The names of the extended attributes that an entry has.
///
/// # Errors
/// The records are malformed. Or it is a sparse file: no tool writes them into layers, and
/// the forms of them differ between readers.
pub(super) fn names(entry: &mut Entry<'_, impl Read>) -> Result<Vec<String>> {
    let mut sparse = entry.header().entry_type() == EntryType::GNUSparse;
    let mut names = Vec::new();
    if let Some(records) = entry.pax_extensions().map_err(|error| broken(&error))? {
        for record in records {
            let record = record.map_err(|error| broken(&error))?;
            let key = String::from_utf8_lossy(record.key_bytes());
            sparse |= key.starts_with("GNU.sparse.");
            let named = NAMED.iter().find_map(|start| key.strip_prefix(start));
            let other = OTHERS.iter().find(|(other, _)| key == *other);
            names.extend(named.or(other.map(|(_, name)| *name)).map(str::to_owned));
        }
    }
    if sparse {
        let path = escape::path(&entry.path_bytes());
        return Err(Error::input(Unread::Sparse { path }));
    }
    names.sort();
    names.dedup();
    Ok(names)
}
