//! How programs of 0.1.0 are known, which have no note: by sentences that each of them holds.
//! What stands here is frozen: it is what those programs have, whatever newer ones say.

use memchr::memmem;

/// The beginning of compiled policies, which each build holds.
const EACH: &[u8] = b"switch-root ahead-of-time policy 1\n";

/// What the build without a compiler alone says.
const SMALL: &[u8] = b"this build of switch_root has no compiler";

/// What is around the version in the name of the engine: `switch-root 0.1.0, wasmtime 48`.
const AROUND: (&[u8], &[u8]) = (b"switch-root ", b", wasmtime ");

/// The longest version, in bytes.
const VERSION: usize = 64;

/// Whether it is one of ours.
pub fn is_ours(program: &[u8]) -> bool {
    contains(program, EACH)
}

/// Whether it has no compiler.
pub fn is_small(program: &[u8]) -> bool {
    contains(program, SMALL)
}

/// The engine that it names, and the version in that: `ours` where it is that of this release.
/// What follows the name in the program may be anything, digits too.
pub fn engine(program: &[u8], ours: &str) -> Option<(String, String)> {
    let (before, between) = AROUND;
    let name = match contains(program, ours.as_bytes()) {
        true => ours.as_bytes(),
        false => memmem::find_iter(program, before).find_map(|start| name(&program[start..]))?,
    };
    let name = str::from_utf8(name).ok()?;
    let version = &name[before.len()..];
    let end = memmem::find(version.as_bytes(), between)?;
    Some((name.to_owned(), version[..end].to_owned()))
}

/// The name of an engine at the beginning of these bytes.
fn name(bytes: &[u8]) -> Option<&[u8]> {
    let (before, between) = AROUND;
    let rest = &bytes[before.len()..];
    let length = memmem::find(&rest[..rest.len().min(VERSION)], between)?;
    let is_version = |byte: &u8| byte.is_ascii_alphanumeric() || b".-+".contains(byte);
    let (version, major) = (&rest[..length], &rest[length + between.len()..]);
    let digits = major
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let numbered = version.first().is_some_and(u8::is_ascii_digit) && digits > 0;
    let end = before.len() + length + between.len() + digits;
    (numbered && version.iter().all(is_version)).then(|| &bytes[..end])
}

fn contains(program: &[u8], sentence: &[u8]) -> bool {
    memmem::find(program, sentence).is_some()
}
