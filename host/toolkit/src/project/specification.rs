//! What a new project is to be.

use std::path::PathBuf;

use super::name::Name;
use crate::language::Language;

/// The questions that a policy is to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Questions {
    /// Which paths of the initramfs survive.
    Preservation,
    /// Whether system extensions are compatible.
    Compatibility,
    /// Both of them.
    Both,
}

impl Questions {
    pub(super) fn preservation(self) -> bool {
        self != Self::Compatibility
    }

    pub(super) fn compatibility(self) -> bool {
        self != Self::Preservation
    }
}

/// What to begin.
#[derive(Clone, Debug)]
pub struct Project {
    /// The name, checked.
    pub name: Name,
    /// The language.
    pub language: Language,
    /// The questions.
    pub questions: Questions,
    /// Where the SDK for Rust is; without it a copy is put into the project. The crate of the
    /// SDK is meant, such as `switch-root/policies/sdk`.
    pub sdk: Option<PathBuf>,
}
