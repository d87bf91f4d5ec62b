//! An image of squashfs.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::unix::ffi::OsStrExt;

use backhand::{FilesystemReader, InnerNode, Node, SquashfsFileReader};
use switch_root_core::file_kind::FileKind;
use switch_root_core::outcome::Message;

use super::volume::{Entry, Unread, Volume};
use crate::tree::Budget;

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

    fn node(&self, entry: &Entry) -> Option<&Node<SquashfsFileReader>> {
        self.0.files().nth(usize::try_from(entry.number).ok()?)
    }
}

impl Volume for Squashfs {
    fn entries(&mut self, budget: &mut Budget) -> Result<Vec<Entry>, Message> {
        let mut entries = Vec::new();
        for (number, node) in (0..).zip(self.0.files()) {
            let entry = entry(number, node);
            budget.take(&entry.path, entry.size)?;
            entries.push(entry);
        }
        Ok(entries)
    }

    fn contents<'a>(&'a mut self, entry: &Entry) -> Box<dyn Read + 'a> {
        match self.node(entry).map(|node| &node.inner) {
            Some(InnerNode::File(file)) => Box::new(self.0.file(file).reader()),
            _ => Box::new(io::empty()),
        }
    }
}

fn entry(number: u64, node: &Node<SquashfsFileReader>) -> Entry {
    let path = node.fullpath.as_os_str().as_bytes();
    let mut entry = Entry {
        path: path.strip_prefix(b"/").unwrap_or(path).to_vec(),
        kind: FileKind::Socket,
        mode: u32::from(node.header.permissions) & 0o7777,
        uid: node.header.uid,
        gid: node.header.gid,
        rdev: (0, 0),
        size: 0,
        target: Vec::new(),
        number,
    };
    match &node.inner {
        InnerNode::File(file) => {
            entry.kind = FileKind::Regular;
            entry.size = file.file_len() as u64;
        }
        InnerNode::Symlink(link) => {
            entry.kind = FileKind::Symlink;
            entry.target = link.link.as_os_str().as_bytes().to_vec();
        }
        InnerNode::Dir(_) => entry.kind = FileKind::Directory,
        InnerNode::CharacterDevice(device) => {
            entry.kind = FileKind::CharacterDevice;
            entry.rdev = numbers(device.device_number);
        }
        InnerNode::BlockDevice(device) => {
            entry.kind = FileKind::BlockDevice;
            entry.rdev = numbers(device.device_number);
        }
        InnerNode::NamedPipe => entry.kind = FileKind::Fifo,
        InnerNode::Socket => {}
    }
    entry
}

/// Major and minor number, as the kernel packs them (`new_encode_dev`).
fn numbers(packed: u32) -> (u32, u32) {
    let major = (packed & 0xf_ff00) >> 8;
    (major, (packed & 0xff) | ((packed >> 12) & 0xf_ff00))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_devices_are_those_of_the_kernel() {
        assert_eq!(numbers(0x0501), (5, 1));
        assert_eq!(numbers(0x1230_0845), (8, 0x12345));
    }
}
