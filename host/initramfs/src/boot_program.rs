//! What the bytes of a boot program tell of it. It is read, not run: it may be another
//! machine's, and need not be what its name says.

use memchr::memmem;
use policy::engine::{ENGINE, MAGIC};
use switch_root_core::escape;

/// Where an image may have it under the name of another program, which is called by that.
const FOLDERS: [&str; 4] = ["/sbin", "/usr/sbin", "/bin", "/usr/bin"];
const NAMES: [&str; 2] = ["switch_root", "run-init"];

/// The paths where an image may have it beside [`LIBRARY`] and `/init`.
pub fn places() -> impl Iterator<Item = String> {
    let names = |folder| {
        NAMES
            .into_iter()
            .map(move |name| format!("{folder}/{name}"))
    };
    FOLDERS.into_iter().flat_map(names)
}

/// The largest program that is read, in bytes.
pub const LIMIT: u64 = 64 << 20;

/// What is around the version in the name of the engine: `switch-root 1.2.3, wasmtime 4`.
const AROUND: (&[u8], &[u8]) = (b"switch-root ", b", wasmtime ");

/// The longest version, in bytes.
const VERSION: usize = 64;

/// The engine that a program names among its texts, as [`ENGINE`] is written: compiled
/// policies must be of it.
pub fn engine_of(program: &[u8]) -> Option<String> {
    // What follows the constant in the program may be anything, digits too.
    if memmem::find(program, ENGINE.as_bytes()).is_some() {
        return Some(ENGINE.to_owned());
    }
    let (before, between) = AROUND;
    memmem::find_iter(program, before).find_map(|start| {
        let rest = &program[start + before.len()..];
        let length = memmem::find(&rest[..rest.len().min(VERSION)], between)?;
        let is_version = |byte: &u8| byte.is_ascii_alphanumeric() || b".-+".contains(byte);
        let (version, major) = (&rest[..length], &rest[length + between.len()..]);
        let digits = major
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let numbered = version.first().is_some_and(u8::is_ascii_digit) && digits > 0;
        if !numbered || !version.iter().all(is_version) {
            return None;
        }
        let end = start + before.len() + length + between.len() + digits;
        String::from_utf8(program[start..end].to_vec()).ok()
    })
}

/// Words of the build without a compiler alone.
pub const SMALL: &[u8] = b"this build of switch_root has no compiler";

/// Whether a program is the build without a compiler, by its texts.
pub fn has_no_compiler(program: &[u8]) -> bool {
    contains(program, SMALL)
}

/// A boot program, as its bytes tell of it. It is not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Its engine, which compiled policies must be of; none where it cannot be told.
    pub engine: Option<String>,
    /// It has no compiler.
    pub small: bool,
}

impl Binary {
    /// Looks at a program; none where it is another one: each build of ours holds the
    /// beginning of compiled policies.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        contains(bytes, MAGIC).then(|| Self {
            engine: engine_of(bytes),
            small: has_no_compiler(bytes),
        })
    }

    /// Whether it takes what this srctl compiles, as far as that can be told.
    pub fn takes_ours(&self) -> bool {
        self.engine.as_deref().is_none_or(|engine| engine == ENGINE)
    }

    /// What it is called in findings.
    pub fn name(&self) -> String {
        let engine = match &self.engine {
            Some(engine) => escape::message(engine, 128),
            None => "of a release that cannot be told".into(),
        };
        match self.small {
            true => format!("{engine}, without a compiler"),
            false => engine,
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_found_among_other_text() {
        let own = format!("xswitch-root \0switch-root of{ENGINE}9 files");
        assert_eq!(engine_of(own.as_bytes()).as_deref(), Some(ENGINE));
        let older = b"switch-root , wasmtime 1\0switch-root 0.0.9-rc.1, wasmtime 47was compiled by";
        assert_eq!(
            engine_of(older).as_deref(),
            Some("switch-root 0.0.9-rc.1, wasmtime 47")
        );
        for none in [
            "",
            "switch-root ",
            "switch-root x, wasmtime 1",
            "switch-root 1, wasmtime x",
        ] {
            assert_eq!(engine_of(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn a_program_is_known_by_its_texts() {
        assert_eq!(Binary::of(b"\x7fELF busybox"), None);
        let bytes =
            |engine: &str| [b"\x7fELF", MAGIC, b"switch-root 0", engine.as_bytes(), b"x"].concat();
        let engine = |text: &str| Binary::of(&bytes(text)).unwrap().engine;
        assert_eq!(engine("no engine"), None);
        let name = "switch-root 0.3.0, wasmtime 51";
        assert_eq!(
            engine(&format!("{name}switch-root a b, wasmtime 1")).as_deref(),
            Some(name)
        );
        let small = [&bytes("")[..], SMALL].concat();
        assert!(Binary::of(&small).unwrap().small);
        assert!(!Binary::of(&bytes(ENGINE)).unwrap().small);
        assert!(Binary::of(&bytes(ENGINE)).unwrap().takes_ours());
        assert!(!Binary::of(&bytes(name)).unwrap().takes_ours());
    }
}
