//! The boot program: the one that is installed, and those in images.

use policy::engine::{self, ENGINE, MAGIC};
use policy::escape;

use super::finding::{Finding, Findings};
use super::machine::Machine;
use crate::boot_program::{INSTALLED, LIMIT, engine_of};
use crate::rooted::Rooted;

/// Words of the build without a compiler alone.
const SMALL: &[u8] = b"this build of switch_root has no compiler";

/// A boot program, as its bytes tell of it. It is not executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// `sha256:` and 64 digits.
    pub digest: String,
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
            digest: engine::digest(bytes),
            engine: engine_of(bytes),
            small: contains(bytes, SMALL),
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

/// Looks at the program that images get, and gives back its digest.
pub fn installed(root: &Rooted, machine: &Machine, findings: &mut Vec<Finding>) -> Option<String> {
    let path = INSTALLED[usize::from(machine.settings.small)];
    let install = "install the package switch-root of the same release as srctl";
    let bytes = match root.bytes(path, LIMIT) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            findings.problem(
                "package",
                path,
                "is missing: images cannot get it",
                "install the package switch-root",
            );
            return None;
        }
        Err(reason) => {
            findings.problem("package", path, reason, install);
            return None;
        }
    };
    let Some(binary) = Binary::of(&bytes) else {
        findings.problem(
            "package",
            path,
            "is another program than switch_root",
            install,
        );
        return None;
    };
    if binary.takes_ours() {
        findings.ok("package", path, format!("is installed ({})", binary.name()));
    } else {
        findings.warning(
            "package",
            path,
            format!(
                "is {}, and this srctl compiles for {ENGINE}: the boot compiles policies once more",
                binary.name()
            ),
            install,
        );
    }
    Some(binary.digest)
}

#[cfg(test)]
mod tests {
    use super::*;

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
