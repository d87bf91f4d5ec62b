//! Which `switch_root` is rehearsed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use initramfs::boot_program::{self, Binary};
use rustix::fs::OFlags;
use switch_root_core::error::{Error, Result};
use switch_root_core::resolve::in_root;
use switch_root_core::{escape, reading};

/// The program of the image, and its path.
pub fn of_image(root: impl AsFd) -> Option<(&'static str, OwnedFd)> {
    boot_program::find(|path| {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = File::from(in_root(root.as_fd(), path, flags).ok()?);
        Binary::of_file(&file).ok()??;
        Some(file.into())
    })
}

/// Opens a program that the command line names.
///
/// # Errors
/// It cannot be read, or is another program.
pub fn open(path: &Path) -> Result<OwnedFd> {
    let shown = escape::path(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()));
    let failed = |error: io::Error| Error::system(format!("cannot read {shown}"), &error);
    let file = reading::regular(path)?;
    let Some(_) = Binary::of_file(&file).map_err(failed)? else {
        return Err(Error::input(format!(
            "{shown} is no switch_root of switch-root: it asks no policies and writes no report; name the one of a release with --switch-root FILE"
        )));
    };
    Ok(file.into())
}

/// Whether a program needs a loader, which the new root does not have.
///
/// # Errors
/// It cannot be read.
pub fn needs_loader(path: &Path) -> io::Result<bool> {
    use object::read::elf::ProgramHeader;
    use object::read::{ReadCache, elf};
    let cache = ReadCache::new(File::open(path)?);
    let loader = || -> object::Result<bool> {
        let file = elf::ElfFile64::<object::Endianness, _>::parse(&cache)?;
        let endian = file.endian();
        let mut headers = file.elf_program_headers().iter();
        Ok(headers.any(|header| header.p_type(endian) == object::elf::PT_INTERP))
    };
    Ok(loader().unwrap_or(false))
}
