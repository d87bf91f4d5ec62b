//! Code that was compiled ahead of time, in memory that it can be run from.
//!
//! wasmtime would copy what it is given into pages of its own. Where the code begins
//! with a page it is run where it lies: the embedded policy's in the program itself.
//! For a policy of 100 KB that saves some thirty page faults of every boot.

use std::collections::TryReserveError;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

use nix::unistd::{SysconfVar, sysconf};
use wasmtime::CustomCodeMemory;

/// The size of a page of memory on all machines but a few of aarch64, where code is
/// copied as wasmtime does it: native files are written with this in mind.
pub const PAGE: usize = 4096;

/// A page of memory.
#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Page([u8; PAGE]);

/// Pages of the allocator's that may have become executable meanwhile.
struct Pages(Vec<Page>);

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

/// What wasmtime compiled ahead of time, without the record of its origin.
#[derive(Clone)]
pub struct Native(Bytes);

#[derive(Clone)]
enum Bytes {
    /// Part of the program.
    Embedded(&'static [u8]),
    /// Read from a file: pages, and how many bytes of them count.
    Read(Arc<Pages>, usize),
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
        let mut pages = Vec::new();
        pages.try_reserve_exact(code.len().div_ceil(PAGE))?;
        pages.extend(code.chunks(PAGE).map(|chunk| {
            let mut page = Page([0; PAGE]);
            page.0[..chunk.len()].copy_from_slice(chunk);
            page
        }));
        Ok(Self(Bytes::Read(Arc::new(Pages(pages)), code.len())))
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
            Bytes::Read(pages, length) => {
                // SAFETY: pages are nothing but bytes, all of them set, and there are at
                // least as many as `length`.
                unsafe { std::slice::from_raw_parts(pages.0.as_ptr().cast(), *length) }
            }
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
    Err(wasmtime::Error::msg(format!(
        "its code cannot be made executable: {error}"
    )))
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
}
