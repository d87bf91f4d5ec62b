//! A FUSE file system that shows a folder read-only, by the kernel's protocol itself
//! (/dev/fuse, linux/fuse.h): small enough to lie in an initramfs, and it opens what it
//! serves by path at each request, as mergerfs and unionfs-fuse do.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirEntryExt, FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc::c_int;
use nix::mount::{MsFlags, mount};

/// The device of all FUSE file systems.
pub const DEVICE: &str = "/dev/fuse";
/// Its number.
pub const DEVICE_NUMBER: (u64, u64) = (10, 229);

/// The version of the protocol that is spoken.
const VERSION: (u32, u32) = (7, 31);
/// The largest request: one that writes is larger, and is refused anyway.
const LARGEST: usize = 1 << 20;

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const READLINK: u32 = 5;
const OPEN: u32 = 14;
const READ: u32 = 15;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const RELEASEDIR: u32 = 29;
const INTERRUPT: u32 = 36;
const DESTROY: u32 = 38;
const BATCH_FORGET: u32 = 42;
/// Requests that would change something.
const WRITES: [u32; 12] = [4, 6, 8, 9, 10, 11, 12, 13, 16, 21, 35, 45];

/// A file system that is mounted, and waits to be served.
pub struct Fuse {
    device: File,
    /// What each node is; the kernel counts from 1, the root.
    nodes: Vec<PathBuf>,
}

impl Fuse {
    /// Mounts the folder `source` on `point`.
    ///
    /// # Errors
    /// /dev/fuse cannot be opened, or mount(2) fails.
    pub fn mount(source: &Path, point: &Path) -> io::Result<Self> {
        let device = OpenOptions::new().read(true).write(true).open(DEVICE)?;
        let options = format!(
            "fd={},rootmode=40755,user_id=0,group_id=0,allow_other,default_permissions",
            device.as_raw_fd()
        );
        let flags = MsFlags::MS_RDONLY | MsFlags::MS_NODEV;
        mount(
            Some("companion"),
            point,
            Some("fuse.companion"),
            flags,
            Some(options.as_str()),
        )?;
        Ok(Self {
            device,
            nodes: vec![source.into()],
        })
    }

    /// Answers one request. Says whether it was the first one, after which the file system
    /// can be used.
    ///
    /// # Errors
    /// It was unmounted, or aborted.
    pub fn answer(&mut self) -> io::Result<bool> {
        let mut buffer = vec![0; LARGEST + 4096];
        let length = loop {
            match self.device.read(&mut buffer) {
                Err(error)
                    if matches!(
                        error.raw_os_error().map(Errno::from_raw),
                        Some(Errno::ENOENT | Errno::EINTR | Errno::EAGAIN)
                    ) => {}
                other => break other?,
            }
        };
        let request = Request(&buffer[..length]);
        let operation = request.u32(4);
        if matches!(operation, FORGET | BATCH_FORGET | INTERRUPT) {
            return Ok(false);
        }
        let outcome = self.carry_out(operation, &request);
        let (error, body) = match outcome {
            Ok(body) => (0, body),
            Err(error) => (-(error as c_int), Vec::new()),
        };
        let mut reply = Vec::with_capacity(16 + body.len());
        reply.extend((16 + body.len() as u32).to_ne_bytes());
        reply.extend(error.to_ne_bytes());
        reply.extend(request.u64(8).to_ne_bytes());
        reply.extend(body);
        match self.device.write_all(&reply) {
            // Whoever asked has given up.
            Err(error) if error.raw_os_error() != Some(Errno::ENOENT as c_int) => {
                return Err(error);
            }
            _ => {}
        }
        Ok(operation == INIT)
    }

    fn carry_out(&mut self, operation: u32, request: &Request<'_>) -> Result<Vec<u8>, Errno> {
        let errno = |error: io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(0));
        match operation {
            INIT => {
                let mut body = Body::default();
                body.u32(VERSION.0).u32(VERSION.1).u32(1 << 17).u32(0);
                // Background requests, and the largest write.
                body.u32(16 | 12 << 16).u32(1 << 17).u32(1);
                Ok(body.padded(64))
            }
            LOOKUP => {
                let name = request.text();
                let path = self.path(request)?.join(OsStr::from_bytes(name));
                let stat = fs::symlink_metadata(&path).map_err(errno)?;
                let node = self.node(path);
                let mut body = Body::default();
                // Nothing is remembered: each use is a request.
                body.u64(node).u64(0).u64(0).u64(0).u64(0);
                body.attributes(&stat);
                Ok(body.0)
            }
            GETATTR => {
                let stat = fs::symlink_metadata(self.path(request)?).map_err(errno)?;
                let mut body = Body::default();
                body.u64(0).u64(0).attributes(&stat);
                Ok(body.0)
            }
            READLINK => {
                let target = fs::read_link(self.path(request)?).map_err(errno)?;
                Ok(target.into_os_string().into_encoded_bytes())
            }
            OPEN | OPENDIR => Ok(Body::default().padded(16)),
            READ => {
                let file = File::open(self.path(request)?).map_err(errno)?;
                let mut bytes = vec![0; request.u32(56) as usize];
                let mut length = 0;
                while length < bytes.len() {
                    let offset = request.u64(48) + length as u64;
                    match file.read_at(&mut bytes[length..], offset).map_err(errno)? {
                        0 => break,
                        more => length += more,
                    }
                }
                bytes.truncate(length);
                Ok(bytes)
            }
            READDIR => self.list(request).map_err(errno),
            STATFS => {
                let mut body = Body::default();
                body.u64(0).u64(0).u64(0).u64(0).u64(0);
                body.u32(4096).u32(255).u32(4096);
                Ok(body.padded(80))
            }
            RELEASE | RELEASEDIR | DESTROY => Ok(Vec::new()),
            change if WRITES.contains(&change) => Err(Errno::EROFS),
            _ => Err(Errno::ENOSYS),
        }
    }

    fn list(&self, request: &Request<'_>) -> io::Result<Vec<u8>> {
        let (offset, size) = (request.u64(48) as usize, request.u32(56) as usize);
        let mut body = Body::default();
        let entries = fs::read_dir(self.path(request)?)?;
        for (index, entry) in entries.enumerate().skip(offset) {
            let entry = entry?;
            let name = entry.file_name();
            let length = (24 + name.len()).next_multiple_of(8);
            if body.0.len() + length > size {
                break;
            }
            let kind = fs::symlink_metadata(entry.path())?.mode() >> 12;
            let end = body.0.len() + length;
            body.u64(entry.ino()).u64(index as u64 + 1);
            body.u32(name.len() as u32).u32(kind);
            body.0.extend(name.as_bytes());
            body.0.resize(end, 0);
        }
        Ok(body.0)
    }

    /// The path of the node that a request is about.
    fn path(&self, request: &Request<'_>) -> Result<&PathBuf, Errno> {
        let index = (request.u64(16) as usize).checked_sub(1);
        let node = index.and_then(|index| self.nodes.get(index));
        node.ok_or(Errno::ESTALE)
    }

    /// The number of a path's node. None is ever forgotten.
    fn node(&mut self, path: PathBuf) -> u64 {
        let known = self.nodes.iter().position(|node| *node == path);
        let index = known.unwrap_or_else(|| {
            self.nodes.push(path);
            self.nodes.len() - 1
        });
        index as u64 + 1
    }
}

/// A request: a header of 40 bytes, and what belongs to the operation. What is not there
/// reads as 0.
struct Request<'a>(&'a [u8]);

impl Request<'_> {
    fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        let part = self.0.get(offset..offset + N);
        part.and_then(|part| part.try_into().ok()).unwrap_or([0; N])
    }

    fn u32(&self, offset: usize) -> u32 {
        u32::from_ne_bytes(self.bytes(offset))
    }

    fn u64(&self, offset: usize) -> u64 {
        u64::from_ne_bytes(self.bytes(offset))
    }

    /// What follows the header, up to a NUL.
    fn text(&self) -> &[u8] {
        let rest = self.0.get(40..).unwrap_or_default();
        rest.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

/// What is answered.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    fn u64(&mut self, value: u64) -> &mut Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    /// A `struct fuse_attr`.
    fn attributes(&mut self, stat: &fs::Metadata) -> &mut Self {
        self.u64(stat.ino()).u64(stat.size()).u64(stat.blocks());
        for time in [stat.atime(), stat.mtime(), stat.ctime()] {
            self.u64(time.cast_unsigned());
        }
        self.u32(0).u32(0).u32(0);
        self.u32(stat.mode()).u32(stat.nlink() as u32);
        self.u32(stat.uid()).u32(stat.gid()).u32(stat.rdev() as u32);
        self.u32(4096).u32(0)
    }

    fn padded(mut self, length: usize) -> Vec<u8> {
        self.0.resize(length, 0);
        self.0
    }
}
