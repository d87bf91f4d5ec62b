//! `srctl extension pack`.

use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, SystemTime};

use switch_root_tests::archive::members;
use switch_root_tests::image::digest;
use switch_root_tests::programs::output;
use switch_root_tests::snapshot::{Entry, Tree};
use switch_root_tests::steps::{Step, Steps};

use crate::check::{ensure, says};
use crate::srctl::{Desk, extension, tree};
use crate::tools::{Checked, Stop, cases, program};

cases![
    the_same_folders_give_the_same_bytes,
    an_archive_holds_the_list_and_the_layers_in_order,
    layers_are_compressed_as_the_archive_is,
    a_layer_holds_what_the_extension_holds_and_all_of_it_is_roots,
    an_archive_that_cannot_be_written_leaves_what_was_there,
];

/// A desk with the folder `all` of two extensions.
fn desk() -> Result<Desk, Stop> {
    let desk = Desk::new()?;
    desk.tree("all/000.first", &extension("first"))?;
    desk.tree("all/001.second", &extension("second"))?;
    Ok(desk)
}

fn the_same_folders_give_the_same_bytes() -> Checked {
    let desk = desk()?;
    let pack = |folder: &str, file: &str| {
        desk.succeeds(&format!("extension pack {folder} --output {file}"))?;
        desk.read(file)
    };
    let first = pack("all", "1.img")?;
    ensure!(pack("all", "2.img")? == first, "a second run differs");
    // A copy that was made in another order, at another time, by somebody else.
    desk.tree("copy/001.second", &reversed(extension("second")))?;
    desk.tree("copy/000.first", &reversed(extension("first")))?;
    let past = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for path in tree(&desk.path("copy"))?
        .keys()
        .filter(|path| path.ends_with("/empty"))
    {
        let path = desk.path("copy").join(&path[1..]);
        File::options()
            .write(true)
            .open(&path)?
            .set_modified(past)?;
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(1000), Some(1000))?;
        }
    }
    ensure!(pack("copy", "3.img")? == first, "a copy differs");
    // Where it should differ, it does.
    desk.write("copy/000.first/rootfs/usr/local/one-more", "")?;
    ensure!(
        pack("copy", "4.img")? != first,
        "another file makes no difference"
    );
    Ok(())
}

/// What other steps need stays in front: the folder itself, and names that are linked to.
fn reversed(mut steps: Vec<Step>) -> Vec<Step> {
    let last = steps.len() - 1;
    let link = steps.split_off(last);
    steps.reverse();
    steps.extend(link);
    steps
}

fn an_archive_holds_the_list_and_the_layers_in_order() -> Checked {
    let desk = desk()?;
    let mut archives = Vec::new();
    for (compression, check) in [
        ("zstd", "zstd"),
        ("xz", "xz"),
        ("gzip", "gzip"),
        ("none", ""),
    ] {
        let file = format!("{compression}.img");
        desk.succeeds(&format!(
            "extension pack all --compression {compression} --layer-compression zstd --output {file}"
        ))?;
        let file = desk.path(&file);
        let archive = if check.is_empty() {
            fs::read(&file)?
        } else {
            output(
                Command::new(program(check)?)
                    .arg("-t")
                    .stdin(File::open(&file)?),
            )?;
            output(
                Command::new(program(check)?)
                    .args(["-d", "-c"])
                    .stdin(File::open(&file)?),
            )?
        };
        archives.push(archive);
    }
    ensure!(
        archives.windows(2).all(|two| two[0] == two[1]),
        "what is compressed depends on the compression"
    );
    let members = members(&archives[0])?;
    let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(
        names == ["extensions.yaml", "000.first.sqsh", "001.second.sqsh"],
        "{names:?}"
    );
    let list = String::from_utf8_lossy(&members[0].1);
    says(
        &list,
        &[
            "layers:",
            r#"image: "000.first.sqsh""#,
            r#"image: "001.second.sqsh""#,
            "name: first",
        ],
    )?;
    // As it is written in the manifest, and not as a number.
    says(&list, &[r#"version: "1.10""#, r#"version: ">= v1.6.0""#])?;
    for (name, bytes) in &members[1..] {
        desk.write(name, bytes)?;
        let digest = digest(&desk.path(name))?;
        ensure!(
            list.contains(&digest),
            "{name} has {digest}, and not\n{list}"
        );
    }
    Ok(())
}

fn layers_are_compressed_as_the_archive_is() -> Checked {
    let unsquashfs = program("unsquashfs")?;
    let desk = desk()?;
    for (options, expected) in [
        ("", "zstd"),
        ("--compression xz", "xz"),
        ("--compression gzip", "gzip"),
        ("--compression none", "zstd"),
        ("--compression zstd --layer-compression xz", "xz"),
    ] {
        desk.succeeds(&format!("extension pack all {options} --output all.img"))?;
        let plain = match options {
            "--compression none" => vec!["cat"],
            "--compression xz" => vec!["xz", "-d", "-c"],
            "--compression gzip" => vec!["gzip", "-d", "-c"],
            _ => vec!["zstd", "-d", "-c"],
        };
        let plain = output(
            Command::new(program(plain[0])?)
                .args(&plain[1..])
                .stdin(File::open(desk.path("all.img"))?),
        )?;
        for (name, bytes) in &members(&plain)?[1..] {
            desk.write(name, bytes)?;
            let said = output(Command::new(&unsquashfs).arg("-s").arg(desk.path(name)))?;
            says(
                &String::from_utf8_lossy(&said),
                &[&format!("Compression {expected}")],
            )?;
            // All blocks are read by another implementation.
            let mut extract = Command::new(&unsquashfs);
            let extract = extract.args(["-no-progress", "-force", "-dest"]);
            output(extract.arg(desk.path("unpacked")).arg(desk.path(name)))?;
        }
    }
    Ok(())
}

fn a_layer_holds_what_the_extension_holds_and_all_of_it_is_roots() -> Checked {
    let unsquashfs = program("unsquashfs")?;
    let desk = desk()?;
    if nix::unistd::geteuid().is_root() {
        let file = desk.path("all/000.first/rootfs/usr/local/bin/first");
        std::os::unix::fs::chown(file, Some(1000), Some(1000))?;
    }
    desk.succeeds("extension pack all --compression none --output all.img")?;
    for (name, bytes) in &members(&desk.read("all.img")?)?[1..] {
        desk.write(name, bytes)?;
        let listing = output(
            Command::new(&unsquashfs)
                .args(["-lln"])
                .arg(desk.path(name)),
        )?;
        let listing = String::from_utf8_lossy(&listing).into_owned();
        let entries: Vec<&str> = listing
            .lines()
            .filter(|line| line.contains("squashfs-root"))
            .collect();
        ensure!(
            entries.len() > 8
                && entries
                    .iter()
                    .all(|line| line.split(' ').nth(1) == Some("0/0")),
            "{listing}"
        );
        let folder = name.trim_end_matches(".sqsh");
        let mut unpack = Command::new(&unsquashfs);
        unpack
            .args(["-quiet", "-no-progress", "-dest"])
            .arg(desk.path("out").join(folder));
        fs::create_dir_all(desk.path("out"))?;
        output(unpack.arg(desk.path(name)))?;
        let expected = tree(&desk.path("all").join(folder).join("rootfs"))?;
        let found = tree(&desk.path("out").join(folder))?;
        ensure!(
            without_owners(expected) == without_owners(found),
            "{name} differs"
        );
    }
    Ok(())
}

fn without_owners(tree: Tree) -> Vec<(String, Entry)> {
    let plain = |entry| Entry {
        owner: (0, 0),
        ..entry
    };
    tree.into_iter()
        .map(|(path, entry)| (path, plain(entry)))
        .collect()
}

fn an_archive_that_cannot_be_written_leaves_what_was_there() -> Checked {
    let desk = desk()?;
    desk.write("old.img", "an older archive")?;
    desk.tree("folder", &Vec::new().file("/mine", "mine"))?;
    let pack = "extension pack all --output";
    desk.fails(
        &format!("{pack} folder"),
        &["cannot write", "folder", "directory"],
    )?;
    desk.fails(
        &format!("{pack} nowhere/new.img"),
        &["cannot write", "nowhere"],
    )?;
    desk.fails(
        &format!("{pack} old.img/new.img"),
        &["cannot write", "old.img"],
    )?;
    let usage = desk.changes_nothing(&format!("{pack} old.img --compression lzma"), 2)?;
    says(&usage.stderr, &["lzma", "zstd", "xz", "gzip", "none"])
}
