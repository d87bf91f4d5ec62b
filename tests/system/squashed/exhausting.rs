//! Images inside that were made to exhaust whoever reads them: 64 KiB or less each.

use std::fs;
use std::io::Write;
use std::process::Command;

use switch_root_tests::steps::Steps;

use super::{PLACES, around, plan};
use crate::check::{ensure, says};
use crate::planning;
use crate::srctl::{Desk, Ran};
use crate::tools::{Checked, Stop, cases, program};

cases![
    an_image_inside_that_exhausts_its_reader_is_unknown,
    a_root_image_that_exhausts_its_reader_is_reported,
    a_file_of_several_names_counts_once_in_an_image_inside,
    the_reader_of_images_does_nothing_by_hand,
];

/// Memory that `srctl` may write to here, in KiB: what is refused for want of more would be the
/// end of the machine without a limit.
const MEMORY: &str = "3000000";

/// Plans `image` within that memory.
fn plan_bounded(desk: &Desk, image: &str) -> Result<Ran, Stop> {
    let arguments = format!("plan {image}");
    let own = desk.command(&arguments)?;
    let output = Command::new("sh")
        .args(["-c", &format!("ulimit -d {MEMORY}; exec \"$0\" \"$@\"")])
        .arg(own.get_program())
        .args(own.get_args())
        .current_dir(desk.path(""))
        .output()?;
    Ok(Ran::new(&arguments, &output))
}

/// Little-endian bytes of numbers of several widths.
struct Bytes(Vec<u8>);

impl Bytes {
    fn halves(mut self, numbers: &[u16]) -> Self {
        self.0
            .extend(numbers.iter().flat_map(|it| it.to_le_bytes()));
        self
    }

    fn words(mut self, numbers: &[u32]) -> Self {
        self.0
            .extend(numbers.iter().flat_map(|it| it.to_le_bytes()));
        self
    }

    fn longs(mut self, numbers: &[u64]) -> Self {
        self.0
            .extend(numbers.iter().flat_map(|it| it.to_le_bytes()));
        self
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

/// The bytes of a block of metadata.
const BLOCK: usize = 8192;

/// Metadata as it is stored, uncompressed.
fn metadata(data: &[u8]) -> Vec<u8> {
    let blocks = data.chunks(BLOCK).map(|block| {
        let size = block.len() as u16 | 0x8000;
        [&size.to_le_bytes(), block].concat()
    });
    blocks.collect::<Vec<_>>().concat()
}

/// Where a byte of metadata is: its block, and where in that.
fn place(at: usize) -> (u32, u16) {
    ((at / BLOCK * (BLOCK + 2)) as u32, (at % BLOCK) as u16)
}

/// A squashfs of these inodes, of which the first is the root, and these directories.
fn squashfs(count: u32, inodes: &[u8], directories: &[u8]) -> Vec<u8> {
    const SUPERBLOCK: u64 = 96;
    const NONE: u64 = u64::MAX;
    let (inodes, directories) = (metadata(inodes), metadata(directories));
    let directory_table = SUPERBLOCK + inodes.len() as u64;
    let owners = directory_table + directories.len() as u64;
    let owner = metadata(&[0; 4]);
    let owner_table = owners + owner.len() as u64;
    Bytes(Vec::new())
        .words(&[0x7371_7368, count, 0, 1 << 17, 0])
        .halves(&[1, 17, 0x21b, 1, 4, 0])
        .longs(&[0, owner_table + 8, owner_table, NONE])
        .longs(&[SUPERBLOCK, directory_table, NONE, NONE])
        .bytes(&inodes)
        .bytes(&directories)
        .bytes(&owner)
        .longs(&[owners])
        .bytes(&[0; 4096])
        .0
}

/// Directories in each other, so many levels with names of so many bytes.
fn deep(levels: u32, length: usize) -> Vec<u8> {
    const INODE: usize = 32;
    let name = vec![b'd'; length];
    let (mut inodes, mut directories) = (Bytes(Vec::new()), Bytes(Vec::new()));
    for level in 0..levels {
        let (start, offset) = place(directories.0.len());
        // The last one is empty.
        let size = match level + 1 < levels {
            true => length as u16 + 20 + 3,
            false => 3,
        };
        inodes = inodes
            .halves(&[1, 0o755, 0, 0])
            .words(&[0, level + 1, start, 2])
            .halves(&[size, offset])
            .words(&[if level == 0 { levels + 1 } else { level }]);
        let (next, in_block) = place((level as usize + 1) * INODE);
        directories = directories
            .words(&[0, next, level + 2])
            .halves(&[in_block, 0, 1, length as u16 - 1])
            .bytes(&name);
    }
    squashfs(levels, &inodes.0, &directories.0)
}

/// A root directory of a size that is not possible.
fn oversized() -> Vec<u8> {
    let inodes = Bytes(Vec::new())
        .halves(&[8, 0o755, 0, 0])
        .words(&[0, 1, 2, u32::MAX, 0, 2])
        .halves(&[0, 4])
        .words(&[u32::MAX]);
    squashfs(1, &inodes.0, &[0; 64])
}

/// A file that is large and has a thousand names.
fn many_names() -> Result<Vec<u8>, Stop> {
    program("mksquashfs")?;
    let folder = tempfile::tempdir()?;
    let files = folder.path().join("files");
    fs::create_dir(&files)?;
    let first = files.join("first");
    fs::File::create(&first)?.set_len(2 << 30)?;
    for number in 0..1000 {
        fs::hard_link(&first, files.join(number.to_string()))?;
    }
    let image = folder.path().join("image");
    let mut make = Command::new("mksquashfs");
    make.args([&files, &image])
        .args(["-b", "4096", "-noappend", "-no-progress", "-quiet"]);
    switch_root_tests::programs::output(&mut make)?;
    Ok(fs::read(image)?)
}

fn an_image_inside_that_exhausts_its_reader_is_unknown() -> Checked {
    let in_itself = include_bytes!("../../fuzz/corpus/inner_image/erofs-directory-in-itself");
    let [(squashfs, ..), _, (erofs, ..)] = PLACES;
    let ended = "the process that reads it ended";
    for (place, image, why) in [
        (erofs, in_itself.to_vec(), "has another path as well"),
        (squashfs, deep(20_000, 1), ended),
        (squashfs, deep(8000, 255), ended),
        (
            squashfs,
            deep(1100, 1),
            "is below more than 1000 directories",
        ),
        (squashfs, oversized(), ended),
        (squashfs, many_names()?, ended),
    ] {
        let desk = planning::desk(&around(place, image))?;
        let ran = plan_bounded(&desk, "image")?;
        ensure!(ran.status == Some(4), "{}", ran.said());
        says(&ran.stdout, &["what boots: the image inside", place, why])?;
        ensure!(ran.stderr.is_empty(), "{}", ran.said());
    }
    // Many levels are no reason to refuse it.
    let desk = planning::desk(&around(squashfs, deep(500, 1)))?;
    plan(&desk, "image", 3)?;
    Ok(())
}

fn a_root_image_that_exhausts_its_reader_is_reported() -> Checked {
    for image in [deep(20_000, 1), deep(8000, 255), oversized()] {
        let steps = planning::steps()?.file("/rootfs.sqsh", image);
        let desk = planning::desk(&steps)?;
        let ran = plan_bounded(&desk, "image")?;
        ensure!([Some(0), Some(4)].contains(&ran.status), "{}", ran.said());
        says(
            &ran.stdout,
            &[
                "the root image /rootfs.sqsh",
                "the process that reads it ended",
            ],
        )?;
    }
    Ok(())
}

fn a_file_of_several_names_counts_once_in_an_image_inside() -> Checked {
    const SIZE: usize = 100_000;
    for (place, maker) in [
        ("/squashfs-root.img", "mksquashfs"),
        ("/erofs-root.img", "mkfs.erofs"),
    ] {
        program(maker)?;
        let folder = tempfile::tempdir()?;
        let files = folder.path().join("files");
        fs::create_dir(&files)?;
        fs::File::create(files.join("a"))?.write_all(&vec![7; SIZE])?;
        fs::hard_link(files.join("a"), files.join("b"))?;
        fs::hard_link(files.join("a"), files.join("c"))?;
        let image = folder.path().join("image");
        let mut make = Command::new(maker);
        match maker {
            "mksquashfs" => make.args([&files, &image]).arg("-noappend"),
            _ => make.args([&image, &files]),
        };
        switch_root_tests::programs::output(&mut make)?;
        let desk = planning::desk(&around(place, fs::read(image)?))?;
        let planned = plan(&desk, "image", 3)?;
        let sum = &planned["summary"]["total"];
        ensure!(sum["bytes"] == SIZE && sum["files"] == 3, "{planned:#}");
    }
    Ok(())
}

fn the_reader_of_images_does_nothing_by_hand() -> Checked {
    let desk = Desk::new()?;
    let ran = desk.changes_nothing("read-inner-image", 2)?;
    says(&ran.stderr, &["only srctl starts: nothing was done"])
}
