//! What an initramfs tells of the machine that will boot it: its operating system,
//! its kernels, and its policies.

mod root;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use policy::source::Source;
use switch_root_core::architecture::{self, HEADER};
use switch_root_core::error::Attempt;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::file_kind::FileKind;
use switch_root_core::layer_rules::Rights;
use switch_root_core::limits::fixed;
use switch_root_core::locations::{self, in_archive};
use switch_root_core::os_release;

use crate::files::Files;
use crate::inner::{self, Found};
use crate::kept::{Kept, copy};
use crate::segments;
use crate::tree::{Id, Want, Wanted};

pub use root::{Node as RootNode, Root};

switch_root_core::outcomes! {
    /// Why a root image says nothing of the machine: what follows its name in a sentence.
    pub enum Unread in "image-findings" {
        /// It is not a squashfs image, or was damaged or cut off. The machine would not boot it either.
        "SR-G93" Unreadable { error: io::Error } = "cannot be looked into: {error}",
        "SR-G94" Damaged { error: Error } = "cannot be looked into: {error}",
        "SR-G95" Empty = "cannot be looked into: it is empty",
        /// Its os-release and kernels are not known then; the machine boots it.
        "SR-G96" Erofs = "cannot be looked into: one of erofs is not looked into",
    }
}

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
    /// The image inside the initramfs that it boots from or may.
    pub inner: Option<Found>,
}

/// Walks through an initramfs, and keeps its policies and the signers that it accepts;
/// `work` is a folder for what is unpacked meanwhile.
///
/// # Errors
/// See [`segments::scan`]; or a file cannot be written.
pub fn examine(input: &Path, policies: &mut Kept, work: &Path) -> Result<Machine> {
    let mut machine = Machine::default();
    let mut image = None;
    let mut may_be_inside = false;
    segments::scan(input, &mut |_, member, contents| {
        let path = member.path();
        machine.kernel_releases.extend(kernel_release(path));
        may_be_inside |= inner::may_be(member);
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
    if may_be_inside {
        machine.inner = inner::find_in(input)?;
    }
    if let Some((file, name)) = image {
        let looked = File::open(&file)
            .map_err(|error| Unread::Unreadable { error })
            .and_then(|opened| look_into(opened, 0, &mut machine));
        fs::remove_file(&file).map_err(|error| {
            let path = file.shown();
            Error::system(Attempt::Remove { path }, &error)
        })?;
        if let Err(reason) = looked {
            machine.problem = Some(format!("the root image {name} {reason}"));
        }
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
        .map_err(|error| {
            let path = "the program".to_owned();
            Error::of_copy(Attempt::Read { path }, &error)
        })?;
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
/// It is none, or is damaged.
pub fn look_into(
    file: File,
    offset: u64,
    machine: &mut Machine,
) -> std::result::Result<(), Unread> {
    let wanted = locations::OS_RELEASE
        .into_iter()
        .fold(Wanted::default(), |wanted, path| {
            wanted.file(path, Want::Whole(fixed::OS_RELEASE))
        });
    let tree = inner::names(file, offset, wanted).map_err(|error| Unread::Damaged { error })?;
    let mut todo = vec![(Id::ROOT, Vec::new())];
    while let Some((id, path)) = todo.pop() {
        machine.kernel_releases.extend(kernel_release(&path));
        let node = tree.node(id);
        let kind = match node.kind {
            FileKind::Directory => RootNode::Directory(Rights {
                mode: node.mode,
                user: node.uid,
                group: node.gid,
            }),
            FileKind::Symlink => RootNode::Link(node.target().to_vec()),
            _ => RootNode::File,
        };
        todo.extend(tree.children(id).map(|(name, child)| {
            let path = match path.is_empty() {
                true => name.to_vec(),
                false => switch_root_core::path::join(&path, name),
            };
            (child, path)
        }));
        machine.root.0.insert(path, kind);
    }
    let (text, refused) = os_release::find(|path| {
        let found = Files(&tree).read(Path::new(path), fixed::OS_RELEASE)?;
        Ok(found.map(|contents| contents.bytes))
    });
    // The boot goes on without one that it refuses.
    machine.os_release = text.or_else(|| (!refused.is_empty()).then(String::new));
    machine.problem = refused.first().map(ToString::to_string);
    Ok(())
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

    /// A squashfs with these files in two folders.
    fn squashfs(files: &[(&str, &[u8])], links: &[(&str, &str)]) -> File {
        use backhand::{FilesystemWriter, NodeHeader};
        let header = NodeHeader::new(0o755, 0, 0, 0);
        let mut image = FilesystemWriter::default();
        for folder in ["/etc", "/usr", "/usr/lib"] {
            image.push_dir(folder, header).unwrap();
        }
        for (path, contents) in files {
            let contents = std::io::Cursor::new(contents.to_vec());
            image.push_file(contents, path, header).unwrap();
        }
        for (path, target) in links {
            image.push_symlink(*target, path, header).unwrap();
        }
        let mut file = tempfile::tempfile().unwrap();
        image.write(&mut file).unwrap();
        file
    }

    #[test]
    fn os_release_of_a_root_image_is_what_the_boot_reads() {
        let largest = [b'#'; fixed::OS_RELEASE as usize];
        let larger = [b'#'; fixed::OS_RELEASE as usize + 1];
        let [etc, usr] = locations::OS_RELEASE;
        let refused =
            "/etc/os-release of the new root is 65537 bytes large; at most 65536 are read";
        let link = [(etc, "../usr/lib/os-release")];
        type Case<'a> = (
            &'a [(&'a str, &'a [u8])],
            &'a [(&'a str, &'a str)],
            Option<usize>,
            Option<&'a str>,
        );
        let cases: [Case<'_>; 5] = [
            (&[(etc, b"ID=a"), (usr, b"ID=other")], &[], Some(4), None),
            (&[(usr, b"ID=a")], &link, Some(4), None),
            (&[(etc, &largest)], &[], Some(largest.len()), None),
            (
                &[(etc, &larger), (usr, b"ID=a")],
                &[],
                Some(4),
                Some(refused),
            ),
            (&[], &[], None, None),
        ];
        for (files, links, length, problem) in cases {
            let mut machine = Machine::default();
            look_into(squashfs(files, links), 0, &mut machine).unwrap();
            assert_eq!(machine.os_release.map(|text| text.len()), length);
            assert_eq!(machine.problem.as_deref(), problem);
        }
        let mut machine = Machine::default();
        look_into(squashfs(&[(usr, &larger)], &link), 0, &mut machine).unwrap();
        assert_eq!(machine.os_release.as_deref(), Some(""), "the boot has none");
    }
}
