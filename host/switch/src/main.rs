//! `switch_root`: hands a Linux machine over from its initramfs to its real
//! root, as WebAssembly policies decide.
//!
//! It starts without the Rust runtime's own beginning, which aborts where a
//! standard descriptor is closed and there is no /dev/null, as may well be in an
//! initramfs, and leaves signals changed for whatever is executed afterwards.

#![no_main]

mod note;

use std::ffi::{CStr, OsStr, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

/// In place of the C library's, which maps and unmaps memory for nearly every
/// allocation: that would be a good part of the time that the program takes.
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// The start of the program.
///
/// # Safety
/// To be called by the C library alone, with the arguments of the process.
// SAFETY: nothing else has this name, and these are the types that it has in C.
#[unsafe(no_mangle)]
unsafe extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    let started = Instant::now();
    let arguments = (0..usize::try_from(count).unwrap_or(0)).map(|index| {
        // SAFETY: the C library gives `count` pointers to strings that live as
        // long as the process.
        let argument = unsafe { CStr::from_ptr(*arguments.add(index)) };
        OsStr::from_bytes(argument.to_bytes()).to_owned()
    });
    switch_root::run(arguments.collect(), started)
}
