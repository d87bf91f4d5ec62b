//! Which `switch_root` is rehearsed, and whether a file is one of ours.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use rustix::fs::OFlags;
use switch_root_core::error::{Error, Result};
use switch_root_core::reading;
use switch_root_core::resolve::in_root;
use switch_root_core::{escape, locations};

/// Where an image has it: a whole boot's first, then the names that scripts call.
const PLACES: [&str; 12] = [
    "/init",
    "/sbin/switch_root",
    "/usr/sbin/switch_root",
    "/bin/switch_root",
    "/usr/bin/switch_root",
    "/sbin/run-init",
    "/usr/sbin/run-init",
    "/bin/run-init",
    "/usr/bin/run-init",
    "/usr/lib/klibc/bin/run-init",
    "/lib/klibc/bin/run-init",
    // Where hooks put it, and systemd calls it.
    locations::BOOT_PROGRAMS[0],
];

/// The largest program that is looked into, in bytes.
const LARGEST: u64 = 256 << 20;

/// How an ELF file begins.
const ELF: &[u8] = b"\x7fELF";

/// The program of the image, and its path.
pub fn of_image(root: impl AsFd) -> Option<(&'static str, OwnedFd)> {
    PLACES.into_iter().find_map(|path| {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK;
        let file = File::from(in_root(root.as_fd(), path, flags).ok()?);
        is_ours(&file).ok()?.then(|| (path, file.into()))
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
    if !is_ours(&file).map_err(failed)? {
        return Err(Error::input(format!(
            "{shown} is no switch_root of switch-root: it asks no policies and writes no report; name the one of a release with --switch-root FILE"
        )));
    }
    Ok(file.into())
}

/// Whether it is an executable with the folder of policies in it: a script is not
/// executed to be asked, since it may be the whole of an initramfs.
fn is_ours(mut file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if metadata.file_type().is_block_device() || !metadata.is_file() || metadata.len() > LARGEST {
        return Ok(false);
    }
    let mut bytes = vec![0; ELF.len()];
    if file.read_exact(&mut bytes).is_err() || bytes != ELF {
        return Ok(false);
    }
    file.take(LARGEST).read_to_end(&mut bytes)?;
    let sign = locations::VENDOR.as_bytes();
    Ok(memchr::memmem::find(&bytes, sign).is_some())
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
