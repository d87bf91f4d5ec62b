//! Files that say for which systems an extension is, as systemd's system extensions have them:
//! `usr/lib/extension-release.d/extension-release.NAME`.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::BorrowedFd;

use switch_root_core::file_kind::FileKind;
use switch_root_core::os_release;
use switch_root_policy::extra_info::RELEASE_FIELDS;

use super::{Entry, open};

/// The largest file that is read, in bytes.
pub const LARGEST: u64 = 64 << 10;

/// How many of the files are kept in mind. An extension has one.
pub const MOST: usize = 16;

/// One of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its path, as of [`Entry::path`].
    pub path: Vec<u8>,
    /// What stands behind `extension-release.`; bytes that are not UTF-8 are replaced.
    pub name: String,
    /// Those of [`RELEASE_FIELDS`] that it has. Nothing where it is no regular file, larger
    /// than [`LARGEST`], or not UTF-8.
    pub fields: Option<BTreeMap<String, String>>,
}

/// The release that an entry is; nothing for other entries.
///
/// # Errors
/// It cannot be read.
pub(super) fn look_at(
    entry: &Entry,
    directory: BorrowedFd<'_>,
    file: &CStr,
) -> rustix::io::Result<Option<Release>> {
    let Some(name) = entry.path.strip_prefix(b"usr/lib/extension-release.d/") else {
        return Ok(None);
    };
    let Some(name) = name.strip_prefix(b"extension-release.") else {
        return Ok(None);
    };
    if name.contains(&b'/') {
        return Ok(None);
    }
    let mut text = Vec::new();
    let readable = entry.kind == FileKind::Regular && entry.size <= LARGEST;
    if readable {
        let file = File::from(open::file(directory, file)?);
        // It may have grown since.
        file.take(LARGEST + 1)
            .read_to_end(&mut text)
            .map_err(|error| {
                rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO)
            })?;
    }
    let text = String::from_utf8(text).ok();
    let text = text.filter(|text| readable && text.len() as u64 <= LARGEST);
    Ok(Some(Release {
        path: entry.path.clone(),
        name: String::from_utf8_lossy(name).into_owned(),
        fields: text.map(|text| fields(&text)),
    }))
}

/// The fields that count. Of those that are there twice the last one does.
fn fields(text: &str) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<_, _> = os_release::parse(text).into_iter().collect();
    fields.retain(|name, _| RELEASE_FIELDS.contains(&name.as_str()));
    fields
}
