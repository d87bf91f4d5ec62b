//! Native code beside a `.wasm`, where signatures are demanded.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use switch_root_core::escape::Shown;
use switch_root_core::limits::fixed;
use switch_root_core::locations::COMPILED;
use switch_root_core::outcome::Message;

use super::{FILE, SIG, SIGNERS, WASM, line, refusal, sign};
use crate::engine;
use crate::folder::{Policy, discover_in};
use crate::source::{Contents, Source};
use crate::trust::NAMESPACE;
use crate::trust::compiled::Compiled;

const CWASM: &str = "/etc/switch-root/policies.d/50-a.cwasm";
const CWASM_SIG: &str = "/etc/switch-root/policies.d/50-a.cwasm.sig";

/// Files with their owners and modes, whoever runs the test.
#[derive(Clone, Default)]
struct Files(BTreeMap<PathBuf, (Vec<u8>, u32, u32)>);

impl Files {
    fn with(mut self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.0
            .insert(path.into(), (bytes.as_ref().into(), 0, 0o644));
        self
    }

    fn list(mut self, bytes: impl AsRef<[u8]>, uid: u32, mode: u32) -> Self {
        self.0
            .insert(COMPILED.into(), (bytes.as_ref().into(), uid, mode));
        self
    }
}

impl Source for Files {
    fn names(&self, directory: &Path) -> Result<Option<Vec<OsString>>, Message> {
        let inside = |path: &&PathBuf| path.parent() == Some(directory);
        let names: Vec<_> = self.0.keys().filter(inside).collect();
        let name = |path: &&PathBuf| path.file_name().map(OsString::from);
        Ok((!names.is_empty()).then(|| names.iter().filter_map(name).collect()))
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Option<Contents>, Message> {
        match self.0.get(path) {
            Some((bytes, _, _)) if bytes.len() as u64 > limit => {
                Err(Message::quoted("is too large"))
            }
            file => Ok(file.map(|(bytes, uid, mode)| Contents {
                bytes: bytes.clone(),
                uid: *uid,
                mode: *mode,
            })),
        }
    }

    fn is_null(&self, _: &Path) -> bool {
        false
    }

    fn is_empty(&self, _: &Path) -> bool {
        false
    }

    fn shown(&self, path: &Path) -> String {
        path.shown()
    }
}

/// Native code with the record of having been compiled from these bytes.
fn native(source: &[u8], code: &str) -> Vec<u8> {
    let record = format!(
        r#"{{"source":"{}","engine":"{}","target":"t"}}"#,
        engine::digest(source),
        engine::ENGINE
    );
    [engine::MAGIC, record.as_bytes(), b"\n", code.as_bytes()].concat()
}

/// A signed policy with native code.
fn signed(native: &[u8]) -> Files {
    Files::default()
        .with(WASM, FILE)
        .with(SIG, sign(1, NAMESPACE, FILE))
        .with(SIGNERS, [line("", 1), line("", 2)].concat())
        .with(CWASM, native)
}

fn listing(native: &[u8]) -> Vec<u8> {
    let mut compiled = Compiled::default();
    compiled.add(native);
    compiled.to_bytes()
}

fn policy(files: &Files) -> Policy {
    let mut found = discover_in(files, None);
    assert_eq!(refusal(&found), None);
    found.remove(1)
}

/// The `.wasm` counts, and its signer; a warning has these words.
fn is_compiled(files: &Files, words: &[&str]) {
    let policy = policy(files);
    let code = policy.code.as_ref().unwrap();
    assert!(code.native.is_none() && code.wasm.is_some(), "{words:?}");
    assert_eq!(policy.signer(true), Some("signer-1"));
    let [warning] = &policy.warnings[..] else {
        panic!("{:?}", policy.warnings);
    };
    for word in [&["50-a.cwasm is not used: it ", "compiled instead"], words].concat() {
        assert!(warning.text.contains(word), "{word}: {warning}");
    }
}

#[test]
fn native_code_that_is_listed_is_used_in_the_name_of_its_wasm() {
    let native = native(FILE, "code");
    let policy = policy(&signed(&native).list(listing(&native), 0, 0o600));
    assert!(policy.code.as_ref().unwrap().native.is_some());
    assert_eq!(policy.warnings, []);
    assert_eq!(policy.signer(false), Some("signer-1"));
}

#[test]
fn native_code_with_an_edited_record_is_not_used() {
    let edited = native(FILE, "other code");
    is_compiled(
        &signed(&edited),
        &[
            "not listed in",
            COMPILED,
            "is not signed: there is no",
            CWASM_SIG,
        ],
    );
    // Neither the same code with another record, nor what another list has.
    for listed in [native(b"other", "other code"), native(FILE, "code")] {
        let files = signed(&edited).list(listing(&listed), 0, 0o600);
        is_compiled(&files, &["not listed in", CWASM_SIG]);
    }
    // The .wasm's signature is none of it.
    let files = signed(&edited).with(CWASM_SIG, sign(1, NAMESPACE, FILE));
    is_compiled(&files, &["not listed in", "is not what signer-1 signed"]);
}

#[test]
fn listed_code_of_another_wasm_is_not_used() {
    let other = native(b"other", "code");
    let files = signed(&other).list(listing(&other), 0, 0o600);
    is_compiled(&files, &["was compiled from another .wasm file"]);
}

#[test]
fn native_code_with_its_own_signature_is_used_in_its_name() {
    let native = native(FILE, "code");
    let files = signed(&native).with(CWASM_SIG, sign(2, NAMESPACE, &native));
    let policy = policy(&files);
    assert!(policy.code.as_ref().unwrap().native.is_some());
    assert_eq!(policy.signer(false), Some("signer-2"));
    assert_eq!(policy.signer(true), Some("signer-1"), "the .wasm ran");
}

#[test]
fn a_list_that_cannot_be_relied_on_accepts_no_native_code() {
    let native = native(FILE, "code");
    let good = listing(&native);
    let large = good.repeat(fixed::COMPILED_FILE as usize / good.len() + 1);
    for (list, uid, mode, words) in [
        (&good[..], 1000, 0o600, "is owned by user 1000"),
        (&good, 0, 0o644, "by others than root (mode 0644)"),
        (&good, 0, 0o620, "by others than root (mode 0620)"),
        (&good[..good.len() - 1], 0, 0o600, "malformed in line 1"),
        (
            &[&good[..], b"\0"].concat(),
            0,
            0o600,
            "malformed in line 2",
        ),
        (&large, 0, 0o600, "is too large"),
        (b"", 0, 0o600, "is not listed"),
    ] {
        let files = signed(&native).list(list, uid, mode);
        is_compiled(&files, &[words, COMPILED]);
    }
}

#[test]
fn native_code_alone_is_not_accepted_by_the_list() {
    let native = native(FILE, "code");
    let mut files = signed(&native).list(listing(&native), 0, 0o600);
    files.0.remove(Path::new(WASM));
    let refusal = refusal(&discover_in(&files, None)).unwrap();
    assert!(refusal.contains("50-a.cwasm is not signed"), "{refusal}");
}

#[test]
fn without_a_trust_folder_native_code_needs_no_list() {
    let mut files = signed(&native(FILE, "code"));
    files.0.remove(Path::new(SIGNERS));
    let policy = policy(&files);
    assert!(policy.code.as_ref().unwrap().native.is_some());
    assert_eq!((policy.signer(false), policy.warnings.len()), (None, 0));
}
