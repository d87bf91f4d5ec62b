//! The beginning of a file, by which the kernel knows what it executes.

/// How much of a file the kernel reads to find out what it is: BINPRM_BUF_SIZE.
pub const HEAD: usize = 256;

/// The beginning of a file; zeros behind the end of a shorter one.
pub type Head = [u8; HEAD];
