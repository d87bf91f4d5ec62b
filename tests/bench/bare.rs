//! The floor: a bare loop of getdents64(2) and unlinkat(2) over the same tree.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, RawDir};

use crate::race::{apart, staging};
use crate::tree;

/// Microseconds that the loop takes.
pub fn run(files: u32) -> Result<f64, String> {
    let answer = apart(|| {
        let point = staging()?;
        tree::tmpfs(&point, "size=8g,nr_inodes=4m")?;
        tree::fill(&point, files)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = fs::open(&point, flags, Mode::empty())?;
        let started = Instant::now();
        empty(root)?;
        Ok(started.elapsed().as_secs_f64() * 1e6)
    })?;
    answer
        .as_f64()
        .ok_or_else(|| "the bare loop gave no figure".into())
}

/// Deletes all that is in a directory, one call a name.
pub fn empty(directory: OwnedFd) -> io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 32 << 10];
    let mut reader = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = reader.next() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            empty(fs::openat(
                &directory,
                name,
                OFlags::RDONLY | OFlags::DIRECTORY,
                Mode::empty(),
            )?)?;
            fs::unlinkat(&directory, name, AtFlags::REMOVEDIR)?;
        } else {
            fs::unlinkat(&directory, name, AtFlags::empty())?;
        }
    }
    Ok(())
}
