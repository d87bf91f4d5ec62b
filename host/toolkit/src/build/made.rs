//! What the tools of a language make, and where.

/// The folder of a project that what is made on the way goes to. Rust has its own.
pub(super) const FOLDER: &str = ".build";

/// What a language's tools have made.
pub(super) struct Made {
    /// The name of the policy.
    pub(super) name: String,
    /// Its bytes.
    pub(super) component: Vec<u8>,
}
