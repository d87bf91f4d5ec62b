//! The boot binary that the policies will run in: which engine it has, and for what
//! architecture it was built.
//!
//! It is read, not run: it may be another machine's, and whatever lies in the root of an
//! image need not be what its name says.

use std::path::Path;

use extension::contents::{HEADER, architecture};
use memchr::memmem;
use policy::engine;
use policy::source::Source;

use super::rooted::Rooted;

/// Where images have it, and where it is installed.
const PLACES: [&str; 11] = [
    "/usr/lib/switch-root/switch_root",
    "/usr/lib/switch-root/switch_root-aot",
    "/usr/sbin/run-init",
    "/usr/sbin/switch_root",
    "/usr/bin/run-init",
    "/usr/bin/switch_root",
    "/sbin/run-init",
    "/sbin/switch_root",
    "/bin/run-init",
    "/bin/switch_root",
    "/init",
];

/// The largest program that is read, in bytes.
const PROGRAM: u64 = 64 << 20;

/// A boot binary.
pub struct Binary {
    /// Where it is, in the image or on the machine.
    pub path: String,
    /// What it ties compiled code to, as [`engine::ENGINE`].
    pub engine: String,
    /// What it was built for, as `uname -m` has it.
    pub architecture: Option<&'static str>,
}

impl Binary {
    /// Whether it takes what this program compiles.
    pub fn fits(&self) -> bool {
        self.engine == engine::ENGINE
    }
}

/// The boot binary of an image, or else the one that is installed on the machine that the
/// image is made for.
pub fn find(image: &Rooted, machine: &Rooted) -> Option<Binary> {
    [image, machine]
        .into_iter()
        .find_map(|root| PLACES.into_iter().find_map(|path| look(root, path)))
}

fn look(root: &Rooted, path: &str) -> Option<Binary> {
    let bytes = root.read(Path::new(path), PROGRAM).ok()??.bytes;
    let header: &[u8; HEADER] = bytes.first_chunk()?;
    let architecture = architecture(header);
    architecture?;
    Some(Binary {
        path: root.shown(Path::new(path)),
        engine: engine_of(&bytes)?,
        architecture,
    })
}

/// The engine that a program names in itself, such as `switch-root 0.1.0, wasmtime 48`.
fn engine_of(program: &[u8]) -> Option<String> {
    // What follows the constant in the program may be anything, digits too.
    if memmem::find(program, engine::ENGINE.as_bytes()).is_some() {
        return Some(engine::ENGINE.to_owned());
    }
    memmem::find_iter(program, "switch-root ").find_map(|start| {
        let text = &program[start..program.len().min(start + 80)];
        let end = text.iter().position(|byte| !matches!(byte, b' '..=b'~'));
        let text = std::str::from_utf8(&text[..end.unwrap_or(text.len())]).ok()?;
        let (release, rest) = text.split_once(", wasmtime ")?;
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let numbered = release
            .strip_prefix("switch-root ")
            .is_some_and(|number| number.starts_with(|first: char| first.is_ascii_digit()));
        (numbered && digits > 0).then(|| format!("{release}, wasmtime {}", &rest[..digits]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_found_among_other_text() {
        let own = format!("xswitch-root \0switch-root of{}9 files", engine::ENGINE);
        assert_eq!(engine_of(own.as_bytes()).as_deref(), Some(engine::ENGINE));
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
}
