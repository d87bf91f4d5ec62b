//! What an initramfs tells of the machine that will boot it: its operating system,
//! its kernels, and its policies.

mod root;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use backhand::{FilesystemReader, InnerNode, Node, SquashfsFileReader};
use switch_root_core::architecture::{self, HEADER};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::locations::{self, in_archive};

use crate::kept::{Kept, copy};
use crate::segments;

pub use root::{Node as RootNode, Root};

/// Root images of squashfs as the boot binary looks for them, without the slash.
pub const ROOT_IMAGES: [&str; 2] = [
    in_archive(locations::ROOT_IMAGES[0]),
    in_archive(locations::ROOT_IMAGES[1]),
];

/// One of erofs, which is not looked into.
pub const EROFS_IMAGE: &str = in_archive(locations::ROOT_IMAGES[2]);

/// What the kernel executes.
const INIT: &[u8] = b"init";

/// Where kernel modules are, below the root of initramfs and root image.
const MODULES: [&[u8]; 2] = [b"lib/modules/", b"usr/lib/modules/"];

/// The largest os-release file that is read, in bytes.
const OS_RELEASE: u64 = 64 << 10;

/// Links that are followed one after the other.
const LINKS: usize = 8;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The text of the os-release of the root image, which is the new root's.
    pub os_release: Option<String>,
    /// The kernels that there are modules for, in initramfs or root image.
    pub kernel_releases: BTreeSet<String>,
    /// What the init of the initramfs is a program for, as `uname -m` has it.
    pub architecture: Option<&'static str>,
    /// What is in the root image.
    pub root: Root,
    /// What could not be looked into, as a sentence.
    pub problem: Option<String>,
}

/// Walks through an initramfs, and keeps its policies and the signers that it accepts;
/// `work` is a folder for what is unpacked meanwhile.
///
/// # Errors
/// See [`segments::scan`]; or a file cannot be written.
pub fn examine(input: &Path, policies: &mut Kept, work: &Path) -> Result<Machine> {
    let mut machine = Machine::default();
    let mut image = None;
    segments::scan(input, &mut |_, member, contents| {
        let path = member.path();
        machine.kernel_releases.extend(kernel_release(path));
        if policies.take(member, contents)? {
            return Ok(());
        }
        if member.is_file() && path == INIT {
            machine.architecture = program_for(contents)?;
        }
        if member.is_file() && ROOT_IMAGES.iter().any(|name| name.as_bytes() == path) {
            let file = work.join("root-image");
            copy(&file, contents)?;
            image = Some((file, escape::path(path)));
        }
        Ok(())
    })?;
    if let Some((file, name)) = image {
        let looked = File::open(&file)
            .map_err(|error| error.to_string())
            .and_then(|opened| look_into(opened, 0, &mut machine));
        fs::remove_file(&file)
            .map_err(|error| Error::system(format!("cannot remove {}", file.shown()), &error))?;
        machine.problem = looked
            .err()
            .map(|reason| format!("the root image {name} cannot be looked into: {reason}"));
    }
    Ok(machine)
}

/// What a program is for, as `uname -m` has it; `None` where it is no ELF program of an
/// architecture that is known.
pub fn program_for(contents: &mut dyn Read) -> Result<Option<&'static str>> {
    let mut header = Vec::new();
    contents
        .take(HEADER as u64)
        .read_to_end(&mut header)
        .map_err(|error| Error::of_copy("cannot read the program", &error))?;
    Ok(header.first_chunk().and_then(architecture::of_elf))
}

/// The release out of the path of a kernel module or of their index, without the slash
/// at its beginning.
pub fn kernel_release(path: &[u8]) -> Option<String> {
    let rest = MODULES
        .iter()
        .find_map(|folder| path.strip_prefix(*folder))?;
    let mut parts = rest.split(|byte| *byte == b'/');
    let release = parts.next()?;
    let file = parts.next_back()?;
    let module = file == b"modules.dep" || file.windows(3).any(|part| part == b".ko");
    if !module {
        return None;
    }
    std::str::from_utf8(release)
        .ok()
        .filter(|release| !release.is_empty())
        .map(str::to_owned)
}

/// Reads os-release and the names of kernels out of a squashfs, which begins at
/// `offset` of the file.
///
/// # Errors
/// It is none, or is damaged; in words that follow a colon.
pub fn look_into(
    file: File,
    offset: u64,
    machine: &mut Machine,
) -> std::result::Result<(), String> {
    let mut reader = BufReader::new(file);
    reader.rewind().map_err(|error| error.to_string())?;
    let image = FilesystemReader::from_reader_with_offset(reader, offset)
        .map_err(|error| error.to_string())?;
    for node in image.files() {
        let path = node.fullpath.as_os_str().as_bytes();
        let path = path.strip_prefix(b"/").unwrap_or(path);
        machine.kernel_releases.extend(kernel_release(path));
        let header = &node.header;
        let kind = match &node.inner {
            InnerNode::Dir(_) => RootNode::Directory(
                u32::from(header.permissions) & 0o7777,
                header.uid,
                header.gid,
            ),
            InnerNode::Symlink(link) => RootNode::Link(link.link.as_os_str().as_bytes().to_vec()),
            _ => RootNode::File,
        };
        machine.root.0.insert(path.to_vec(), kind);
    }
    for path in locations::OS_RELEASE {
        let Some(file) = find_file(&image, path) else {
            continue;
        };
        let mut bytes = Vec::new();
        image
            .file(file)
            .reader()
            .take(OS_RELEASE)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        machine.os_release = Some(String::from_utf8_lossy(&bytes).into_owned());
        break;
    }
    Ok(())
}

/// Finds a regular file, following links in the last part of its path.
fn find_file<'a>(image: &'a FilesystemReader<'_>, path: &str) -> Option<&'a SquashfsFileReader> {
    let mut path = PathBuf::from(path);
    for _ in 0..LINKS {
        let node: &Node<_> = image.files().find(|node| node.fullpath == path)?;
        match &node.inner {
            InnerNode::File(file) => return Some(file),
            InnerNode::Symlink(link) => {
                let above = path.parent().unwrap_or(Path::new("/"));
                path = normalize(&above.join(&link.link));
            }
            _ => return None,
        }
    }
    None
}

/// Takes `.` and `..` out of an absolute path.
fn normalize(path: &Path) -> PathBuf {
    let mut normal = PathBuf::from("/");
    for part in path.components() {
        match part {
            std::path::Component::Normal(name) => normal.push(name),
            std::path::Component::ParentDir => {
                normal.pop();
            }
            _ => {}
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_told_by_the_folders_of_their_modules() {
        let release = |path: &str| kernel_release(path.as_bytes());
        assert_eq!(
            release("lib/modules/6.1.0/kernel/a.ko"),
            Some("6.1.0".into())
        );
        assert_eq!(
            release("usr/lib/modules/7.0/modules.dep"),
            Some("7.0".into())
        );
        assert_eq!(release("lib/modules/6.1.0/a.ko.zst"), Some("6.1.0".into()));
        assert_eq!(release("lib/modules/stray"), None);
        assert_eq!(release("lib/modules/stray/README"), None);
        assert_eq!(release("lib/modules/"), None);
        assert_eq!(release("usr/local/lib/modules/1"), None);
    }

    #[test]
    fn a_link_never_leads_out_of_the_image() {
        assert_eq!(
            normalize(Path::new("/etc/../../usr/./lib/os-release")),
            Path::new("/usr/lib/os-release")
        );
    }
}
