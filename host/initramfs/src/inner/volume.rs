//! What a file system image holds.

use std::collections::HashMap;
use std::io::{self, Read};

use switch_root_core::escape;
use switch_root_core::outcome::Message;

use crate::archive::Member;
use crate::tree::{Budget, Limits};

switch_root_core::outcomes! {
    /// Why the image inside an image is not read: what follows its path and a colon.
    pub enum Unread in "images" {
        /// The image is damaged, or is made in a way that is not known here; the words are those of
        /// the library that reads it.
        "SR-Q20" Format { reason: String } = "{reason}",
        "SR-Q21" System { error: io::Error } = "{error}",
        "SR-Q22" Empty = "it is empty",
        /// Whoever boots from it has other files than could be shown, so that none are shown. Make
        /// the image again.
        "SR-Q84" NotText { path: String } = "the name of {path} is not UTF-8, and such names in images of erofs are not read",
        "SR-Q85" Repeated { path: String } = "the directory {path} has another path as well; the image is damaged",
        "SR-Q86" LongPath { path: String, most: i32 } = "a path that begins with {path} has {most} bytes or more, and no program can open it",
        "SR-Q87" LongTarget { path: String, size: u64, most: i32 } = "the target of the symbolic link {path} has {size} bytes, and the kernel follows none of {most} bytes or more",
        "SR-Q88" Short { missing: u64 } = "its contents end early: {missing} bytes are missing",
    }
}

/// A file or directory of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// Its path, without a slash at its beginning; that of the root is empty.
    pub path: Vec<u8>,
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Major and minor number of a device.
    pub rdev: (u32, u32),
    /// Of the contents of a file, in bytes.
    pub size: u64,
    /// Where a symbolic link leads.
    pub target: Vec<u8>,
    /// Which file it is, where that has several names.
    pub file: Option<u64>,
    /// What finds it again.
    pub number: u64,
}

impl Entry {
    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }
}

/// What an image holds, as an archive will have it: within a budget, directories before what is
/// in them, and the contents of a file of several names with the first of them.
pub(super) struct Listing {
    budget: Budget,
    /// Whether contents count, and must fit into an archive.
    contents: bool,
    /// Numbers of files that have several names.
    links: HashMap<u64, u32>,
    entries: Vec<(Entry, Member)>,
}

impl Listing {
    pub fn new(limits: &Limits, contents: bool) -> Self {
        Self {
            budget: Budget::new(limits),
            contents,
            links: HashMap::new(),
            entries: Vec::new(),
        }
    }

    /// Adds an entry.
    pub fn add(&mut self, entry: Entry) -> Result<(), Message> {
        let mut member = Member {
            // As an absolute path, which that of an archive's end is not.
            name: [b"/", &*entry.path].concat(),
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            nlink: 1,
            rdev: entry.rdev,
            ..Member::default()
        };
        let most = libc::PATH_MAX;
        // With the zero behind it.
        if member.name.len() >= most as usize {
            let path = escape::path(&member.name[..64]);
            return Err(Unread::LongPath { path, most }.into());
        }
        let mut size = match entry.is_file() {
            true => entry.size,
            false => entry.target.len() as u64,
        };
        if let Some(file) = entry.file {
            let next = self.links.len() as u32 + 1;
            member.nlink = 2;
            member.ino = *self.links.entry(file).or_insert(next);
            if member.ino != next {
                size = 0;
            }
        }
        if self.contents {
            member.size = self.budget.take_member(&entry.path, size)?;
        } else {
            self.budget.take_member(&entry.path, 0)?;
            member.size = u32::try_from(size).unwrap_or(u32::MAX);
        }
        self.entries.push((entry, member));
        Ok(())
    }

    /// All of them.
    pub fn into_entries(self) -> Vec<(Entry, Member)> {
        self.entries
    }
}

/// Refuses the target of a symbolic link by its size, before it is read.
pub(super) fn check_target(path: &[u8], size: u64) -> Result<(), Unread> {
    let most = libc::PATH_MAX;
    match size < most as u64 {
        true => Ok(()),
        false => Err(Unread::LongTarget {
            path: escape::path(path),
            size,
            most,
        }),
    }
}

/// Major and minor number of a device, as the kernel packs them (`new_encode_dev`).
pub(super) fn numbers(packed: u32) -> (u32, u32) {
    let major = (packed & 0xf_ff00) >> 8;
    (major, (packed & 0xff) | ((packed >> 12) & 0xf_ff00))
}

/// A file system image that can be read.
pub(super) trait Volume {
    /// Lists what it holds.
    fn list(&mut self, listing: &mut Listing) -> Result<(), Message>;

    /// The contents of a file.
    fn contents<'a>(&'a mut self, entry: &Entry) -> Result<Box<dyn Read + 'a>, Unread>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_devices_are_those_of_the_kernel() {
        assert_eq!(numbers(0x0501), (5, 1));
        assert_eq!(numbers(0x1230_0845), (8, 0x12345));
    }
    #[test]
    fn paths_targets_and_contents_are_bounded_before_they_are_stored() {
        let limits = |bytes| Limits { entries: 3, bytes };
        let file = |length: usize, size| Entry {
            path: vec![b'a'; length],
            mode: libc::S_IFREG,
            size,
            ..Entry::default()
        };
        let mut listing = Listing::new(&limits(1 << 20), true);
        listing.add(file(4094, 0)).unwrap();
        let long = listing.add(file(4095, 0)).unwrap_err();
        assert_eq!(long.code.unwrap().to_string(), "SR-Q86");
        assert!(long.text.len() < 200, "{long}");
        // Names count as contents do.
        let mut listing = Listing::new(&limits(5000), true);
        listing.add(file(4000, 0)).unwrap();
        let much = listing.add(file(1, 900)).unwrap_err();
        assert_eq!(much.code.unwrap().to_string(), "SR-Q24");
        let mut listing = Listing::new(&limits(5000), false);
        for _ in 0..3 {
            listing.add(file(1, u64::MAX)).unwrap();
        }
        let many = listing.add(file(1, 0)).unwrap_err();
        assert_eq!(many.code.unwrap().to_string(), "SR-Q23");
        check_target(b"a", 4095).unwrap();
        assert!(check_target(b"a", 4096).is_err());
    }

    #[test]
    fn only_the_first_name_of_a_file_has_contents() {
        let mut listing = Listing::new(&Limits::default(), true);
        for (name, file) in [("a", Some(7)), ("b", Some(7)), ("c", Some(9)), ("d", None)] {
            let entry = Entry {
                path: name.into(),
                mode: libc::S_IFREG,
                size: 5,
                file,
                ..Entry::default()
            };
            listing.add(entry).unwrap();
        }
        let entries = listing.into_entries().into_iter();
        let members: Vec<_> = entries
            .map(|(_, member)| (member.ino, member.nlink, member.size))
            .collect();
        assert_eq!(members, [(1, 2, 5), (1, 2, 0), (2, 2, 5), (0, 1, 5)]);
    }
}
