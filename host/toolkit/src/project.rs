//! Begins the project of a policy: a folder that builds, and whose cases pass, as it is made.

mod built;
mod files;
mod sdk;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;

use crate::language::Language;

pub use built::component;

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
    fn preservation(self) -> bool {
        self != Self::Compatibility
    }

    fn compatibility(self) -> bool {
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

/// The name of a policy: that of its file, and of a package in each language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name(String);

/// The longest name, in bytes: with `NN-` in front and `.cwasm` behind it is a file name still.
const LONGEST: usize = 64;

/// Names that some language has a use of its own for. The keywords are those of Rust; WIT's are
/// no trouble in a package's name.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "package",
    "package-lock",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "serde",
    "static",
    "std",
    "struct",
    "super",
    "switch-root-policy",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

impl std::str::FromStr for Name {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        let word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase())
                && word
                    .chars()
                    .all(|other| other.is_ascii_lowercase() || other.is_ascii_digit())
        };
        if name.len() > LONGEST || !name.split('-').all(word) {
            return Err(format!(
                "a name is made of words of lower-case letters and digits, each beginning with a letter, with a dash between two, and at most {LONGEST} bytes long, such as keep-host-keys"
            ));
        }
        if RESERVED.contains(&name) {
            return Err("a language has a use of its own for this name; choose another one".into());
        }
        Ok(Self(name.to_owned()))
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Makes the project in `folder`, which must not be there yet, and returns the paths of its
/// files, relative to the folder.
///
/// # Errors
/// The folder is there, or cannot be made; there is no SDK where one is said to be. Nothing
/// stays then.
pub fn create(project: &Project, folder: &Path) -> Result<Vec<String>> {
    let files = files::of(project)?;
    let shown = folder.shown();
    fs::create_dir(folder).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => Error::input(format!(
            "cannot begin a project in {shown}: it is there already, and nothing is written over; name another place with --output DIR"
        )),
        _ => Error::system(format!("cannot make the folder {shown}"), &error),
    })?;
    for (name, content) in &files {
        let path = folder.join(name);
        let written = path
            .parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, content));
        if let Err(error) = written {
            // This very call has made it.
            let _ = fs::remove_dir_all(folder);
            return Err(Error::system(
                format!("cannot write {}", path.shown()),
                &error,
            ));
        }
    }
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

#[cfg(test)]
mod tests;
