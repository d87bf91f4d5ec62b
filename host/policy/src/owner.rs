//! Whose a file is that is trusted as this program is.

switch_root_core::outcomes! {
    /// That somebody besides root may have written a file, or may read it: what follows its name
    /// in a sentence.
    #[derive(Clone, Copy, PartialEq, Eq)]
    pub enum NotRootsAlone in "compiled-code" {
        /// Native code is trusted like the boot program. Check how the image was put together:
        /// archives made by another user than root keep that user's number.
        "SR-C01" Owner { uid: u32 } = "is owned by user {uid}, not by root",
        "SR-C02" Writable { mode: u32 } = "can be written by others than root (mode {mode:04o})",
        /// The list of native code that needs no signature. It is root's, has the mode 0600, and
        /// each of its lines is a digest; otherwise it lists nothing. Make the image again.
        "SR-C03" Readable { mode: u32 } = "can be read or written by others than root (mode {mode:04o})",
    }
}
