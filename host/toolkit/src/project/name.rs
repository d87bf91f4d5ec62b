//! The names of policies.

use std::fmt;
use std::str::FromStr;

switch_root_core::outcomes! {
    /// Why a policy cannot be called so.
    pub enum NoName in "policies" {
        /// Choose a name like `keep-host-keys`.
        "SR-T26" Letters = "a name is made of words of lower-case letters and digits, each beginning with a letter, with a dash between two, and at most {LONGEST} bytes long, such as keep-host-keys",
        "SR-T27" Reserved = "a language has a use of its own for this name; choose another one",
    }
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

impl FromStr for Name {
    type Err = NoName;

    fn from_str(name: &str) -> std::result::Result<Self, NoName> {
        let word = |word: &str| {
            word.starts_with(|first: char| first.is_ascii_lowercase())
                && word
                    .chars()
                    .all(|other| other.is_ascii_lowercase() || other.is_ascii_digit())
        };
        if name.len() > LONGEST || !name.split('-').all(word) {
            return Err(NoName::Letters);
        }
        if RESERVED.contains(&name) {
            return Err(NoName::Reserved);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
