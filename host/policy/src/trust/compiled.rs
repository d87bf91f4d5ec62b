//! Which native code was compiled, when an image was made, from a `.wasm` whose signature
//! had been verified: the digests of those `.cwasm` files.
//!
//! Nothing in a `.cwasm` proves what it was compiled from: its record can be edited. So
//! where signatures are demanded, one that carries no signature of its own is used only
//! if it is listed here. `srctl image stage` and `srctl image add-policy` write the list,
//! a line for each file and nothing else:
//!
//! ```text
//! sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
//! ```
//!
//! It accepts code as the lists of signers accept keys, and lies next to them, but no
//! user besides root has any business with it: a list that others may write says nothing,
//! and one that they may read comes from a tool that is not ours.

use std::collections::BTreeSet;
use std::path::Path;

use switch_root_core::limits::fixed;
use switch_root_core::locations::COMPILED;
use switch_root_core::outcome::Message;

use crate::engine;
use crate::owner::NotRootsAlone;
use crate::source::Source;

switch_root_core::outcomes! {
    /// Why the list counts for nothing: what follows its name in a sentence.
    pub enum Malformed in "compiled-code" {
        /// Each line of the list is a digest, the last one too; otherwise it lists nothing. Make the
        /// image again.
        "SR-C04" Line { number: usize } = "is malformed in line {number}, where a digest is expected",
    }
}

/// The permissions of the list.
pub const MODE: u32 = 0o600;

/// What a digest begins with, and how many hexadecimal digits follow.
const ALGORITHM: &str = "sha256:";
const DIGITS: usize = 64;

/// The digests of native code that needs no signature of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compiled {
    digests: BTreeSet<String>,
}

impl Compiled {
    /// Reads the list of a root directory; an empty one where there is none.
    ///
    /// # Errors
    /// What follows the name of the file in a sentence: why it counts for nothing.
    pub fn of(source: &dyn Source) -> Result<Self, Message> {
        let Some(file) = source.read(Path::new(COMPILED), fixed::COMPILED_FILE)? else {
            return Ok(Self::default());
        };
        let (uid, mode) = (file.uid, file.mode);
        if uid != 0 {
            Err(NotRootsAlone::Owner { uid })?;
        }
        if mode & 0o077 != 0 {
            Err(NotRootsAlone::Readable { mode })?;
        }
        Ok(Self::parse(&file.bytes)?)
    }

    /// Understands the whole list or nothing of it.
    fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut compiled = Self::default();
        let mut rest = bytes;
        for number in 1.. {
            if rest.is_empty() {
                break;
            }
            // Without the end of its last line it may have been cut off anywhere.
            let end = rest.iter().position(|byte| *byte == b'\n');
            let line = end
                .map(|end| &rest[..end])
                .and_then(digest)
                .ok_or(Malformed::Line { number })?;
            compiled.digests.insert(line.to_owned());
            rest = &rest[line.len() + 1..];
        }
        Ok(compiled)
    }

    /// Whether a file with these contents is listed.
    pub fn lists(&self, native: &[u8]) -> bool {
        // Where nothing is listed there is nothing to hash for.
        !self.digests.is_empty() && self.digests.contains(&engine::digest(native))
    }

    /// Adds a file with these contents.
    pub fn add(&mut self, native: &[u8]) {
        self.digests.insert(engine::digest(native));
    }

    /// Whether no file is listed.
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// The contents of the list.
    pub fn to_bytes(&self) -> Vec<u8> {
        let lines = self.digests.iter().map(|digest| format!("{digest}\n"));
        lines.collect::<String>().into_bytes()
    }
}

/// A digest as [`engine::digest`] spells it.
fn digest(line: &[u8]) -> Option<&str> {
    let line = std::str::from_utf8(line).ok()?;
    let digits = line.strip_prefix(ALGORITHM)?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (digits.len() == DIGITS && digits.bytes().all(is_digit)).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_back_as_written() {
        let mut compiled = Compiled::default();
        assert!(compiled.is_empty() && compiled.to_bytes().is_empty());
        for native in [&b"one"[..], b"two", b"one"] {
            compiled.add(native);
        }
        let read = Compiled::parse(&compiled.to_bytes()).unwrap();
        assert_eq!(read, compiled);
        assert!(read.lists(b"one") && read.lists(b"two"));
        assert!(!read.lists(b"three") && !Compiled::default().lists(b"one"));
        assert_eq!(read.digests.len(), 2);
    }

    #[test]
    fn a_list_with_one_malformed_line_accepts_nothing() {
        let mut good = Compiled::default();
        good.add(b"one");
        let good = good.to_bytes();
        let upper = good.to_ascii_uppercase();
        for bad in [
            &b"\n"[..],
            b"# a comment\n",
            b"sha256:\n",
            b"sha512:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n",
            &good[..good.len() - 1],
            &good[..good.len() - 2],
            &[b" ", &good[..]].concat(),
            &[&good[..good.len() - 1], b" 50-a.cwasm\n"].concat(),
            &[&good[..good.len() - 1], b"\r\n"].concat(),
            &[&good[..good.len() - 2], b"\xff\n"].concat(),
            &upper,
        ] {
            let error = Compiled::parse(&[&good[..], bad].concat())
                .unwrap_err()
                .to_string();
            assert!(error.contains("malformed in line 2"), "{error}");
        }
    }
}
