//! Which policies there are: the policy folders, their override, masking and
//! sidecars, and the embedded default.
//!
//! Each file counts by its name: one in the operator's folder replaces the one
//! of the same name in the vendor's, so that a vendor's policy can be given
//! other settings without being copied. An empty `.wasm` or a link to
//! /dev/null masks the policy. What cannot be read becomes a policy that has
//! failed, so that it is reported and has the effect of a failure, rather than
//! being silently absent.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::engine;
use crate::escape;
use crate::failure::{Failure, Kind};
use crate::file::{self, Links};
use crate::limits::fixed;
use crate::sidecar::Sidecar;

/// Where vendors put policies.
pub const VENDOR: &str = "/usr/lib/switch-root/policies.d";
/// Where operators put theirs.
pub const OPERATOR: &str = "/etc/switch-root/policies.d";
/// The name of the embedded policy.
pub const DEFAULT: &str = "00-default";

static DEFAULT_WASM: &[u8] = include_bytes!("default.wasm");
/// Empty where the build was given none.
static DEFAULT_CWASM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/default.cwasm"));

/// One policy that takes part in this boot, usable or not.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The file name without its ending, escaped.
    pub name: String,
    /// The path of the file that it was read from, escaped, or `embedded`.
    pub origin: String,
    /// The digest of the `.wasm`, where it is known.
    pub digest: Option<String>,
    /// What is run.
    pub code: Result<Code, Failure>,
    /// Settings, limits, failure mode.
    pub sidecar: Sidecar,
    /// What the operator should hear about it, such as a `.cwasm` not used.
    pub warnings: Vec<String>,
}

/// A component in the forms that there are. Native code is tried first.
#[derive(Clone, Debug)]
pub struct Code {
    /// WebAssembly, to be compiled.
    pub wasm: Option<Cow<'static, [u8]>>,
    /// What wasmtime compiled ahead of time, without our record.
    pub native: Option<Cow<'static, [u8]>>,
}

/// The files that make up one policy.
#[derive(Default)]
struct Files {
    wasm: Option<PathBuf>,
    cwasm: Vec<PathBuf>,
    sidecar: Option<PathBuf>,
}

/// The embedded default policy with its sidecar's defaults.
pub fn embedded() -> Policy {
    let mut code = Code {
        wasm: Some(Cow::Borrowed(DEFAULT_WASM)),
        native: None,
    };
    let digest = match engine::split_native(DEFAULT_CWASM) {
        Ok((record, native)) => {
            code.native = Some(Cow::Borrowed(native));
            // Saves hashing at each boot what was hashed when this was built.
            record.source
        }
        Err(_) => engine::digest(DEFAULT_WASM),
    };
    Policy {
        name: DEFAULT.into(),
        origin: "embedded".into(),
        digest: Some(digest),
        code: Ok(code),
        sidecar: Sidecar::default(),
        warnings: Vec::new(),
    }
}

/// Finds the policies of a root directory, in the order in which they are asked.
pub fn discover(root: &Path) -> Vec<Policy> {
    discover_with(root, None)
}

/// Finds the policies of a root directory and of one more folder, whose files
/// replace those of the same name, as the operator's replace the vendor's.
pub fn discover_with(root: &Path, more: Option<&Path>) -> Vec<Policy> {
    let mut found: BTreeMap<Vec<u8>, Files> = BTreeMap::new();
    let mut policies = Vec::new();
    let folders = [VENDOR, OPERATOR].map(|folder| root.join(folder.trim_start_matches('/')));
    for path in folders.iter().map(PathBuf::as_path).chain(more) {
        if let Err(failure) = list(path, &mut found) {
            let folder = shown(root, path);
            policies.push(unusable(folder.clone(), folder, failure));
        }
    }
    found.entry(DEFAULT.into()).or_default();
    policies.extend(
        found
            .iter()
            .filter_map(|(stem, files)| assemble(root, stem, files)),
    );
    policies
}

fn list(folder: &Path, found: &mut BTreeMap<Vec<u8>, Files>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| {
        Failure::load(
            Kind::Unreadable,
            format!("cannot be read as a policy folder: {error}"),
        )
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable(error)),
    };
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        let (Some(stem), Some(ending)) = (path.file_stem(), path.extension()) else {
            continue;
        };
        let ending = ending.as_bytes();
        if !matches!(ending, b"wasm" | b"cwasm" | b"json") {
            continue;
        }
        let files = found.entry(stem.as_bytes().to_vec()).or_default();
        match ending {
            b"wasm" => files.wasm = Some(path),
            b"cwasm" => files.cwasm.push(path),
            _ => files.sidecar = Some(path),
        }
    }
    Ok(())
}

/// A path as the root directory has it, escaped; another one as it is.
fn shown(root: &Path, path: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(inside) => format!("/{}", escape::path(inside.as_os_str().as_bytes())),
        Err(_) => escape::path(path.as_os_str().as_bytes()),
    }
}

/// Reads the files of one policy. `None` where it is masked.
fn assemble(root: &Path, stem: &[u8], files: &Files) -> Option<Policy> {
    let name = escape::path(stem);
    let shown = |path: &Path| shown(root, path);
    // Code compiled from the vendor's file says nothing of the operator's.
    let (beside, apart): (Vec<&PathBuf>, Vec<&PathBuf>) = match &files.wasm {
        Some(wasm) => files
            .cwasm
            .iter()
            .partition(|cwasm| cwasm.parent() == wasm.parent()),
        None => (files.cwasm.last().into_iter().collect(), Vec::new()),
    };
    let cwasm = beside.first().copied();
    let mut policy = match (&files.wasm, cwasm) {
        (Some(wasm), _) if is_null(wasm) => return None,
        (Some(wasm), _) => match file::read(wasm, fixed::POLICY_FILE, Links::Follow) {
            Ok(Some((bytes, _))) if bytes.is_empty() => return None,
            Ok(Some((bytes, _))) => Policy {
                name,
                origin: shown(wasm),
                digest: Some(engine::digest(&bytes)),
                code: Ok(Code {
                    wasm: Some(Cow::Owned(bytes)),
                    native: None,
                }),
                sidecar: Sidecar::default(),
                warnings: Vec::new(),
            },
            Ok(None) => unusable(
                name,
                shown(wasm),
                Failure::load(
                    Kind::Unreadable,
                    "is a link to nothing; remove it, or link it to /dev/null to mask the policy",
                ),
            ),
            Err(error) => unusable(name, shown(wasm), Failure::load(Kind::Unreadable, error)),
        },
        (None, Some(cwasm)) if masks(cwasm) => return None,
        (None, Some(cwasm)) => Policy {
            name,
            origin: shown(cwasm),
            digest: None,
            code: Ok(Code {
                wasm: None,
                native: None,
            }),
            sidecar: Sidecar::default(),
            warnings: Vec::new(),
        },
        (None, None) if stem == DEFAULT.as_bytes() => embedded(),
        (None, None) => {
            // A sidecar alone is what is left of a policy that was removed, or
            // a misspelt name: said, but no reason not to delete anything.
            let sidecar = files.sidecar.as_deref().map(shown).unwrap_or_default();
            tracing::warn!("{sidecar} has no policy of the same name beside it, and is not used");
            return None;
        }
    };
    if let Some(path) = files.sidecar.as_ref().filter(|path| !masks(path)) {
        let parsed = match file::read(path, fixed::SIDECAR_FILE, Links::Follow) {
            Ok(Some((bytes, _))) => Sidecar::parse(&bytes),
            Ok(None) => Err("is a link to nothing".into()),
            Err(error) => Err(error),
        };
        match parsed {
            Ok(sidecar) => policy.sidecar = sidecar,
            Err(error) => {
                policy.code = Err(Failure::load(
                    Kind::Settings,
                    format!("{} {error}", shown(path)),
                ));
            }
        }
    }
    if let Some(cwasm) = cwasm {
        add_native(&mut policy, cwasm, &shown(cwasm));
    }
    for cwasm in apart {
        let warning = format!(
            "{} is not used: the .wasm that counts lies in another folder",
            shown(cwasm)
        );
        policy.warnings.push(warning);
    }
    Some(policy)
}

/// Takes native code if it may be trusted like the binary itself.
fn add_native(policy: &mut Policy, path: &Path, shown: &str) {
    let Ok(code) = &mut policy.code else { return };
    match trusted_native(path, policy.digest.as_deref()) {
        Ok((source, native)) => {
            code.native = Some(Cow::Owned(native));
            policy.digest = Some(source);
        }
        Err(reason) if code.wasm.is_some() => {
            policy.warnings.push(format!(
                "{shown} is not used: it {reason}; the policy is compiled instead"
            ));
        }
        Err(reason) => {
            policy.code = Err(Failure::load(Kind::Unreadable, format!("{shown} {reason}")))
        }
    }
}

fn trusted_native(path: &Path, digest: Option<&str>) -> Result<(String, Vec<u8>), String> {
    let (mut bytes, metadata) =
        file::read(path, fixed::POLICY_FILE, Links::Follow)?.ok_or("is a link to nothing")?;
    if metadata.uid() != 0 {
        return Err(format!("is owned by user {}, not by root", metadata.uid()));
    }
    if metadata.mode() & (libc::S_IWGRP | libc::S_IWOTH) != 0 {
        return Err(format!(
            "can be written by others than root (mode {:04o})",
            metadata.mode() & 0o7777
        ));
    }
    let (record, code) = engine::split_native(&bytes)?;
    if digest.is_some_and(|digest| digest != record.source) {
        return Err(format!(
            "was compiled from another .wasm file ({})",
            record.source
        ));
    }
    if record.engine != engine::ENGINE {
        return Err(format!(
            "was compiled by {}, and this is {}",
            record.engine,
            engine::ENGINE
        ));
    }
    let start = bytes.len() - code.len();
    bytes.drain(..start);
    Ok((record.source, bytes))
}

/// Whether a file is there to hide one of the same name.
fn masks(path: &Path) -> bool {
    is_null(path) || fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() == 0)
}

/// Whether a file is a link to /dev/null, which need not be there yet.
fn is_null(path: &Path) -> bool {
    fs::read_link(path).is_ok_and(|target| target.as_os_str() == OsStr::new("/dev/null"))
        || fs::metadata(path).is_ok_and(|file| {
            file.file_type().is_char_device() && file.rdev() == nix::sys::stat::makedev(1, 3)
        })
}

fn unusable(name: String, origin: String, failure: Failure) -> Policy {
    Policy {
        name,
        origin,
        digest: None,
        code: Err(failure),
        sidecar: Sidecar::default(),
        warnings: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A root directory with the given files; empty contents for `b""`.
    fn root(name: &str, files: &[(&str, &[u8])]) -> PathBuf {
        let root =
            std::env::temp_dir().join(format!("switch-root-folder-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        for (path, contents) in files {
            let path = root.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }
        fs::create_dir_all(&root).unwrap();
        root
    }

    fn summary(root: &Path) -> Vec<(String, String)> {
        discover(root)
            .into_iter()
            .map(|policy| (policy.name, policy.origin))
            .collect()
    }

    fn pair(name: &str, origin: &str) -> (String, String) {
        (name.into(), origin.into())
    }

    #[test]
    fn without_folders_there_is_the_embedded_default_alone() {
        let root = root("none", &[]);
        assert_eq!(summary(&root), [pair("00-default", "embedded")]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_operators_file_replaces_the_vendors_and_the_order_is_by_name() {
        let root = root(
            "override",
            &[
                ("/usr/lib/switch-root/policies.d/50-b.wasm", b"vendor"),
                ("/usr/lib/switch-root/policies.d/60-c.wasm", b"vendor"),
                ("/etc/switch-root/policies.d/50-b.wasm", b"operator"),
                ("/etc/switch-root/policies.d/10-a.wasm", b"operator"),
                (
                    "/etc/switch-root/policies.d/60-c.json",
                    br#"{"on_failure": "ignore"}"#,
                ),
                ("/etc/switch-root/policies.d/README", b"not a policy"),
            ],
        );
        assert_eq!(
            summary(&root),
            [
                pair("00-default", "embedded"),
                pair("10-a", "/etc/switch-root/policies.d/10-a.wasm"),
                pair("50-b", "/etc/switch-root/policies.d/50-b.wasm"),
                pair("60-c", "/usr/lib/switch-root/policies.d/60-c.wasm"),
            ]
        );
        let sidecar = &discover(&root)[3].sidecar;
        assert_eq!(sidecar.on_failure, crate::sidecar::OnFailure::Ignore);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn an_empty_file_or_a_link_to_dev_null_masks() {
        let root = root(
            "mask",
            &[
                ("/usr/lib/switch-root/policies.d/50-b.wasm", b"vendor"),
                ("/etc/switch-root/policies.d/50-b.wasm", b""),
                ("/usr/lib/switch-root/policies.d/60-c.wasm", b"vendor"),
            ],
        );
        let operator = root.join("etc/switch-root/policies.d");
        symlink("/dev/null", operator.join("60-c.wasm")).unwrap();
        symlink("/dev/null", operator.join("00-default.wasm")).unwrap();
        assert_eq!(summary(&root), []);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_cannot_be_read_is_a_failed_policy_and_not_an_absent_one() {
        let root = root(
            "unreadable",
            &[
                ("/usr/lib/switch-root/policies.d", b"a file, not a folder"),
                ("/etc/switch-root/policies.d/50-b.wasm", b"x"),
                ("/etc/switch-root/policies.d/50-b.json", b"{"),
            ],
        );
        let operator = root.join("etc/switch-root/policies.d");
        symlink("/nowhere", operator.join("60-c.wasm")).unwrap();
        nix::unistd::mkfifo(&operator.join("70-d.wasm"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let failures: Vec<_> = discover(&root)
            .into_iter()
            .filter_map(|policy| {
                policy
                    .code
                    .err()
                    .map(|failure| (policy.name, failure.message))
            })
            .collect();
        let expected = [
            (
                "/usr/lib/switch-root/policies.d",
                "cannot be read as a policy folder",
            ),
            (
                "50-b",
                "/etc/switch-root/policies.d/50-b.json is not a sidecar file",
            ),
            ("60-c", "is a link to nothing"),
            ("70-d", "is not a regular file"),
        ];
        assert_eq!(failures.len(), expected.len(), "{failures:?}");
        for ((name, message), (expected_name, part)) in failures.iter().zip(expected) {
            assert_eq!(name, expected_name);
            assert!(message.contains(part), "{message}");
        }
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn native_code_is_used_only_where_it_can_be_trusted() {
        let wasm = b"some wasm";
        let native = |source: &str, engine: &str| {
            let record = format!(r#"{{"source":"{source}","engine":"{engine}","target":"t"}}"#);
            [
                b"switch-root ahead-of-time policy 1
",
                record.as_bytes(),
                b"
code",
            ]
            .concat()
        };
        let good = native(&engine::digest(wasm), engine::ENGINE);
        let cases: [(&str, Vec<u8>, u32, Option<&str>); 5] = [
            ("good", good.clone(), 0o644, None),
            ("mode", good.clone(), 0o666, Some("written by others")),
            (
                "source",
                native(&engine::digest(b"other"), engine::ENGINE),
                0o644,
                Some("another .wasm"),
            ),
            (
                "engine",
                native(&engine::digest(wasm), "wasmtime 1"),
                0o644,
                Some("was compiled by"),
            ),
            ("forged", b"ELF".to_vec(), 0o644, Some("no record")),
        ];
        for (name, bytes, mode, expected) in cases {
            use std::os::unix::fs::PermissionsExt;
            let root = root(
                &format!("native-{name}"),
                &[
                    ("/etc/switch-root/policies.d/50-a.wasm", wasm),
                    ("/etc/switch-root/policies.d/50-a.cwasm", &bytes),
                ],
            );
            let cwasm = root.join("etc/switch-root/policies.d/50-a.cwasm");
            fs::set_permissions(&cwasm, fs::Permissions::from_mode(mode)).unwrap();
            let policy = discover(&root).remove(1);
            let native = policy.code.unwrap().native;
            match expected {
                // Only root's files are trusted, so this half needs root to be shown.
                None if nix::unistd::geteuid().is_root() => {
                    assert_eq!(
                        native.as_deref(),
                        Some(&b"code"[..]),
                        "{:?}",
                        policy.warnings
                    );
                }
                None => assert!(policy.warnings[0].contains("not by root")),
                Some(part) => {
                    assert_eq!(native, None);
                    assert!(
                        policy.warnings[0].contains(part)
                            || policy.warnings[0].contains("not by root")
                    );
                }
            }
            fs::remove_dir_all(root).unwrap();
        }
    }
}
