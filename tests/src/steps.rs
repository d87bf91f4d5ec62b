//! What a file tree is made of, as a list of steps in order. The steps travel as JSON
//! to the process that carries them out: the supervisor, or stage 1 in a virtual
//! machine.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An absolute path inside the scene. Bytes, since Linux names need not be UTF-8.
pub type Name = Vec<u8>;

/// What a regular file holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Content {
    /// Exactly these bytes.
    Bytes(Vec<u8>),
    /// `size` times the same byte: large contents that need not travel.
    Filled {
        /// The byte.
        byte: u8,
        /// How many, in bytes.
        size: u64,
    },
    /// The contents of a file of the machine that runs the tests.
    Copy(PathBuf),
}

impl Content {
    /// The bytes.
    ///
    /// # Errors
    /// A file that cannot be read, with its path.
    pub fn bytes(&self) -> io::Result<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::Filled { byte, size } => Ok(vec![*byte; usize::try_from(*size).unwrap_or(0)]),
            Self::Copy(path) => std::fs::read(path)
                .map_err(|error| io::Error::other(format!("reading {}: {error}", path.display()))),
        }
    }
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// What a step makes at its path.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Make {
    /// A directory with these permission bits; one that exists gets them.
    Directory {
        /// Permission bits, `& 0o7777`.
        mode: u32,
    },
    /// A regular file; one that exists is replaced.
    File {
        /// Permission bits, `& 0o7777`.
        mode: u32,
        /// What it holds.
        content: Content,
    },
    /// A symbolic link.
    Symlink {
        /// What it says.
        target: Name,
    },
    /// A further name for a file.
    HardLink {
        /// The name that exists; a path of the initramfs.
        from: Name,
    },
    /// A named pipe.
    Fifo,
    /// A UNIX domain socket that nobody listens at.
    Socket,
    /// A device node. Needs privileges that a user namespace does not give.
    Device {
        /// A block device; a character device otherwise.
        block: bool,
        /// The major number.
        major: u64,
        /// The minor number.
        minor: u64,
    },
    /// A bind mount, not recursive. The mount point is made if it is missing.
    Bind {
        /// What is bound; a path of the initramfs.
        from: Name,
    },
    /// A mount of a file system that has no device. The mount point is made if it is
    /// missing.
    Mount {
        /// `tmpfs`, `ramfs`, `sysfs`, ...
        file_system: String,
        /// The file system's own options, such as `size=1m`.
        options: String,
    },
    /// What was elsewhere until now, under this name: renamed.
    Renamed {
        /// Where it was; a path of the initramfs.
        from: Name,
    },
    /// The mount that was elsewhere until now. The mount point is made if it is missing.
    MovedMount {
        /// Where it was; a path of the initramfs.
        from: Name,
    },
    /// Detaches the mount that is there.
    Unmounted,
    /// A read-only overlay whose layers are given by descriptors of mounts that are attached
    /// nowhere, as composefs does. The mount point is made if it is missing.
    OverlayOfDetached {
        /// What such a mount is made of, each a path of the initramfs; the uppermost first.
        layers: Vec<Name>,
    },
    /// Makes the mount that is there read-only, as a mount and as a file system.
    ReadOnly,
    /// Makes the mount that is there read-only, but not its file system.
    ReadOnlyMount,
    /// Makes the mount that is there one from which nothing is executed.
    NoExec,
    /// Makes the mount that is there shared.
    Shared,
    /// Makes the file or directory immutable: not even root removes it.
    Immutable,
    /// Gives what is there this owner and group. Needs privileges.
    Owner {
        /// The user.
        user: u32,
        /// The group.
        group: u32,
    },
    /// Makes what is there, a link itself, be modified so many seconds after 1970.
    Modified {
        /// Seconds.
        seconds: i64,
    },
    /// Gives what is there, a link itself, an extended attribute.
    Attribute {
        /// Its name.
        name: String,
        /// Its value.
        value: Name,
    },
    /// A file of this size that is a hole but for its last bytes: `end`.
    Sparse {
        /// In bytes.
        size: u64,
    },
    /// A directory with directories below each other, `d/d/d/...`, and a file `bottom`
    /// in the deepest.
    Nested {
        /// How many.
        depth: u32,
    },
    /// A directory with many small files: `directories` times `files` of `bytes` each.
    Many {
        /// Directories.
        directories: u32,
        /// Files in each.
        files: u32,
        /// Size of each file, in bytes.
        bytes: u32,
    },
}

/// One step. Directories above its path are made as needed, with mode 0755.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Where.
    pub path: Name,
    /// What.
    pub make: Make,
}

/// Adds steps to what is being described. Paths may be `&str` or byte strings.
pub trait Steps: Sized {
    /// Where the steps are collected.
    fn steps(&mut self) -> &mut Vec<Step>;

    /// Adds one step.
    fn make(mut self, path: impl AsRef<[u8]>, make: Make) -> Self {
        self.steps().push(Step {
            path: path.as_ref().to_vec(),
            make,
        });
        self
    }

    /// A file with mode 0644.
    fn file(self, path: impl AsRef<[u8]>, content: impl Into<Content>) -> Self {
        self.make(
            path,
            Make::File {
                mode: 0o644,
                content: content.into(),
            },
        )
    }

    /// A file with mode 0755.
    fn executable(self, path: impl AsRef<[u8]>, content: impl Into<Content>) -> Self {
        self.make(
            path,
            Make::File {
                mode: 0o755,
                content: content.into(),
            },
        )
    }

    /// A directory with mode 0755.
    fn directory(self, path: impl AsRef<[u8]>) -> Self {
        self.make(path, Make::Directory { mode: 0o755 })
    }

    /// A symbolic link.
    fn symlink(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.make(
            path,
            Make::Symlink {
                target: target.as_ref().to_vec(),
            },
        )
    }

    /// A bind mount.
    fn bind(self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Self {
        self.make(
            to,
            Make::Bind {
                from: from.as_ref().to_vec(),
            },
        )
    }

    /// A tmpfs.
    fn tmpfs(self, path: impl AsRef<[u8]>) -> Self {
        self.make(
            path,
            Make::Mount {
                file_system: "tmpfs".into(),
                options: "mode=0755".into(),
            },
        )
    }
}

impl Steps for Vec<Step> {
    fn steps(&mut self) -> &mut Vec<Step> {
        self
    }
}

/// The same steps with one for each directory above them that none of them makes
/// before: archives list what is made on the way, too.
pub fn with_parents(steps: &[Step]) -> Vec<Step> {
    let mut made: BTreeSet<&[u8]> = BTreeSet::new();
    let mut all = Vec::new();
    for step in steps {
        let ends = step.path.iter().enumerate().skip(1);
        for (end, _) in ends.filter(|(_, byte)| **byte == b'/') {
            if made.insert(&step.path[..end]) {
                all.push(Step {
                    path: step.path[..end].to_vec(),
                    make: Make::Directory { mode: 0o755 },
                });
            }
        }
        made.insert(&step.path);
        all.push(step.clone());
    }
    all
}
