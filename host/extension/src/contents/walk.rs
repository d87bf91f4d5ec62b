//! Looking at everything below a directory, without following a link.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{self, AtFlags, CWD, Dir, Mode, OFlags};
use switch_root_core::architecture::{self, HEADER};
use switch_root_core::error::{Error, Result};
use switch_root_core::file_kind::FileKind;
use switch_root_core::resolve::{self, Within};
use switch_root_core::{escape, interrupt};

use super::attributes::Attributes;
use super::elf;
use super::open;
use super::release::{self, MOST};
use super::{Contents, Entry, Module};

switch_root_core::outcomes! {
    /// Why the contents of an extension are not examined.
    pub enum Unread in "extensions" {
        /// The system's own words follow.
        "SR-Y01" Refused { path: String, folder: String } = "cannot look at {path} in {folder}",
        /// Another folder was named, perhaps.
        "SR-Y02" TooLarge { folder: String, entries: usize, bytes: usize } = "{folder} holds more than {entries} entries, or {bytes} bytes of paths; an extension is not that large, so look at what was unpacked there",
    }
}

/// How many entries an extension may have.
const ENTRIES: usize = 1_000_000;

/// How long their paths and link targets may be in all, in bytes: they are kept
/// in memory.
const PATHS: usize = 256 << 20;

/// Looks at everything in the root directory of an extension.
///
/// # Errors
/// It or something in it cannot be read, is too deep for a path, or there is more
/// than a million entries or 256 MiB of paths.
pub fn scan(rootfs: &Path) -> Result<Contents> {
    scan_at_most(rootfs, ENTRIES)
}

fn scan_at_most(rootfs: &Path, limit: usize) -> Result<Contents> {
    let shown = escape::path(rootfs.as_os_str().as_encoded_bytes());
    let failed = |path: &[u8], error: rustix::io::Errno| {
        let attempt = Unread::Refused {
            path: absolute(path),
            folder: shown.clone(),
        };
        Error::system(attempt, &error.into())
    };
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = fs::openat(CWD, rootfs, flags, Mode::empty()).map_err(|e| failed(b"", e))?;
    let stat = fs::fstat(&root).map_err(|error| failed(b"", error))?;
    let mut contents = Contents::default();
    contents.entries.push(entry(Vec::new(), &stat));
    let mut attributes = Attributes::default();
    let mut length = 0;
    let mut directories = vec![Vec::new()];
    while let Some(directory) = directories.pop() {
        let path: &[u8] = if directory.is_empty() {
            b"."
        } else {
            &directory
        };
        let fd = resolve::open(Within::Tree, &root, path, flags)
            .map_err(|error| failed(&directory, error))?;
        for child in Dir::read_from(&fd).map_err(|error| failed(&directory, error))? {
            interrupt::check()?;
            let child = child.map_err(|error| failed(&directory, error))?;
            let name = child.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let mut path = directory.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(name.to_bytes());
            let stat = fs::statat(&fd, name, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| failed(&path, error))?;
            let mut entry = entry(path, &stat);
            match entry.kind {
                FileKind::Directory => directories.push(entry.path.clone()),
                FileKind::Symlink => {
                    let target = fs::readlinkat(&fd, name, Vec::new())
                        .map_err(|error| failed(&entry.path, error))?;
                    entry.target = target.into_bytes();
                }
                FileKind::Regular => look_into(&mut contents, &entry, fd.as_fd(), name)
                    .map_err(|error| failed(&entry.path, error))?,
                _ => {}
            }
            if contents.releases.len() <= MOST {
                let release = release::look_at(&entry, fd.as_fd(), name)
                    .map_err(|error| failed(&entry.path, error))?;
                contents.releases.extend(release);
            }
            let at = rootfs.join(OsStr::from_bytes(&entry.path));
            let names = attributes
                .of(&at)
                .map_err(|error| failed(&entry.path, error))?;
            length += entry.path.len() + entry.target.len() + names.len();
            if !names.is_empty() {
                contents.attributes.insert(entry.path.clone(), names);
            }
            contents.entries.push(entry);
            if contents.entries.len() > limit || length > PATHS {
                return Err(Error::input(Unread::TooLarge {
                    folder: shown.clone(),
                    entries: limit,
                    bytes: PATHS,
                }));
            }
        }
    }
    // What is in a directory comes right behind it, whatever else begins alike.
    contents
        .entries
        .sort_by(|left, right| names(&left.path).cmp(names(&right.path)));
    contents.modules.sort_by(|a, b| a.path.cmp(&b.path));
    contents.releases.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(contents)
}

/// The names that lead from the root to a path.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

/// A path of an extension as errors show it.
fn absolute(path: &[u8]) -> String {
    format!("/{}", escape::path(path))
}

fn entry(path: Vec<u8>, stat: &fs::Stat) -> Entry {
    // The kernel has no other kinds.
    let kind = FileKind::of_mode(stat.st_mode).unwrap_or(FileKind::Regular);
    Entry {
        path,
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        target: Vec::new(),
    }
}

/// Notes what a regular file says of kernels and machines.
fn look_into(
    contents: &mut Contents,
    entry: &Entry,
    directory: BorrowedFd<'_>,
    name: &std::ffi::CStr,
) -> rustix::io::Result<()> {
    let release = module_release(&entry.path);
    let firmware = [b"usr/lib/firmware/".as_slice(), b"lib/firmware/"]
        .iter()
        .any(|prefix| entry.path.starts_with(prefix));
    let mut vermagic = None;
    if entry.size >= HEADER as u64 && !firmware {
        let mut file = File::from(open::file(directory, name)?);
        let mut header = [0; HEADER];
        match file.read_exact(&mut header) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => header = [0; HEADER],
            Err(error) => {
                return Err(
                    rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::IO)
                );
            }
        }
        if let Some(architecture) = architecture::of_elf(&header) {
            let first = contents.architectures.entry(architecture).or_default();
            if first.is_empty() || *first > entry.path {
                first.clone_from(&entry.path);
            }
            if release.is_some() {
                vermagic = elf::vermagic(file, header[4] == object::elf::ELFCLASS64);
            }
        }
    }
    if let Some(release) = release {
        contents.modules.push(Module {
            path: entry.path.clone(),
            release: String::from_utf8_lossy(release).into_owned(),
            vermagic,
        });
    }
    Ok(())
}

/// The release in the path of a kernel module; nothing for other files.
fn module_release(path: &[u8]) -> Option<&[u8]> {
    let is_module = [b".ko".as_slice(), b".ko.xz", b".ko.zst", b".ko.gz"]
        .iter()
        .any(|ending| path.ends_with(ending));
    let path = path.strip_prefix(b"usr/").unwrap_or(path);
    let path = path.strip_prefix(b"lib/modules/")?;
    let end = path.iter().position(|byte| *byte == b'/')?;
    is_module.then_some(&path[..end])
}

#[cfg(test)]
mod tests {
    use rustix::fs::FileType;

    use super::super::elf::tests::file;
    use super::*;
    use std::fs as std_fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn write(root: &Path, path: &str, bytes: &[u8]) {
        let path = root.join(path);
        std_fs::create_dir_all(path.parent().unwrap()).unwrap();
        std_fs::write(path, bytes).unwrap();
    }

    #[test]
    fn everything_is_seen_and_no_link_is_followed() {
        let outside = tempfile::tempdir().unwrap();
        write(outside.path(), "secret", b"x");
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "usr/local/bin/tool", b"#!/bin/sh\n");
        write(root.path(), "usr/local-x", b"");
        symlink(outside.path(), root.path().join("usr/local/link")).unwrap();
        rustix::fs::mknodat(
            CWD,
            root.path().join("usr/pipe"),
            FileType::Fifo,
            Mode::RUSR,
            0,
        )
        .unwrap();
        let mode = std_fs::Permissions::from_mode(0o4755);
        std_fs::set_permissions(root.path().join("usr/local/bin/tool"), mode).unwrap();
        let contents = scan(root.path()).unwrap();
        let paths: Vec<_> = contents
            .entries
            .iter()
            .map(|entry| (escape::path(&entry.path), entry.kind))
            .collect();
        assert_eq!(
            paths,
            [
                (String::new(), FileKind::Directory),
                ("usr".into(), FileKind::Directory),
                ("usr/local".into(), FileKind::Directory),
                ("usr/local/bin".into(), FileKind::Directory),
                ("usr/local/bin/tool".into(), FileKind::Regular),
                ("usr/local/link".into(), FileKind::Symlink),
                ("usr/local-x".into(), FileKind::Regular),
                ("usr/pipe".into(), FileKind::Fifo),
            ]
        );
        let tool = &contents.entries[4];
        assert_eq!((tool.mode, tool.size), (0o4755, 10));
        assert_eq!(
            contents.entries[5].target,
            outside.path().as_os_str().as_encoded_bytes()
        );
        let link = outside.path().join("rootfs");
        symlink(root.path(), &link).unwrap();
        assert!(scan(&link).is_err());
    }

    #[test]
    fn modules_and_architectures_are_found() {
        let root = tempfile::tempdir().unwrap();
        let module = file(62, b"vermagic=6.1.0 SMP \0");
        write(root.path(), "usr/lib/modules/6.1.0/extra/a.ko", &module);
        write(
            root.path(),
            "usr/lib/modules/6.1.0/extra/b.ko.xz",
            b"compressed",
        );
        write(root.path(), "lib/modules/6.2.0/c.ko", b"");
        write(
            root.path(),
            "usr/lib/modules/6.3.0/modules.dep",
            b"no module",
        );
        write(root.path(), "usr/lib/modules/stray.ko", &module);
        write(root.path(), "usr/lib/firmware/dsp.elf", &file(183, b""));
        write(root.path(), "usr/local/bin/z", &file(3, b""));
        write(root.path(), "usr/local/bin/bpf", &file(247, b""));
        let contents = scan(root.path()).unwrap();
        let modules: Vec<_> = contents
            .modules
            .iter()
            .map(|module| (module.release.as_str(), module.vermagic.as_deref()))
            .collect();
        assert_eq!(
            modules,
            [("6.2.0", None), ("6.1.0", Some("6.1.0")), ("6.1.0", None)]
        );
        assert_eq!(
            contents.kernel_releases().into_iter().collect::<Vec<_>>(),
            ["6.1.0", "6.2.0"]
        );
        assert_eq!(
            contents.architectures,
            [
                ("i686", b"usr/local/bin/z".to_vec()),
                ("x86_64", b"usr/lib/modules/6.1.0/extra/a.ko".to_vec()),
            ]
            .into()
        );
    }

    #[test]
    fn extension_release_is_read_where_it_is_a_file_of_text() {
        let root = tempfile::tempdir().unwrap();
        let folder = "usr/lib/extension-release.d/extension-release.";
        let file = |name: &str, bytes: &[u8]| write(root.path(), &format!("{folder}{name}"), bytes);
        file("a", b"ID=x\nID=\"fedora\"\nVERSION_ID=40\nNAME=no\n");
        file("binary", b"ID=\xff\n");
        file("empty", b"");
        file("large", &vec![b'#'; release::LARGEST as usize + 1]);
        write(root.path(), "usr/lib/extension-release.d/other", b"ID=a");
        write(root.path(), &format!("{folder}d/file"), b"ID=a");
        symlink(
            "extension-release.a",
            root.path().join(format!("{folder}link")),
        )
        .unwrap();
        let contents = scan(root.path()).unwrap();
        let found: Vec<_> = contents
            .releases
            .iter()
            .map(|release| {
                (
                    release.name.as_str(),
                    release.fields.as_ref().map(|f| f.len()),
                )
            })
            .collect();
        let expected = [
            ("a", Some(2)),
            ("binary", None),
            ("d", None),
            ("empty", Some(0)),
            ("large", None),
            ("link", None),
        ];
        assert_eq!(found, expected);
        let fields = contents.releases[0].fields.as_ref().unwrap();
        assert_eq!(
            (fields["ID"].as_str(), fields["VERSION_ID"].as_str()),
            ("fedora", "40")
        );
        for more in 0..2 * MOST {
            file(&more.to_string(), b"ID=x");
        }
        assert_eq!(scan(root.path()).unwrap().releases.len(), MOST + 1);
    }

    #[test]
    fn attributes_that_somebody_gave_are_found() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "a/b", b"");
        write(root.path(), "a/c", b"");
        let set = |path: &str, name: &str| {
            rustix::fs::lsetxattr(
                root.path().join(path),
                name,
                b"x",
                rustix::fs::XattrFlags::empty(),
            )
        };
        // Not every file system has them.
        if set("a/b", "user.x") == Err(rustix::io::Errno::OPNOTSUPP) {
            return;
        }
        set("a/b", "user.y").unwrap();
        set("a", "user.overlay.origin").unwrap();
        let found = scan(root.path()).unwrap().attributes;
        let names = found.get(&b"a/b"[..]).map(String::as_str);
        let both = ["user.x, user.y", "user.y, user.x"];
        assert!(
            names.is_some_and(|names| both.contains(&names)),
            "{found:?}"
        );
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn too_many_entries_are_refused() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "a/b", b"");
        assert!(scan_at_most(root.path(), 3).is_ok());
        let error = scan_at_most(root.path(), 2).unwrap_err().to_string();
        assert!(error.contains("more than 2 entries"), "{error}");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let root = tempfile::tempdir().unwrap();
        let error = scan(&root.path().join("rootfs")).unwrap_err();
        assert!(error.to_string().contains("/rootfs"), "{error}");
    }
}
