//! How much of a folder or an inner image is read.

use switch_root_core::escape;

use super::Limits;

switch_root_core::outcomes! {
    /// Why no more is read: what follows a name and a colon.
    pub enum Exceeded in "images" {
        /// It is damaged, or is not what an initramfs is made of; the options allow more.
        "SR-Q23" Entries { most: u64 } = "it has more than {most} entries; --max-entries allows more",
        "SR-Q24" Bytes { most: u64 } = "its files have more than {most} bytes; --max-bytes allows more",
        /// The archives that the kernel unpacks have no room for larger sizes.
        "SR-Q25" FileSize { path: String, size: u64, most: u32 } = "{path} has {size} bytes, and files of an initramfs have at most {most}",
    }
}

/// What an archive has of a member besides its name and contents, at most: the header, the slash
/// before the name, the zero behind it, and twice what is missing to a multiple of four.
const MEMBER: u64 = 110 + 2 + 3 + 3;

/// The end of an archive, and more.
const END: u64 = 4096;

impl Limits {
    /// Those of an archive that was made within these.
    pub(crate) fn for_archive(self) -> Self {
        Self {
            bytes: self.bytes.saturating_add(END),
            ..self
        }
    }
}

/// What may still be read.
pub(crate) struct Budget {
    limits: Limits,
    entries: u64,
    bytes: u64,
}

impl Budget {
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            entries: 0,
            bytes: 0,
        }
    }

    /// Takes an entry at a path with so many bytes of contents, and gives them back as an
    /// archive has them.
    pub fn take(&mut self, path: &[u8], size: u64) -> Result<u32, Exceeded> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(size);
        if self.entries > self.limits.entries {
            let most = self.limits.entries;
            return Err(Exceeded::Entries { most });
        }
        if self.bytes > self.limits.bytes {
            let most = self.limits.bytes;
            return Err(Exceeded::Bytes { most });
        }
        u32::try_from(size).map_err(|_| Exceeded::FileSize {
            path: escape::path(path),
            size,
            most: u32::MAX,
        })
    }

    /// Takes what becomes a member of an archive, whose name and header count as well: names
    /// alone can be more than all contents.
    pub fn take_member(&mut self, path: &[u8], size: u64) -> Result<u32, Exceeded> {
        let size_in_archive = self.take(path, size)?;
        let around = (path.len() as u64).saturating_add(MEMBER);
        self.bytes = self.bytes.saturating_add(around);
        Ok(size_in_archive)
    }
}
