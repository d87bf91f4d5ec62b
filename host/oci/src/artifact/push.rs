//! What is pushed.

/// What is pushed.
pub struct Push<'a> {
    /// The component.
    pub wasm: &'a [u8],
    /// The name of its file, such as `50-keep-paths.wasm`.
    pub name: &'a str,
    /// Its signature, as the file beside it has it: see [`check_signature`](super::check_signature).
    pub signature: Option<&'a str>,
    /// When it was made, in seconds since 1970. The same component with the same
    /// time makes the same artifact.
    pub created: u64,
}
