//! What is found to be wrong.

use switch_root_core::outcome::Code;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The extension must not be packed.
    Error,
    /// Somebody should look at it.
    Warning,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The name of the extension's folder, as of [`Unpacked::name`](crate::folder::Unpacked::name).
    pub extension: String,
    /// What it is about: a path in the new root, which begins with `/`, or one in
    /// the extension's folder, such as `manifest.yaml`. Fit for a terminal.
    pub path: String,
    /// The name of the rule that is broken: words with `-` between them.
    pub rule: &'static str,
    /// The code of the message; nothing where it has none.
    pub code: Option<Code>,

    /// What is wrong and what to do; fit for a terminal.
    pub message: String,
}
