//! Whether a file is a boot program, and which. It is read, not run: it may be another
//! machine's, and need not be what its name says.

mod first_release;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;

use object::elf::ELFMAG;
use policy::engine::ENGINE;
use switch_root_core::locations::BOOT_PROGRAM_PLACES;
use switch_root_core::program_note::Identity;
use switch_root_core::{architecture, escape};

/// How much of a program is read, in bytes: more than any has that is installed.
pub const LIMIT: u64 = 64 << 20;

/// A boot program, as its bytes describe it. It is not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// Its release, where that is known.
    pub version: Option<String>,
    /// Its engine, which compiled policies must be of, where that is known.
    pub engine: Option<String>,
    /// It has no compiler.
    pub small: bool,
    /// What it is a program for, as `uname -m` has it.
    pub architecture: Option<&'static str>,
}

impl Binary {
    /// Examines a program; nothing where it is not ours.
    pub fn of(program: &[u8]) -> Option<Self> {
        if !program.starts_with(&ELFMAG) {
            return None;
        }
        let identity = Identity::of(program).or_else(|| {
            first_release::is_ours(program).then(|| {
                let (engine, version) = first_release::engine(program, ENGINE).unzip();
                Identity {
                    version,
                    small: first_release::is_small(program),
                    engine,
                }
            })
        })?;
        Some(Self {
            version: identity.version,
            engine: identity.engine,
            small: identity.small,
            architecture: program.first_chunk().and_then(architecture::of_elf),
        })
    }

    /// Examines an open file: nothing else than a regular one is read.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn of_file(mut file: &File) -> io::Result<Option<Self>> {
        let metadata = file.metadata()?;
        if metadata.file_type().is_block_device() || !metadata.is_file() {
            return Ok(None);
        }
        let mut bytes = vec![0; ELFMAG.len()];
        if file.read_exact(&mut bytes).is_err() || bytes != ELFMAG {
            return Ok(None);
        }
        bytes.reserve(metadata.len().min(LIMIT) as usize);
        file.take(LIMIT).read_to_end(&mut bytes)?;
        Ok(Self::of(&bytes))
    }

    /// Whether it takes what this srctl compiles, as far as that is known.
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

/// The first place that a boot program is found in, where `examine` gives what is known of
/// what is at a place, if that is one.
pub fn find<T>(mut examine: impl FnMut(&'static str) -> Option<T>) -> Option<(&'static str, T)> {
    let mut places = BOOT_PROGRAM_PLACES.into_iter();
    places.find_map(|place| Some((place, examine(place)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What 0.1.0 has in its texts, in as little of an ELF file as is looked at: programs of
    /// 0.1.0 are megabytes large, and none is kept here.
    fn first_release(engine: &str, small: bool) -> Vec<u8> {
        let mut program = b"\x7fELF\x02\x01\x01".to_vec();
        program.resize(18, 0);
        program.extend([62, 0]);
        program.extend(b"\0switch-root \0switch-root ahead-of-time policy 1\nx");
        program.extend(engine.as_bytes());
        if small {
            program.extend(b"of policies, and this build of switch_root has no compiler: have");
        }
        program
    }

    #[test]
    fn programs_of_the_first_release_are_known_by_their_sentences() {
        let name = "switch-root 0.1.0, wasmtime 48";
        for small in [true, false] {
            let expected = Binary {
                version: Some("0.1.0".into()),
                engine: Some(name.into()),
                small,
                architecture: Some("x86_64"),
            };
            assert_eq!(Binary::of(&first_release(name, small)), Some(expected));
        }
    }

    #[test]
    fn the_engine_is_found_among_other_text() {
        let engine = |text: &str| Binary::of(&first_release(text, false)).unwrap().engine;
        let own = format!("switch-root of{ENGINE}9 files");
        assert_eq!(engine(&own).as_deref(), Some(ENGINE));
        let older = "switch-root , wasmtime 1\0switch-root 0.0.9-rc.1, wasmtime 47was compiled by";
        let name = "switch-root 0.0.9-rc.1, wasmtime 47";
        assert_eq!(engine(older).as_deref(), Some(name));
        for none in [
            "",
            "switch-root ",
            "switch-root x, wasmtime 1",
            "switch-root 1, wasmtime x",
            "switch-root a b, wasmtime 1",
        ] {
            assert_eq!(engine(none), None, "{none}");
        }
    }

    #[test]
    fn other_programs_are_not_ours() {
        assert_eq!(Binary::of(b"\x7fELF busybox"), None);
        let text = first_release(ENGINE, false);
        assert_eq!(Binary::of(&text[1..]), None);
    }

    #[test]
    fn a_program_takes_what_its_own_engine_compiled() {
        let takes = |engine: &str| {
            let program = Binary::of(&first_release(engine, false));
            program.unwrap().takes_ours()
        };
        assert!(takes(ENGINE));
        assert!(takes("no engine"));
        assert!(!takes("switch-root 0.3.0, wasmtime 51"));
    }

    #[test]
    fn what_is_called_first_is_found_first() {
        let found = find(|place| place.ends_with("switch_root").then_some(()));
        assert_eq!(found, Some(("/sbin/switch_root", ())));
        assert_eq!(find(|_| None::<()>), None);
    }
}
