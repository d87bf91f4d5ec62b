//! The languages that `new` and `build` know.

use std::path::Path;

use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::reading::cannot;

switch_root_core::outcomes! {
    /// Why the language of a project is not known.
    pub(crate) enum NoLanguage in "policies" {
        /// A project has one file that its language is known by.
        "SR-T30" NoProject { folder: String, files: String } = "{folder} is no project of a policy: it has none of {files}; name its folder, or begin one with `srctl policy new`",
        "SR-T31" Ambiguous { folder: String, files: String } = "cannot tell the language of the project {folder}: it has {files}; leave one of them",
    }
}

/// A language that policies are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Rust, with the SDK of this project.
    Rust,
    /// C, with clang and wasi-libc.
    C,
    /// JavaScript, with componentize-qjs.
    JavaScript,
    /// Python, with componentize-py.
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rust, Self::C, Self::JavaScript, Self::Python];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
        }
    }

    /// The file at the top of a project that says that it is written in this language.
    pub fn marker(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
            Self::C => "policy.c",
            Self::JavaScript => "policy.js",
            Self::Python => "policy.py",
        }
    }

    /// Tells the language of the project in `folder`.
    ///
    /// # Errors
    /// It is no folder, holds none of the [markers](Self::marker), or several.
    pub fn of(folder: &Path) -> Result<Self> {
        std::fs::read_dir(folder).map_err(|error| {
            cannot(
                Attempt::ReadProject {
                    path: folder.shown(),
                },
                folder,
                &error,
            )
        })?;
        let found: Vec<_> = Self::ALL
            .into_iter()
            .filter(|language| folder.join(language.marker()).is_file())
            .collect();
        let markers = |languages: &[Self]| {
            let names: Vec<_> = languages
                .iter()
                .map(|language| format!("{} ({})", language.marker(), language.name()))
                .collect();
            names.join(", ")
        };
        match found[..] {
            [language] => Ok(language),
            [] => Err(Error::input(NoLanguage::NoProject {
                folder: folder.shown(),
                files: markers(&Self::ALL),
            })),
            _ => Err(Error::input(NoLanguage::Ambiguous {
                folder: folder.shown(),
                files: markers(&found),
            })),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_of_a_project_is_told_by_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = Language::of(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("it has none of Cargo.toml (Rust), policy.c (C)"),
            "{error}"
        );
        for language in Language::ALL {
            let marker = folder.path().join(language.marker());
            std::fs::write(&marker, "").unwrap();
            assert_eq!(Language::of(folder.path()), Ok(language));
            std::fs::remove_file(marker).unwrap();
        }
        for marker in ["policy.js", "policy.py"] {
            std::fs::write(folder.path().join(marker), "").unwrap();
        }
        let error = Language::of(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("policy.js (JavaScript), policy.py (Python); leave one"),
            "{error}"
        );
        let error = Language::of(&folder.path().join("no"))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("cannot read the project "), "{error}");
    }
}
