//! A mounted layer is held against the rules for layers
//! ([`layer_rules`]), and against what else a boot must restore.

use std::collections::BTreeSet;
use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{self, AtFlags, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;
use switch_root_core::layer_rules::{self, Breach, DIRECTORIES, Effect, Harm, Has, Place, Rights};
use switch_root_core::outcome::Message;
use switch_root_core::path::{Path, join};
use switch_root_core::resolve::in_root;

use super::attributes::Attributes;
use super::directed;
use crate::listing::open;

switch_root_core::outcomes! {
    /// What else a layer must not do: what follows its name in a sentence.
    pub enum Conflict in "layers" {
        /// One of both images is damaged.
        "SR-L25" Comparing { path: Path, error: io::Error } = "cannot be compared with the root image at {path}: {error}",
        /// SELinux is active, and takes no notice of labels in a tmpfs that were set before its policy
        /// was loaded. Label the directories that the layer has in common with the root image as that
        /// has them, `/` included. Where the system loads no policy, `selinux=0` on the kernel command
        /// line is right.
        "SR-L26" Label { path: Path } = "would change attributes of the directory {path} of the root image, which cannot be restored with the label that SELinux is to find there before a policy is loaded; repack it with the attributes that the root image has, or start with selinux=0",
    }
}

/// Examines a layer, and compares all directories that it has in common with the root image.
/// Gives back those whose attributes it changes, and all above them: the new root has to have
/// them as the root image has them. `labels_are_lost` says whether that is impossible for
/// labels of SELinux.
///
/// # Errors
/// What follows the layer's name in a sentence.
pub fn check(
    layer: BorrowedFd<'_>,
    root: BorrowedFd<'_>,
    labels_are_lost: bool,
) -> Result<BTreeSet<Vec<u8>>, Message> {
    directed::check(layer)?;
    let mut shared = Shared {
        layer,
        root,
        to_do: vec![b"/".to_vec()],
        changed: BTreeSet::new(),
    };
    let failed = |path: &[u8], error| Conflict::Comparing {
        path: path.into(),
        error,
    };
    let mut done = 0;
    while let Some(path) = shared.to_do.pop() {
        done += 1;
        if done > DIRECTORIES {
            Err(Breach::Many)?;
        }
        let wrong = shared
            .compare(&path)
            .map_err(|error| failed(&path, error))?;
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
    }
    let restored = with_those_above(&shared.changed);
    if let (true, Some(first)) = (labels_are_lost, shared.changed.first()) {
        for path in &restored {
            let directory = open(root, path, OFlags::RDONLY | OFlags::DIRECTORY);
            let attributes = directory.and_then(Attributes::of);
            if attributes.map_err(|error| failed(path, error))?.has_label() {
                let path = first.as_slice().into();
                Err(Conflict::Label { path })?;
            }
        }
    }
    Ok(restored)
}

/// These directories, and all above them.
fn with_those_above(paths: &BTreeSet<Vec<u8>>) -> BTreeSet<Vec<u8>> {
    let mut all = BTreeSet::new();
    for path in paths {
        all.insert(b"/".to_vec());
        let ends = (1..path.len()).filter(|end| path[*end] == b'/');
        all.extend(ends.map(|end| path[..end].to_vec()));
        all.insert(path.clone());
    }
    all
}

/// The directories that a layer has in common with the root image.
struct Shared<'a> {
    layer: BorrowedFd<'a>,
    root: BorrowedFd<'a>,
    /// Those that are not compared yet.
    to_do: Vec<Vec<u8>>,
    /// Those whose attributes the layer changes.
    changed: BTreeSet<Vec<u8>>,
}

impl Shared<'_> {
    /// Compares one of them and its entries; what are directories in both is added to `to_do`.
    /// Gives back what is wrong.
    fn compare(&mut self, path: &[u8]) -> io::Result<Option<Message>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let (above, below) = (
            open(self.layer, path, flags)?,
            open(self.root, path, flags)?,
        );
        // Of the root directory anything may differ: images are made with any.
        let restorable = path == b"/" && rights(&fs::fstat(&above)?) != rights(&fs::fstat(&below)?);
        if restorable || Attributes::of(&above)? != Attributes::of(&below)? {
            self.changed.insert(path.to_vec());
        }
        for entry in Dir::read_from(&above)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let here = join(path, name.to_bytes());
            let place = Both {
                layer: has(&fs::statat(&above, name, AtFlags::SYMLINK_NOFOLLOW)?),
                directories: [&above, &below],
                name,
                root: self.root,
                path: &here,
            };
            match layer_rules::effect(&place)? {
                Effect::Fine => {}
                Effect::Shared => self.to_do.push(here),
                Effect::Harm(harm) => {
                    let breach = Message::from(harm.at(&here));
                    return Ok(Some(match harm {
                        Harm::Deletes => breach,
                        _ => breach.reworded(|breach| format!("{breach}; repack it")),
                    }));
                }
            }
        }
        Ok(None)
    }
}

/// A name of the layer, and of the root image.
struct Both<'a> {
    layer: Has,
    /// Where it is: in the layer, and in the root image.
    directories: [&'a OwnedFd; 2],
    name: &'a CStr,
    root: BorrowedFd<'a>,
    path: &'a [u8],
}

impl Place for Both<'_> {
    type Error = Errno;

    fn layer(&self) -> Has {
        self.layer
    }

    fn root(&self) -> Result<Option<Has>, Errno> {
        match fs::statat(self.directories[1], self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(has(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_same_link(&self) -> Result<bool, Errno> {
        let target = |directory| fs::readlinkat(directory, self.name, Vec::new());
        Ok(target(self.directories[0])? == target(self.directories[1])?)
    }

    fn leads_to_directory(&self) -> bool {
        in_root(self.root, self.path, OFlags::PATH | OFlags::DIRECTORY).is_ok()
    }
}

fn has(stat: &Stat) -> Has {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Has::Directory(rights(stat)),
        FileType::Symlink => Has::Link,
        FileType::CharacterDevice if stat.st_rdev == 0 => Has::Whiteout,
        _ => Has::File,
    }
}

fn rights(stat: &Stat) -> Rights {
    Rights {
        mode: stat.st_mode & 0o7777,
        user: stat.st_uid,
        group: stat.st_gid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, Permissions, create_dir_all, set_permissions, write};
    use std::os::fd::AsFd;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A root image and a layer in two folders, and what is said of the layer.
    fn said(make: impl Fn(&std::path::Path)) -> Result<Vec<String>, String> {
        compared(false, |_, layer| make(layer))
    }

    /// What is said of a layer, and which directories are to be restored.
    fn compared(
        labels_are_lost: bool,
        make: impl Fn(&std::path::Path, &std::path::Path),
    ) -> Result<Vec<String>, String> {
        let folder = std::env::temp_dir().join(format!(
            "switch-root-conflict-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let _ = std::fs::remove_dir_all(&folder);
        let (root, layer) = (folder.join("root"), folder.join("layer"));
        for path in ["usr/lib/deep", "etc", "run"] {
            create_dir_all(root.join(path)).unwrap();
        }
        symlink("usr/lib", root.join("lib")).unwrap();
        write(root.join("usr/lib/file"), "").unwrap();
        symlink("file", root.join("usr/lib/link")).unwrap();
        create_dir_all(&layer).unwrap();
        make(&root, &layer);
        let outcome = check(
            File::open(&layer).unwrap().as_fd(),
            File::open(&root).unwrap().as_fd(),
            labels_are_lost,
        );
        std::fs::remove_dir_all(folder).unwrap();
        let text = |path: Vec<u8>| String::from_utf8(path).unwrap();
        let outcome = outcome.map_err(|reason| reason.text)?;
        Ok(outcome.into_iter().map(text).collect())
    }

    #[test]
    fn files_may_be_added_and_replaced() {
        said(|layer| {
            create_dir_all(layer.join("usr/lib/deep/new")).unwrap();
            create_dir_all(layer.join("opt/other")).unwrap();
            set_permissions(layer.join("opt/other"), Permissions::from_mode(0o700)).unwrap();
            write(layer.join("usr/lib/file"), "new").unwrap();
            write(layer.join("usr/lib/link"), "no link any more").unwrap();
            symlink("usr/lib", layer.join("lib")).unwrap();
        })
        .unwrap();
    }

    #[test]
    fn what_could_stop_the_machine_is_named() {
        type Make = fn(&std::path::Path);
        let cases: [(Make, &str); 5] = [
            (
                |layer| create_dir_all(layer.join("lib")).unwrap(),
                "would replace the link to a directory /lib of",
            ),
            (
                |layer| symlink("/tmp", layer.join("run")).unwrap(),
                "would replace the directory /run of",
            ),
            (
                |layer| write(layer.join("etc"), "").unwrap(),
                "would replace the directory /etc of",
            ),
            (
                |layer| create_dir_all(layer.join("usr/lib/file")).unwrap(),
                "by a directory the file /usr/lib/file of",
            ),
            (
                |layer| {
                    let path = layer.join("usr/lib/deep");
                    create_dir_all(&path).unwrap();
                    set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
                },
                "mode 0700",
            ),
        ];
        for (make, expected) in cases {
            let reason = said(make).unwrap_err();
            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[test]
    fn a_layer_cannot_delete() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can make device nodes");
            return;
        }
        let reason = said(|layer| {
            nix::sys::stat::mknod(
                &layer.join("etc"),
                nix::sys::stat::SFlag::S_IFCHR,
                nix::sys::stat::Mode::empty(),
                0,
            )
            .unwrap();
        })
        .unwrap_err();
        assert_eq!(reason, "would delete /etc");
    }

    /// Gives a file an attribute that no module of the kernel reads.
    fn set(path: &std::path::Path, name: &str, value: &[u8]) {
        create_dir_all(path).unwrap();
        fs::setxattr(path, name, value, fs::XattrFlags::empty()).unwrap();
    }

    #[test]
    fn directories_whose_attributes_differ_are_to_be_restored() {
        let name = "user.origin";
        let all = ["/", "/usr", "/usr/lib", "/usr/lib/deep"];
        let cases: [(&str, &str, &[&str]); 4] = [
            ("same", "same", &[]),
            ("of the root", "of the layer", &all),
            ("", "of the layer", &all),
            ("of the root", "", &all),
        ];
        for (of_root, of_layer, expected) in cases {
            let found = compared(false, |root, layer| {
                for (tree, value) in [(root, of_root), (layer, of_layer)] {
                    let deep = tree.join("usr/lib/deep");
                    create_dir_all(&deep).unwrap();
                    if !value.is_empty() {
                        set(&deep, name, value.as_bytes());
                    }
                    // What only one of them has is its own.
                    set(&tree.join(format!("opt/of {value}")), name, b"");
                }
            });
            assert_eq!(found.unwrap(), expected, "{of_root}, {of_layer}");
        }
    }

    #[test]
    fn root_directory_that_differs_is_to_be_restored() {
        let found = said(|layer| {
            create_dir_all(layer.join("usr/lib")).unwrap();
            set_permissions(layer, Permissions::from_mode(0o700)).unwrap();
        });
        assert_eq!(found.unwrap(), ["/"]);
    }

    #[test]
    fn lost_labels_are_a_conflict_where_the_root_image_has_some() {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can set labels");
            return;
        }
        let label = "security.selinux";
        let changed = |lost, labelled: &'static str| {
            compared(lost, move |root, layer| {
                set(&root.join(labelled), label, b"system_u:object_r:usr_t\0");
                create_dir_all(layer.join("etc")).unwrap();
                set(&layer.join("usr/lib"), "user.origin", b"layer");
            })
        };
        let reason = changed(true, "usr").unwrap_err();
        assert!(reason.contains("directory /usr of"), "{reason}");
        assert!(changed(false, "usr").is_ok());
        // What need not be restored keeps its label.
        assert_eq!(changed(true, "run").unwrap(), ["/", "/usr", "/usr/lib"]);
    }
}
