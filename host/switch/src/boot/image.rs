//! Images of file systems in the initramfs: the root image, and the layers of
//! extensions. What is wrong with one is found before the kernel is given it.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{self, FileType, Mode, OFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use switch_root_core::file::Unreadable;
use switch_root_core::outcome::{Message, Outcomes};
use switch_root_core::{path::Path, text::bytes};

use crate::planner::Missing;

/// The file systems that images may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// squashfs, version 4.
    Squashfs,
    /// erofs.
    Erofs,
}

impl Format {
    /// As the kernel names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Squashfs => "squashfs",
            Self::Erofs => "erofs",
        }
    }
}

/// An open image whose beginning makes sense.
pub struct Image {
    /// Its path in the initramfs.
    pub path: Path,
    /// The file, for reading.
    pub file: File,
    /// What it holds.
    pub format: Format,
    size: u64,
}

switch_root_core::outcomes! {
    /// Why an image cannot be used: what follows its name in a sentence.
    pub enum Unusable in "images" {
        /// The archive that should hold it is not among those that the boot loader gives to the
        /// kernel, or was cut.
        "SR-I02" Empty = "is empty",
        /// Other file systems are not mounted. An image that is compressed as a whole must be
        /// unpacked before.
        "SR-I03" Unknown = "is neither squashfs nor erofs",
        /// Make it again with squashfs-tools 4 or newer.
        "SR-I04" Version { version: u16 } = "is squashfs of version {version}, and the kernel mounts version 4",
        /// It was not written or downloaded whole. Make it again.
        "SR-I05" Superblock = "is truncated within the superblock of squashfs",
        "SR-I06" Truncated { format: &'static str, used: u64, size: u64 } = "is truncated: the {format} in it is {used} bytes long, and the file {size}",
        "SR-I07" Damaged = "has a damaged superblock of erofs",
        /// Loop devices have whole sectors, and would hide the end.
        "SR-I08" Unpadded = "ends within a sector: pad it to a multiple of {SECTOR} bytes (mksquashfs does, without -nopad)",
    }
}

switch_root_core::outcomes! {
    /// Why a layer is not what extensions.yaml says: what follows its name in a sentence.
    pub enum NotListed in "layers" {
        /// Only `sha256:` is known.
        "SR-L04" UnknownDigest { digest: String } = "has a digest of an unknown kind in extensions.yaml: {digest}",
        /// The image was damaged or replaced after it was installed. Install it again.
        "SR-L05" OtherDigest { found: String, expected: String } = "is not what extensions.yaml says: its digest is sha256:{found}, not sha256:{expected}",
    }
}

/// Whether there is no such file at all.
pub fn is_missing(unusable: &Message) -> bool {
    unusable.code == Some(Missing::Image.code())
}

/// How much is read at once for a digest.
const CHUNK: usize = 256 << 10;

/// The unit of block devices, in bytes.
const SECTOR: u64 = 512;

/// Where the superblock of squashfs has what is looked at, in bytes from the
/// beginning of the image (Documentation/filesystems/squashfs.rst, fs/squashfs/squashfs_fs.h).
mod squashfs {
    pub const MAGIC: &[u8] = b"hsqs";
    pub const MAJOR: usize = 28;
    pub const BYTES_USED: usize = 40;
}

/// The same of erofs, whose superblock begins at `START` (fs/erofs/erofs_fs.h).
mod erofs {
    pub const START: usize = 1024;
    pub const MAGIC: u32 = 0xE0F5_E1E2;
    pub const BLOCK_BITS: usize = START + 12;
    pub const BLOCKS: usize = START + 36;
}

impl Image {
    /// Opens an image and looks at its beginning. The last part of the path may
    /// not be a link.
    ///
    /// # Errors
    /// What follows its name in a sentence.
    pub fn open(path: &[u8]) -> Result<Self, Message> {
        let flags = OFlags::RDONLY
            | OFlags::NOFOLLOW
            // A FIFO would block the boot.
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let file: OwnedFd = fs::open(path, flags, Mode::empty()).map_err(|error| -> Message {
            match error {
                Errno::NOENT => Missing::Image.into(),
                Errno::LOOP => Unreadable::Link.into(),
                error => {
                    let error = error.into();
                    Unreadable::Opening { error }.into()
                }
            }
        })?;
        let stat = fs::fstat(&file).map_err(|error| {
            let error = error.into();
            Unreadable::Examining { error }
        })?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            Err(Unreadable::NotRegular)?;
        }
        let file = File::from(file);
        let size = stat.st_size.unsigned_abs();
        let format = examine(&file, size)?;
        Ok(Self {
            path: path.into(),
            file,
            format,
            size,
        })
    }

    /// Compares the image with a digest, `sha256:<hex>`, by reading all of it:
    /// fs-verity, which would spread that over the time of use, is not there on
    /// the file systems of an initramfs.
    ///
    /// # Errors
    /// What follows its name in a sentence.
    pub fn verify(&self, digest: &str) -> Result<(), Message> {
        let shown = |text| switch_root_core::escape::message(text, 128);
        let wanted = digest
            .strip_prefix("sha256:")
            .ok_or_else(|| NotListed::UnknownDigest {
                digest: shown(digest),
            })?;
        let found = self
            .sha256()
            .map_err(|error| Unreadable::Reading { error })?;
        if found.eq_ignore_ascii_case(wanted) {
            return Ok(());
        }
        let expected = shown(wanted);
        Err(NotListed::OtherDigest { found, expected }.into())
    }

    fn sha256(&self) -> io::Result<String> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; CHUNK];
        let mut offset = 0;
        loop {
            let count = match self.file.read_at(&mut buffer, offset) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            hash.update(&buffer[..count]);
            offset += count as u64;
        }
        Ok(format!("{:x}", hash.finalize()))
    }

    /// For the log.
    pub fn describe(&self) -> String {
        format!(
            "{} ({}, {})",
            self.path,
            self.format.name(),
            bytes(self.size)
        )
    }
}

fn examine(file: &File, size: u64) -> Result<Format, Message> {
    let mut start = [0; erofs::BLOCKS + 4];
    let mut length = 0;
    while length < start.len() {
        match file.read_at(&mut start[length..], length as u64) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => Err(Unreadable::Reading { error })?,
        }
    }
    let start = &start[..length];
    let (format, used) = recognize(start)?;
    if used > size {
        let format = format.name();
        Err(Unusable::Truncated { format, used, size })?;
    }
    // What is behind the last whole sector cannot be read from a loop device.
    if used > size - size % SECTOR {
        Err(Unusable::Unpadded)?;
    }
    Ok(format)
}

/// The format of an image, and how many bytes it needs to be whole.
fn recognize(start: &[u8]) -> Result<(Format, u64), Unusable> {
    if start.is_empty() {
        return Err(Unusable::Empty);
    }
    if start.starts_with(squashfs::MAGIC) {
        let major = number::<2>(start, squashfs::MAJOR).map(u16::from_le_bytes);
        let used = number::<8>(start, squashfs::BYTES_USED).map(u64::from_le_bytes);
        return match (major, used) {
            (Some(4), Some(used)) => Ok((Format::Squashfs, used)),
            (Some(version), Some(_)) => Err(Unusable::Version { version }),
            _ => Err(Unusable::Superblock),
        };
    }
    if number::<4>(start, erofs::START).map(u32::from_le_bytes) == Some(erofs::MAGIC) {
        let blocks = number::<4>(start, erofs::BLOCKS).map(u32::from_le_bytes);
        let bits = start.get(erofs::BLOCK_BITS).copied();
        return match (blocks, bits) {
            (Some(blocks), Some(bits)) if bits < 32 => {
                Ok((Format::Erofs, u64::from(blocks) << bits))
            }
            _ => Err(Unusable::Damaged),
        };
    }
    Err(Unusable::Unknown)
}

/// How many bytes the image with this beginning needs to be whole, if it is one.
#[cfg(feature = "fuzzing")]
pub fn recognize_image(start: &[u8]) -> Option<u64> {
    recognize(start).ok().map(|(_, bytes)| bytes)
}

fn number<const BYTES: usize>(start: &[u8], offset: usize) -> Option<[u8; BYTES]> {
    start.get(offset..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn squashfs_start(major: u16, used: u64) -> Vec<u8> {
        let mut start = vec![0; 96];
        start[..4].copy_from_slice(b"hsqs");
        start[28..30].copy_from_slice(&major.to_le_bytes());
        start[40..48].copy_from_slice(&used.to_le_bytes());
        start
    }

    #[test]
    fn formats_are_told_by_their_superblocks() {
        assert_eq!(
            recognize(&squashfs_start(4, 4096)).unwrap(),
            (Format::Squashfs, 4096)
        );
        let mut start = vec![0; 1100];
        start[1024..1028].copy_from_slice(&0xE0F5_E1E2_u32.to_le_bytes());
        start[1036] = 12;
        start[1060..1064].copy_from_slice(&3_u32.to_le_bytes());
        assert_eq!(recognize(&start).unwrap(), (Format::Erofs, 3 << 12));
        start[1036] = 200;
        assert!(recognize(&start).is_err());
    }

    #[test]
    fn what_is_no_image_says_why() {
        for (start, part) in [
            (Vec::new(), "is empty"),
            (b"hsqs".to_vec(), "truncated"),
            (squashfs_start(3, 1), "version 3"),
            (vec![0; 2000], "neither squashfs nor erofs"),
            (b"\x28\xb5\x2f\xfd".to_vec(), "neither"),
        ] {
            let reason = recognize(&start).unwrap_err().to_string();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
