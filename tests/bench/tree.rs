//! The initramfs that is switched from: many small files, as every run has it.

use std::fs;
use std::io;
use std::path::Path;

use nix::mount::{MsFlags, mount};

/// Files in each directory.
pub const A_DIRECTORY: u32 = 100;
/// Each file takes one page.
const CONTENT: &[u8] = &[b'x'; 100];

/// Mounts a tmpfs on a directory.
pub fn tmpfs(point: &Path, options: &str) -> io::Result<()> {
    Ok(mount(
        Some("tmpfs"),
        point,
        Some("tmpfs"),
        MsFlags::empty(),
        Some(options),
    )?)
}

/// Fills a directory.
pub fn fill(root: &Path, files: u32) -> io::Result<()> {
    for directory in 0..files.div_ceil(A_DIRECTORY) {
        // Not all in one directory, and not all at one level.
        let path = root.join(format!("data/{}/{directory}", directory % 10));
        fs::create_dir_all(&path)?;
        for file in 0..A_DIRECTORY {
            fs::write(path.join(format!("file-{file}")), CONTENT)?;
        }
    }
    Ok(())
}
