//! Images of file systems in the initramfs: the root image, and the layers of
//! extensions. What is wrong with one is found before the kernel is given it.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{self, FileType, Mode, OFlags};
use sha2::{Digest, Sha256};
use switch_root_core::file::Unreadable;
use switch_root_core::{path::Path, text::bytes};

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

/// Why an image cannot be used: what follows its name in a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    reason: String,
    missing: bool,
}

impl Unusable {
    /// Whether there is no such file at all.
    pub fn is_missing(&self) -> bool {
        self.missing
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl From<String> for Unusable {
    fn from(reason: String) -> Self {
        Self {
            reason,
            missing: false,
        }
    }
}

impl From<Unreadable> for Unusable {
    fn from(reason: Unreadable) -> Self {
        String::from(reason).into()
    }
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
    pub fn open(path: &[u8]) -> Result<Self, Unusable> {
        let flags = OFlags::RDONLY
            | OFlags::NOFOLLOW
            // A FIFO would block the boot.
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        let file: OwnedFd = fs::open(path, flags, Mode::empty()).map_err(|error| Unusable {
            reason: match error {
                rustix::io::Errno::NOENT => "is missing in the initramfs".into(),
                rustix::io::Errno::LOOP => Unreadable::Link.into(),
                error => Unreadable::Opening {
                    error: error.into(),
                }
                .into(),
            },
            missing: error == rustix::io::Errno::NOENT,
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
    pub fn verify(&self, digest: &str) -> Result<(), Unusable> {
        let wanted = digest.strip_prefix("sha256:").ok_or_else(|| {
            format!(
                "has a digest of an unknown kind in extensions.yaml: {}",
                switch_root_core::escape::message(digest, 128)
            )
        })?;
        let found = self
            .sha256()
            .map_err(|error| Unreadable::Reading { error })?;
        if found.eq_ignore_ascii_case(wanted) {
            return Ok(());
        }
        Err(format!(
            "is not what extensions.yaml says: its digest is sha256:{found}, not sha256:{}",
            switch_root_core::escape::message(wanted, 128)
        )
        .into())
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

fn examine(file: &File, size: u64) -> Result<Format, Unusable> {
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
    let name = format.name();
    if used > size {
        return Err(format!(
            "is truncated: the {name} in it is {used} bytes long, and the file {size}"
        )
        .into());
    }
    // What is behind the last whole sector cannot be read from a loop device.
    if used > size - size % SECTOR {
        return Err(format!(
            "ends within a sector: pad it to a multiple of {SECTOR} bytes (mksquashfs does, without -nopad)"
        )
        .into());
    }
    Ok(format)
}

/// The format of an image, and how many bytes it needs to be whole.
fn recognize(start: &[u8]) -> Result<(Format, u64), Unusable> {
    if start.is_empty() {
        return Err("is empty".to_owned().into());
    }
    if start.starts_with(squashfs::MAGIC) {
        let major = number::<2>(start, squashfs::MAJOR).map(u16::from_le_bytes);
        let used = number::<8>(start, squashfs::BYTES_USED).map(u64::from_le_bytes);
        return match (major, used) {
            (Some(4), Some(used)) => Ok((Format::Squashfs, used)),
            (Some(major), Some(_)) => Err(format!(
                "is squashfs of version {major}, and the kernel mounts version 4"
            )
            .into()),
            _ => Err("is truncated within the superblock of squashfs"
                .to_owned()
                .into()),
        };
    }
    if number::<4>(start, erofs::START).map(u32::from_le_bytes) == Some(erofs::MAGIC) {
        let blocks = number::<4>(start, erofs::BLOCKS).map(u32::from_le_bytes);
        let bits = start.get(erofs::BLOCK_BITS).copied();
        return match (blocks, bits) {
            (Some(blocks), Some(bits)) if bits < 32 => {
                Ok((Format::Erofs, u64::from(blocks) << bits))
            }
            _ => Err("has a damaged superblock of erofs".to_owned().into()),
        };
    }
    Err("is neither squashfs nor erofs".to_owned().into())
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
