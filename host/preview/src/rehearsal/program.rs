//! Which `switch_root` is rehearsed.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use initramfs::boot_program::{self, Binary};
use rustix::fs::OFlags;
use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::reading;
use switch_root_core::resolve::in_root;

switch_root_core::outcomes! {
    /// Why a program is not rehearsed.
    pub(crate) enum OtherProgram in "rehearsals" {
        /// Another program of the same name was named.
        "SR-J32" Named { path: String } = "{path} is no switch_root of switch-root: it asks no policies and writes no report; name the one of a release with --switch-root FILE",
    }
}

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
    let shown = path.shown();
    let file = reading::regular(path)?;
    match Binary::of_file(&file) {
        Ok(Some(_)) => Ok(file.into()),
        Ok(None) => Err(Error::input(OtherProgram::Named { path: shown })),
        Err(error) => Err(Error::system(Attempt::Read { path: shown }, &error)),
    }
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
