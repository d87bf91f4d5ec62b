//! Inodes of erofs, as they are on disk (`Documentation/filesystems/erofs.rst`): the library that
//! reads the contents has neither owners nor numbers of names and devices.

/// The bytes of a compact inode; an extended one has as many again.
pub(super) const COMPACT: usize = 32;

/// An inode.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Inode {
    /// Type and permissions, as in `st_mode`.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// How many names it has.
    pub nlink: u32,
    pub size: u64,
    /// The number of a device, as the kernel packs it.
    pub rdev: u32,
}

/// Whether more bytes belong to the inode that begins with these.
pub(super) fn is_extended(bytes: &[u8]) -> bool {
    bytes[0] & 1 != 0
}

/// Reads an inode; behind a compact one the bytes do not matter.
pub(super) fn parse(bytes: &[u8; 2 * COMPACT]) -> Inode {
    let half = |at: usize| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
    let word = |at: usize| half(at) | half(at + 2) << 16;
    let (mode, rdev) = (half(4), word(16));
    if is_extended(bytes) {
        return Inode {
            mode,
            uid: word(24),
            gid: word(28),
            nlink: word(44),
            size: u64::from(word(8)) | u64::from(word(12)) << 32,
            rdev,
        };
    }
    // Where this bit is set, the number of names is 1, and its place is for something else; that
    // of directories does not matter here.
    const ONE_NAME: u8 = 1 << 4;
    Inode {
        mode,
        uid: half(24),
        gid: half(26),
        nlink: match bytes[0] & ONE_NAME {
            0 => half(6),
            _ => 1,
        },
        size: word(8).into(),
        rdev,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_inodes_are_read() {
        let mut bytes = [0; 64];
        let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
        put(4, &0o100_644_u16.to_le_bytes());
        put(6, &3_u16.to_le_bytes());
        put(8, &5_u32.to_le_bytes());
        put(16, &0x0501_u32.to_le_bytes());
        put(24, &1000_u16.to_le_bytes());
        put(26, &7_u16.to_le_bytes());
        let compact = Inode {
            mode: 0o100_644,
            uid: 1000,
            gid: 7,
            nlink: 3,
            size: 5,
            rdev: 0x0501,
        };
        assert_eq!(parse(&bytes), compact);
        bytes[0] = 1 << 4;
        assert_eq!(
            parse(&bytes),
            Inode {
                nlink: 1,
                ..compact
            }
        );
        bytes[0] = 1;
        bytes[12] = 1;
        bytes[24..32].copy_from_slice(&[0, 0, 1, 0, 0, 0, 2, 0]);
        bytes[44] = 2;
        let extended = Inode {
            uid: 1 << 16,
            gid: 2 << 16,
            nlink: 2,
            size: (1 << 32) + 5,
            ..compact
        };
        assert_eq!(parse(&bytes), extended);
    }
}
