//! An image of squashfs.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::ffi::OsStrExt;

use backhand::{FilesystemReader, InnerNode, Node, SquashfsFileReader};
use switch_root_core::outcome::Message;

use super::volume::{Entry, Listing, Unread, Volume, check_target, numbers};

pub(super) struct Squashfs(FilesystemReader<'static>);

impl Squashfs {
    pub fn open(file: File, offset: u64) -> Result<Self, Unread> {
        let mut reader = BufReader::new(file);
        reader.rewind().map_err(|error| Unread::System { error })?;
        let image = FilesystemReader::from_reader_with_offset(reader, offset);
        image.map(Self).map_err(|error| Unread::Format {
            reason: error.to_string(),
        })
    }
}

impl Volume for Squashfs {
    fn list(&mut self, listing: &mut Listing) -> Result<(), Message> {
        let mut links = Links::default();
        for (number, node) in (0..).zip(self.0.files()) {
            let mut entry = entry(number, node)?;
            entry.file = links.of(node);
            listing.add(entry)?;
        }
        Ok(())
    }

    fn contents<'a>(&'a mut self, entry: &Entry) -> Result<Box<dyn Read + 'a>, Unread> {
        let number = usize::try_from(entry.number).ok();
        let node = number.and_then(|number| self.0.root.nodes.get(number));
        Ok(match node.map(|node| &node.inner) {
            Some(InnerNode::File(file)) => Box::new(self.0.file(file).reader()),
            _ => Box::new(io::empty()),
        })
    }
}

fn entry(number: u64, node: &Node<SquashfsFileReader>) -> Result<Entry, Unread> {
    let path = node.fullpath.as_os_str().as_bytes();
    let path = path.strip_prefix(b"/").unwrap_or(path).to_vec();
    let mut entry = Entry {
        uid: node.header.uid,
        gid: node.header.gid,
        number,
        ..Entry::default()
    };
    let kind = match &node.inner {
        InnerNode::File(file) => {
            entry.size = file.file_len() as u64;
            libc::S_IFREG
        }
        InnerNode::Symlink(link) => {
            let target = link.link.as_os_str().as_bytes();
            check_target(&path, target.len() as u64)?;
            entry.target = target.to_vec();
            libc::S_IFLNK
        }
        InnerNode::Dir(_) => libc::S_IFDIR,
        InnerNode::CharacterDevice(device) => {
            entry.rdev = numbers(device.device_number);
            libc::S_IFCHR
        }
        InnerNode::BlockDevice(device) => {
            entry.rdev = numbers(device.device_number);
            libc::S_IFBLK
        }
        InnerNode::NamedPipe => libc::S_IFIFO,
        InnerNode::Socket => libc::S_IFSOCK,
    };
    entry.mode = kind | u32::from(node.header.permissions) & 0o7777;
    entry.path = path;
    Ok(entry)
}

/// Finds the names of one file. The library does not say which inode a name has, so it is where
/// the contents are, whose they are, and how many names the inode says that it has: those of
/// another inode with the same contents differ in that number.
#[derive(Default)]
struct Links {
    /// Which file it is, and how many names it still has.
    files: HashMap<Stored, (u64, u32)>,
    count: u64,
}

/// Where the contents of a file are, and whose they are.
#[derive(PartialEq, Eq, Hash)]
struct Stored {
    start: u64,
    fragment: usize,
    offset: u32,
    size: usize,
    mode: u16,
    owner: (u32, u32),
    time: u32,
}

impl Links {
    /// Which file a name is of, where that has several.
    fn of(&mut self, node: &Node<SquashfsFileReader>) -> Option<u64> {
        let InnerNode::File(file) = &node.inner else {
            return None;
        };
        // Files that are stored without such a number have one name.
        let SquashfsFileReader::Extended(extended) = file else {
            return None;
        };
        if extended.link_count < 2 {
            return None;
        }
        let stored = Stored {
            start: file.blocks_start(),
            fragment: file.frag_index(),
            offset: file.block_offset(),
            size: file.file_len(),
            mode: node.header.permissions,
            owner: (node.header.uid, node.header.gid),
            time: node.header.mtime,
        };
        let (number, left) = self.files.entry(stored).or_default();
        if *left == 0 {
            self.count += 1;
            (*number, *left) = (self.count, extended.link_count);
        }
        *left -= 1;
        Some(*number)
    }
}
