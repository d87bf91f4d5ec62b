//! Code that was compiled ahead of time, in memory that it can be run from.
//!
//! wasmtime would copy what it is given into pages of its own. Where the code begins
//! with a page it is run where it lies: the embedded policy's in the program itself.
//! For a policy of 100 KB that saves some thirty page faults of every boot.

use std::collections::TryReserveError;
use std::fmt;
use std::fs::File;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use nix::unistd::{SysconfVar, sysconf};
use rustix::io::Errno;
use switch_root_core::file::Unreadable;
use wasmtime::CustomCodeMemory;

switch_root_core::outcomes! {
    /// That code cannot be run where it lies.
    pub enum NotExecutable in "compiled-code" {
        /// A reason why its ahead-of-time form cannot be used: memory is short, or a security module
        /// forbids that memory becomes executable.
        "SR-C14" Protecting { error: std::io::Error } = "its code cannot be made executable: {error}",
    }
}

/// The size of a page of memory on all machines but a few of aarch64, where code is
/// copied as wasmtime does it: native files are written with this in mind.
pub const PAGE: usize = 4096;

/// A page of memory.
#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Page([u8; PAGE]);

/// Pages of the allocator's that may have become executable meanwhile.
struct Pages(Vec<Page>);

impl Pages {
    /// Copies bytes to the beginning of a page.
    fn copied(bytes: &[u8]) -> Result<Self, TryReserveError> {
        let mut pages = Vec::new();
        pages.try_reserve_exact(bytes.len().div_ceil(PAGE))?;
        pages.extend(bytes.chunks(PAGE).map(|chunk| {
            let mut page = Page([0; PAGE]);
            page.0[..chunk.len()].copy_from_slice(chunk);
            page
        }));
        Ok(Self(pages))
    }

    /// Reads a file to its end, which is to be `size` bytes from its beginning.
    fn read(file: &File, size: usize) -> Result<Self, Unreadable> {
        let mut pages: Vec<Page> = Vec::new();
        // One byte more than it has shows a file that has grown meanwhile.
        let count = size / PAGE + 1;
        pages
            .try_reserve_exact(count)
            .map_err(|_| Unreadable::NoMemory { size: size as u64 })?;
        let spare = &mut pages.spare_capacity_mut()[..count];
        // SAFETY: pages are nothing but bytes, and these have no value yet in both types.
        let room: &mut [MaybeUninit<u8>] =
            unsafe { std::slice::from_raw_parts_mut(spare.as_mut_ptr().cast(), count * PAGE) };
        let mut length = 0;
        while length <= size {
            match rustix::io::read(file, &mut room[length..]) {
                Ok(([], _)) => break,
                Ok((more, _)) => length += more.len(),
                Err(Errno::INTR) => {}
                Err(error) => {
                    let error = error.into();
                    return Err(Unreadable::Reading { error });
                }
            }
        }
        if length != size {
            return Err(Unreadable::Changing);
        }
        room[length..].fill(MaybeUninit::new(0));
        // SAFETY: the capacity is enough, and each byte has a value.
        unsafe { pages.set_len(count) }
        Ok(Self(pages))
    }

    fn bytes(&self) -> &[u8] {
        // SAFETY: pages are nothing but bytes, all of them set.
        unsafe {
            std::slice::from_raw_parts(self.0.as_ptr().cast(), size_of_val(self.0.as_slice()))
        }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // The allocator gets back what it gave: memory to write to.
        let length = size_of_val(self.0.as_slice());
        let changed = protect(
            self.0.as_ptr().cast(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
        );
        if changed.is_err() {
            // Lost is better than written to.
            std::mem::forget(std::mem::take(&mut self.0));
        }
    }
}

/// A file of native code, at the beginning of a page.
#[derive(Clone)]
pub struct NativeFile {
    pages: Arc<Pages>,
    length: usize,
}

impl NativeFile {
    /// Copies what was read.
    ///
    /// # Errors
    /// A sentence without the path: that there is no memory for it.
    pub fn copied(bytes: &[u8]) -> Result<Self, Unreadable> {
        let size = bytes.len() as u64;
        let pages = Pages::copied(bytes).map_err(|_| Unreadable::NoMemory { size })?;
        Ok(Self {
            pages: Arc::new(pages),
            length: bytes.len(),
        })
    }

    /// Reads a file of so many bytes, from where it is, without a copy.
    ///
    /// # Errors
    /// A sentence without the path: what the system says, or that it has another size.
    pub fn read(file: &File, size: usize) -> Result<Self, Unreadable> {
        Ok(Self {
            pages: Arc::new(Pages::read(file, size)?),
            length: size,
        })
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.pages.bytes()[..self.length]
    }

    /// The code, which is all from a byte of it on: where it lies, if that is a page.
    ///
    /// # Errors
    /// That there is no memory for a copy.
    pub fn code(&self, from: usize) -> Result<Native, TryReserveError> {
        match from.is_multiple_of(PAGE) {
            true => Ok(Native(Bytes::Read(self.pages.clone(), from..self.length))),
            false => Native::copied(&self.bytes()[from..]),
        }
    }
}

/// What wasmtime compiled ahead of time, without the record of its origin.
#[derive(Clone)]
pub struct Native(Bytes);

#[derive(Clone)]
enum Bytes {
    /// Part of the program.
    Embedded(&'static [u8]),
    /// Read from a file: pages, and which bytes of them, from the beginning of a page on.
    Read(Arc<Pages>, Range<usize>),
}

impl Native {
    /// Code that is part of the program.
    pub fn embedded(code: &'static [u8]) -> Self {
        Self(Bytes::Embedded(code))
    }

    /// Copies code to the beginning of a page.
    ///
    /// # Errors
    /// That there is no memory for it.
    pub fn copied(code: &[u8]) -> Result<Self, TryReserveError> {
        let pages = Pages::copied(code)?;
        Ok(Self(Bytes::Read(Arc::new(pages), 0..code.len())))
    }

    /// Whether it is part of the program, and not of what the program was given.
    pub fn is_embedded(&self) -> bool {
        matches!(self.0, Bytes::Embedded(_))
    }

    /// Whether it begins with a page of this machine.
    fn begins_with_a_page(&self) -> bool {
        self.as_ref().as_ptr().addr().is_multiple_of(page_size())
    }

    /// Where it lies, if it can be run there: as long as this value, or a clone of it,
    /// lives, and unless it is changed.
    pub fn in_place(&self) -> Option<NonNull<[u8]>> {
        self.begins_with_a_page()
            .then(|| NonNull::from(self.as_ref()))
    }
}

impl AsRef<[u8]> for Native {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Embedded(code) => code,
            Bytes::Read(pages, range) => &pages.bytes()[range.clone()],
        }
    }
}

impl fmt::Debug for Native {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Native({} bytes)", self.as_ref().len())
    }
}

/// Lets the engine run code where it lies: what it does not own it does not protect
/// either.
pub struct InPlace;

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        page_size()
    }

    fn publish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        // What the kernel makes executable it makes coherent for the processor, too.
        protect(start, length, libc::PROT_READ | libc::PROT_EXEC)
    }

    fn unpublish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        // Not to be written to: it may be the program itself.
        protect(start, length, libc::PROT_READ)
    }
}

fn protect(start: *const u8, length: usize, protection: libc::c_int) -> wasmtime::Result<()> {
    // SAFETY: these are pages that hold code, of a `Native` or the engine's own. Nobody
    // writes to them while they do.
    let changed = unsafe { libc::mprotect(start.cast_mut().cast(), length, protection) };
    if changed == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(NotExecutable::Protecting { error }.into())
}

/// The size of a page of memory of this machine, in bytes.
pub fn page_size() -> usize {
    sysconf(SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_copied_to_a_page_and_its_pages_are_given_back_as_memory() {
        let code: Vec<u8> = (0..PAGE + 100).map(|at| at as u8).collect();
        for _ in 0..100 {
            let native = Native::copied(&code).unwrap();
            assert_eq!(native.as_ref(), code);
            let pages = code.len().next_multiple_of(PAGE);
            if let Some(place) = native.in_place() {
                let start = place.cast::<u8>().as_ptr();
                InPlace.publish_executable(start, pages).unwrap();
                InPlace.unpublish_executable(start, pages).unwrap();
            }
            drop(native);
            // The allocator may give the same pages to the next who asks.
            let mut other = vec![0u8; 2 * pages];
            other.fill(1);
            assert!(other.iter().all(|byte| *byte == 1));
        }
    }

    /// A file of so many bytes, and a file that is at its beginning.
    fn file(bytes: &[u8]) -> File {
        use std::io::{Seek, Write};
        // Tests run at the same time, in threads.
        let thread = std::thread::current().id();
        let name = format!("switch-root-native-{}-{thread:?}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn a_file_is_read_into_pages_and_its_code_is_not_copied() {
        for size in [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE, 3 * PAGE + 7] {
            let bytes: Vec<u8> = (0..size).map(|at| (at / 7) as u8).collect();
            let read = NativeFile::read(&file(&bytes), size).unwrap();
            assert_eq!(read.bytes(), bytes, "{size}");
            for from in [0, PAGE, 2 * PAGE].into_iter().filter(|from| *from <= size) {
                let code = read.code(from).unwrap();
                assert_eq!(code.as_ref(), &bytes[from..]);
                assert_eq!(code.as_ref().as_ptr(), read.bytes()[from..].as_ptr());
            }
            // Of files that were made before the record was a page long.
            if size > 3 {
                let code = read.code(3).unwrap();
                assert_eq!(code.as_ref(), &bytes[3..]);
                assert!(code.as_ref().as_ptr().addr().is_multiple_of(PAGE));
            }
            assert_eq!(NativeFile::copied(&bytes).unwrap().bytes(), bytes);
        }
    }

    #[test]
    fn a_file_of_another_size_than_it_was_is_refused() {
        let bytes = vec![1; PAGE];
        for size in [0, PAGE - 1, PAGE + 1, 9 * PAGE] {
            let error = NativeFile::read(&file(&bytes), size).err();
            assert!(matches!(error, Some(Unreadable::Changing)), "{size}");
        }
    }
}
