//! Archives as the kernel unpacks them: cpio in the "newc" format, members with
//! 110 bytes of header, everything aligned to four bytes.
//!
//! See the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`. The library
//! cpio refuses names that are not UTF-8, compares no checksums, and passes over nothing that the
//! kernel passes over: it is what the tests compare with.

pub(crate) mod read;
pub(crate) mod write;

pub use read::Reader;
pub use write::Writer;

/// How a member of an archive begins.
pub const MAGIC: &[u8; 6] = b"070701";
/// How a member with a checksum begins.
pub const MAGIC_WITH_CHECKSUM: &[u8; 6] = b"070702";

const TRAILER: &[u8] = b"TRAILER!!!";
const HEADER: usize = 110;

/// What stands before the contents of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// The path as it is spelled, without the zero behind it.
    pub name: Vec<u8>,
    /// Its number; names with the same number are hard links.
    pub ino: u32,
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// How many names it has.
    pub nlink: u32,
    /// Seconds since 1970.
    pub mtime: u32,
    /// Of the contents, in bytes. Of hard links, one alone has contents.
    pub size: u32,
    /// Major and minor number of the device that it came from.
    pub dev: (u32, u32),
    /// Major and minor number of the device that it is.
    pub rdev: (u32, u32),
    /// The sum of all bytes of the contents, where it is stored.
    pub checksum: Option<u32>,
}

impl Member {
    /// The path from the root: without a leading `/` or `./`, and `.` for the
    /// root itself.
    pub fn path(&self) -> &[u8] {
        let mut path = &self.name[..];
        while let Some(rest) = path.strip_prefix(b"/").or(path.strip_prefix(b"./")) {
            path = rest;
        }
        while let Some(rest) = path.strip_suffix(b"/") {
            path = rest;
        }
        if path.is_empty() { b"." } else { path }
    }

    /// Whether it is a regular file.
    pub fn is_file(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFREG
    }

    /// Whether it is a symbolic link.
    pub fn is_link(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFLNK
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }
}

/// Room for contents of which an archive says that they have so many bytes: at once, since
/// growing copies what was read before, and on that word alone not for more than a boot
/// program has.
pub fn room(size: u64) -> Vec<u8> {
    const MOST: u64 = 16 << 20;
    let mut room = Vec::new();
    // Where memory is short, it grows as far as there are contents.
    let _ = room.try_reserve_exact(size.min(MOST) as usize);
    room
}

/// Bytes that are missing to a multiple of four.
fn padding(length: u64) -> usize {
    // Less than four.
    (length.wrapping_neg() % 4) as usize
}

#[cfg(test)]
mod tests;
