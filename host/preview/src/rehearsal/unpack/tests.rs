use std::fs as std_fs;
use std::io::{Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use initramfs::archive::Writer;
use tempfile::TempDir;

use super::*;

fn member(name: &str, kind: u32, mode: u32) -> Member {
    Member {
        name: name.into(),
        mode: kind | mode,
        nlink: 1,
        ..Member::default()
    }
}

fn file(name: &str) -> Member {
    member(name, libc::S_IFREG, 0o644)
}

/// Unpacks archives of members with their contents.
fn unpacked(archives: &[Vec<(Member, &str)>]) -> Result<(TempDir, Unpacked)> {
    let mut bytes = Vec::new();
    for archive in archives {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let mut writer = Writer::new(bytes);
        for (member, contents) in archive {
            let member = Member {
                size: contents.len() as u32,
                ..member.clone()
            };
            writer.member(&member, &mut contents.as_bytes(), &mut |_| {})?;
        }
        bytes = writer.finish()?;
    }
    let mut image = tempfile::tempfile().unwrap();
    image.write_all(&bytes).unwrap();
    image.rewind().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = File::open(folder.path()).unwrap();
    let done = unpack(image, "image", root.as_fd(), Unpacked::default(), 1 << 20)?;
    Ok((folder, done))
}

fn read(folder: &TempDir, path: &str) -> String {
    std_fs::read_to_string(folder.path().join(path)).unwrap()
}

#[test]
fn what_is_behind_overwrites_what_is_before() {
    let (folder, done) = unpacked(&[
        vec![
            (file("a"), "longer than the next"),
            (member("d", libc::S_IFDIR, 0o700), ""),
            (member("l", libc::S_IFLNK, 0o777), "a"),
        ],
        vec![
            (file("a"), "short"),
            (member("d", libc::S_IFDIR, 0o711), ""),
            (file("l"), "no link any more"),
        ],
    ])
    .unwrap();
    assert_eq!(read(&folder, "a"), "short");
    assert_eq!(read(&folder, "l"), "no link any more");
    let mode = folder.path().join("d").metadata().unwrap().permissions();
    assert_eq!(mode.mode() & 0o7777, 0o711);
    assert_eq!(done.passed_over_count, 0);
}

#[test]
fn the_target_of_a_link_ends_with_its_first_nul() {
    let (folder, done) = unpacked(&[vec![(member("l", libc::S_IFLNK, 0o777), "a/b\0c")]]).unwrap();
    let target = std_fs::read_link(folder.path().join("l")).unwrap();
    assert_eq!(target.as_os_str(), "a/b");
    assert_eq!(done.passed_over_count, 0);
}

#[test]
fn another_name_of_a_file_that_could_not_be_made_is_not_made_either() {
    let named = |name: &str| Member {
        ino: 7,
        nlink: 2,
        ..file(name)
    };
    let (folder, done) = unpacked(&[vec![(named("nowhere/a"), "1"), (named("b"), "2")]]).unwrap();
    assert!(!folder.path().join("b").exists());
    assert_eq!(done.passed_over_count, 2);
}

#[test]
fn no_member_leads_out_of_the_folder() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    let (folder, done) = unpacked(&[vec![
        (member("link", libc::S_IFLNK, 0o777), target),
        (file("link/escaped"), "x"),
        (file("../../../escaped-too"), "x"),
        (file("/absolute"), "x"),
    ]])
    .unwrap();
    assert_eq!(std_fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(read(&folder, "escaped-too"), "x");
    assert_eq!(read(&folder, "absolute"), "x");
    // Within the folder the link leads nowhere.
    assert_eq!(done.passed_over_count, 1);
    assert!(done.passed_over[0].contains("link/escaped"), "{done:?}");
}

#[test]
fn absolute_links_lead_to_places_in_the_folder() {
    let (folder, _) = unpacked(&[vec![
        (member("usr", libc::S_IFDIR, 0o755), ""),
        (member("usr/lib", libc::S_IFDIR, 0o755), ""),
        (member("lib", libc::S_IFLNK, 0o777), "/usr/lib"),
        (file("lib/a"), "x"),
    ]])
    .unwrap();
    assert_eq!(read(&folder, "usr/lib/a"), "x");
}

#[test]
fn names_of_one_number_are_one_file_in_their_archive_alone() {
    let linked = |name: &str| Member {
        nlink: 2,
        ino: 7,
        ..file(name)
    };
    let (folder, _) = unpacked(&[
        vec![(linked("a"), ""), (linked("b"), "contents")],
        vec![(linked("c"), "another")],
    ])
    .unwrap();
    let ino = |name: &str| folder.path().join(name).metadata().unwrap().ino();
    assert_eq!(read(&folder, "a"), "contents");
    assert_eq!(ino("a"), ino("b"));
    assert_ne!(ino("a"), ino("c"));
    assert_eq!(read(&folder, "c"), "another");
}

#[test]
fn what_the_kernel_passes_over_is_passed_over() {
    let (folder, done) = unpacked(&[vec![
        (file("missing/file"), "x"),
        (file("kernel/x86/microcode/GenuineIntel.bin"), "x"),
        (member("directory", libc::S_IFDIR, 0o755), "contents"),
        (file("there"), "x"),
    ]])
    .unwrap();
    assert_eq!(std_fs::read_dir(folder.path()).unwrap().count(), 1);
    assert_eq!(read(&folder, "there"), "x");
    assert_eq!(done.passed_over_count, 2, "{done:?}");
}

#[test]
fn a_truncated_image_is_an_error() {
    let mut image = tempfile::tempfile().unwrap();
    image.write_all(b"070701000000").unwrap();
    image.rewind().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let root = File::open(folder.path()).unwrap();
    let done = Unpacked::default();
    let error = unpack(image, "image", root.as_fd(), done, 1).unwrap_err();
    assert!(error.to_string().contains("truncated"), "{error}");
}
