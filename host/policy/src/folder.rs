//! Which policies there are: the policy folders, their override, masking and
//! sidecars, and the embedded default.
//!
//! Each file counts by its name: one in the operator's folder replaces the one
//! of the same name in the vendor's, so that a vendor's policy can be given
//! other settings without being copied. An empty `.wasm` or a link to
//! /dev/null masks the policy; as a sidecar it masks the vendor's. What cannot be read becomes a policy that has
//! failed, so that it is reported and has the effect of a failure, rather than
//! being silently absent.
//!
//! Where there is a trust folder ([`crate::trust`]), what is run must be signed, native
//! code included.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use switch_root_core::escape;
use switch_root_core::failure::{Failure, Kind};
use switch_root_core::file::Unreadable;
use switch_root_core::limits::fixed;
use switch_root_core::locations::{OPERATOR, TRUST, VENDOR};
use switch_root_core::outcome::{self, Message, warn};

use crate::engine;
use crate::native::{Native, NativeFile};
use crate::owner::NotRootsAlone;
use crate::sidecar::Sidecar;
use crate::source::{self, Contents, Disk, Source};
use crate::trust::{OutsideValidity, Time};

mod file;
mod signed;
mod survey;

use file::File;
use signed::{Demand, Signed};
pub(crate) use signed::{Refused, Unlisted};
pub use survey::{Found, survey};

switch_root_core::outcomes! {
    /// Why a policy, or a folder of policies, cannot be used: what follows its name in a sentence.
    pub enum Unusable in "policy-files" {
        /// `policies.d` is a file, a dangling symbolic link, or damaged.
        "SR-P10" Folder { reason: Message } = "cannot be read as a policy folder: {reason}",
        /// What `policies.d` leads to was not put into the initramfs, or is named wrongly. Correct
        /// the link, or remove it.
        "SR-P11" DanglingFolder = "cannot be read as a policy folder: it is a dangling symbolic link",
        /// Often the package that the link leads to was not put into the initramfs.
        "SR-P12" Dangling = "is a link to nothing; remove it, or link it to /dev/null to mask the policy",
    }
}

switch_root_core::outcomes! {
    /// That something beside a policy is not used.
    pub enum Unused in "policy-warnings" {
        /// A name was misspelt, or a policy removed and its sidecar left.
        "SR-P70" Sidecar { sidecar: String } = "{sidecar} has no policy of the same name beside it, and is not used",
        /// The operator's `.wasm` replaces the vendor's, and the `.cwasm` is still the vendor's.
        /// Compile the operator's, too (`srctl policy compile`).
        "SR-P71" OtherFolder { cwasm: String } = "{cwasm} is not used: the .wasm that counts lies in another folder",
        /// For a reason of [the next table](#code-compiled-ahead-of-time). It costs time at each
        /// boot.
        "SR-P72" Native { cwasm: String, reason: Message } = "{cwasm} is not used: it {reason}; the policy is compiled instead",
        /// The same: the boot program was updated, and the `.cwasm` was not. Compile it again with the
        /// `srctl` of the same release.
        "SR-P75" OtherEngine { cwasm: String, reason: Message } = "{cwasm} is not used: it {reason}; the policy is compiled instead",
        /// The same, since nothing proves what it was compiled from. Make the image again with
        /// `srctl image stage` or `srctl image add-policy`, which list what they compile.
        "SR-P74" Unlisted { cwasm: String, reason: Unlisted } = "{cwasm} is not used: it {reason}; the policy is compiled instead",
    }
}

switch_root_core::outcomes! {
    /// That clock and key disagree.
    pub enum ClockDisagrees in "signature-warnings" {
        /// The reason is one of the two before. The signature counts all the same.
        "SR-S52" Used { reason: OutsideValidity, now: Time } = "it {reason}; the clock says {now}, which may be wrong while the machine starts, so it is used all the same",
    }
}

/// The code of a warning that says that compiled code is of another engine.
pub const OF_OTHER_ENGINE: outcome::Code = outcome::Code::declared("SR-P75");

/// The name of the embedded policy.
pub const DEFAULT: &str = "00-default";

static DEFAULT_WASM: &[u8] = include_bytes!("default.wasm");
/// Empty where the build was given none.
static DEFAULT_CWASM: &Aligned<[u8]> =
    &Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/default.cwasm")));

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
    /// Who signed it, escaped, where signatures are demanded.
    pub signed_by: Option<String>,
    /// Who signed its native code, escaped, where that has a signature of its own that
    /// it needs.
    pub native_signed_by: Option<String>,
    /// That a key which signed it is not valid now, as far as the clock is right.
    pub untimely: Option<OutsideValidity>,
    /// Settings, limits, failure mode.
    pub sidecar: Sidecar,
    /// What the operator should hear about it, such as a `.cwasm` not used.
    pub warnings: Vec<Message>,
}

/// Begins with a page, so that code at a page of the file is at one in memory.
#[repr(C, align(4096))]
struct Aligned<T: ?Sized>(T);

/// A component in the forms that there are. Native code is tried first.
#[derive(Clone, Debug)]
pub struct Code {
    /// WebAssembly, to be compiled.
    pub wasm: Option<Cow<'static, [u8]>>,
    /// What wasmtime compiled ahead of time, without our record.
    pub native: Option<Native>,
}

/// What there is in the policy folders.
#[derive(Clone, Debug, Default)]
pub struct Discovered {
    /// The policies that take part, in the order in which they are asked.
    pub policies: Vec<Policy>,
    /// The names of those that are masked, escaped.
    pub masked: Vec<String>,
}

/// What becomes of the files of one name.
enum Assembled {
    Policy(Box<Policy>),
    Masked,
    /// A sidecar without a policy.
    Nothing,
}

/// The files that make up one policy.
#[derive(Default)]
struct Files<'a> {
    wasm: Option<File<'a>>,
    cwasm: Vec<File<'a>>,
    sidecar: Option<File<'a>>,
}

impl<'a> Files<'a> {
    /// The `.cwasm` files that go with the policy, the first of which counts, and those
    /// that do not: code compiled from the vendor's file says nothing of the operator's.
    fn native(&self) -> (Vec<&File<'a>>, Vec<&File<'a>>) {
        match &self.wasm {
            Some(wasm) => self.cwasm.iter().partition(|cwasm| cwasm.beside(wasm)),
            None => (self.cwasm.last().into_iter().collect(), Vec::new()),
        }
    }
}

/// The files of all policies, by their names.
type All<'a> = BTreeMap<Vec<u8>, Files<'a>>;

/// The embedded default policy with its sidecar's defaults.
pub fn embedded() -> Policy {
    let mut code = Code {
        wasm: Some(Cow::Borrowed(DEFAULT_WASM)),
        native: None,
    };
    let digest = match engine::split_native(&DEFAULT_CWASM.0) {
        Ok((record, native)) => {
            code.native = Some(Native::embedded(native));
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
        signed_by: None,
        native_signed_by: None,
        untimely: None,
        sidecar: Sidecar::default(),
        warnings: Vec::new(),
    }
}

impl Policy {
    /// Says that clock and validity of the key disagree, where they do.
    fn note_validity(&mut self, signed: Signed) {
        let Signed { untimely, now, .. } = signed;
        if let Some(reason) = untimely {
            self.untimely.get_or_insert_with(|| reason.clone());
            self.warnings
                .push(ClockDisagrees::Used { reason, now }.into());
        }
    }

    /// Who signed what is run: the `.wasm` if it is `compiled` for that, or else the
    /// native code, which counts as signed with the `.wasm` that it was compiled from.
    pub fn signer(&self, compiled: bool) -> Option<&str> {
        let native = self.native_signed_by.as_deref().filter(|_| !compiled);
        native.or(self.signed_by.as_deref())
    }
}

/// Finds the policies of a root directory of this machine, in the order in which they
/// are asked.
pub fn discover(root: &Path) -> Discovered {
    look(&Disk::root(root), None)
}

/// Finds the policies of a root directory and of one more folder of this machine, whose
/// files replace those of the same name, as the operator's replace the vendor's.
pub fn discover_in(root: &dyn Source, more: Option<&Path>) -> Vec<Policy> {
    look(root, more).policies
}

fn look(root: &dyn Source, more: Option<&Path>) -> Discovered {
    let more = more.map(Disk::folder);
    let mut places: Vec<(&dyn Source, &Path)> =
        vec![(root, Path::new(VENDOR)), (root, Path::new(OPERATOR))];
    if let Some(more) = &more {
        places.push((more, Path::new("/")));
    }
    let (policies, found, demand) = collect(root, &places);
    let mut discovered = Discovered {
        policies,
        masked: Vec::new(),
    };
    for (stem, files) in &found {
        match assemble(stem, files, &demand) {
            Assembled::Policy(policy) => discovered.policies.push(*policy),
            Assembled::Masked => discovered.masked.push(escape::path(stem)),
            Assembled::Nothing => {}
        }
    }
    discovered
}

/// Lists the folders. What cannot be read of them, and of what signatures are held
/// against, becomes policies that have failed.
fn collect<'a>(
    root: &dyn Source,
    places: &[(&'a dyn Source, &Path)],
) -> (Vec<Policy>, All<'a>, Demand) {
    let mut found = All::new();
    let mut failed = Vec::new();
    for (source, folder) in places {
        if let Err(reason) = list(*source, folder, &mut found) {
            let shown = source.shown(folder);
            let failure = Failure::load(Kind::Unreadable, reason);
            failed.push(unusable(shown.clone(), shown, failure));
        }
    }
    found.entry(DEFAULT.into()).or_default();
    let demand = Demand::of(root);
    if let Some(failure) = demand.failure() {
        let shown = root.shown(Path::new(TRUST));
        failed.push(unusable(shown.clone(), shown, failure));
    }
    (failed, found, demand)
}

fn list<'a>(source: &'a dyn Source, folder: &Path, found: &mut All<'a>) -> Result<(), Unusable> {
    let unreadable = |reason| Unusable::Folder { reason };
    let Some(names) = source.names(folder).map_err(unreadable)? else {
        return match source::is_dangling(source, folder).map_err(unreadable)? {
            true => Err(Unusable::DanglingFolder),
            false => Ok(()),
        };
    };
    for name in names {
        let path = folder.join(&name);
        let (Some(stem), Some(ending)) = (path.file_stem(), path.extension()) else {
            continue;
        };
        let ending = ending.as_bytes();
        if !matches!(ending, b"wasm" | b"cwasm" | b"json") {
            continue;
        }
        let files = found.entry(stem.as_bytes().to_vec()).or_default();
        let file = File {
            source,
            path: path.clone(),
        };
        match ending {
            b"wasm" => files.wasm = Some(file),
            b"cwasm" => files.cwasm.push(file),
            _ => files.sidecar = Some(file),
        }
    }
    Ok(())
}

/// Reads the files of one policy.
fn assemble(stem: &[u8], files: &Files<'_>, demand: &Demand) -> Assembled {
    let name = escape::path(stem);
    let (beside, apart) = files.native();
    let cwasm = beside.first().copied();
    // Read once: what is checked is what is run.
    let native = cwasm.map(|file| file.read_native(fixed::POLICY_FILE));
    let mut signature = Ok(None);
    let mut policy = match (&files.wasm, cwasm) {
        (Some(wasm), _) if wasm.source.is_null(&wasm.path) => return Assembled::Masked,
        (Some(wasm), _) => match wasm.read(fixed::POLICY_FILE) {
            Ok(Some(contents)) if contents.bytes.is_empty() => return Assembled::Masked,
            Ok(Some(Contents { bytes, .. })) => {
                signature = demand.check(wasm, &bytes);
                let digest = engine::digest(&bytes);
                let code = Code {
                    wasm: Some(Cow::Owned(bytes)),
                    native: None,
                };
                loaded(name, wasm.shown(), Some(digest), code)
            }
            Ok(None) => unusable(
                name,
                wasm.shown(),
                Failure::load(Kind::Unreadable, Unusable::Dangling),
            ),
            Err(error) => unusable(name, wasm.shown(), Failure::load(Kind::Unreadable, error)),
        },
        (None, Some(cwasm)) if cwasm.masks() => return Assembled::Masked,
        (None, Some(cwasm)) => {
            if let Some(Ok(Some(contents))) = &native {
                signature = demand.check(cwasm, contents.bytes.bytes());
            }
            let code = Code {
                wasm: None,
                native: None,
            };
            loaded(name, cwasm.shown(), None, code)
        }
        (None, None) if stem == DEFAULT.as_bytes() => embedded(),
        (None, None) => {
            // A sidecar alone is what is left of a policy that was removed, or
            // a misspelt name: said, but no reason not to delete anything.
            let sidecar = files.sidecar.as_ref().map(File::shown).unwrap_or_default();
            warn(&Unused::Sidecar { sidecar }.into());
            return Assembled::Nothing;
        }
    };
    let (masks, sidecar) = match files.sidecar.as_ref() {
        Some(file) if file.masks() => (Some(file.shown()), None),
        file => (None, file),
    };
    policy.sidecar.masked_by = masks;
    if let Some(sidecar) = sidecar {
        let (parsed, bytes) = match sidecar.read(fixed::SIDECAR_FILE) {
            Ok(Some(contents)) => {
                let parsed = Sidecar::parse(&contents.bytes).map_err(Message::from);
                (parsed, contents.bytes)
            }
            Ok(None) => (Err(Unreadable::Dangling.into()), Vec::new()),
            Err(error) => (Err(error), Vec::new()),
        };
        let file = sidecar.shown();
        policy.sidecar = Sidecar {
            digest: (!bytes.is_empty()).then(|| engine::digest(&bytes)),
            ..match parsed {
                Ok(parsed) => Sidecar {
                    origin: Some(file),
                    ..parsed
                },
                Err(error) => {
                    let error = error.reworded(|error| format!("{file} {error}"));
                    policy.code = Err(Failure::load(Kind::Settings, error));
                    Sidecar::of_malformed(&bytes)
                }
            }
        };
    }
    match signature {
        Ok(None) => {}
        Ok(Some(signed)) => {
            policy.signed_by = Some(signed.by.clone());
            policy.note_validity(signed);
        }
        // In place of any other failure: its sidecar has no say in this one.
        Err(failure) => policy.code = Err(failure),
    }
    if let (Some(cwasm), Some(contents)) = (cwasm, native) {
        add_native(&mut policy, cwasm, contents, demand);
    }
    for cwasm in apart {
        let cwasm = cwasm.shown();
        policy.warnings.push(Unused::OtherFolder { cwasm }.into());
    }
    Assembled::Policy(Box::new(policy))
}

/// Takes native code if it may be trusted like the binary itself.
fn add_native(
    policy: &mut Policy,
    file: &File<'_>,
    contents: Result<Option<Contents<NativeFile>>, Message>,
    demand: &Demand,
) {
    let Ok(code) = &mut policy.code else { return };
    let shown = file.shown();
    let trusted = contents.and_then(|contents| {
        let contents = contents.ok_or(Unreadable::Dangling)?;
        let (source, from) = trusted_native(&contents, policy.digest.as_deref())?;
        // Alone it has been checked, in place of the .wasm.
        let signed = match code.wasm {
            Some(_) => demand.check_native(file, contents.bytes.bytes()),
            None => Ok(None),
        };
        Ok((source, signed, native_code(&contents.bytes, from)?))
    });
    match trusted {
        Ok((_, Err(reason), _)) => {
            let cwasm = shown;
            policy
                .warnings
                .push(Unused::Unlisted { cwasm, reason }.into());
        }
        Ok((source, Ok(signed), native)) => {
            code.native = Some(native);
            policy.digest = Some(source);
            if let Some(signed) = signed {
                policy.native_signed_by = Some(signed.by.clone());
                policy.note_validity(signed);
            }
        }
        Err(reason) if code.wasm.is_some() => {
            let cwasm = shown;
            let unused = match reason.code {
                Some(engine::OTHER_ENGINE) => Unused::OtherEngine { cwasm, reason },
                _ => Unused::Native { cwasm, reason },
            };
            policy.warnings.push(unused.into());
        }
        Err(reason) => {
            let reason = reason.reworded(|reason| format!("{shown} {reason}"));
            policy.code = Err(Failure::load(Kind::Unreadable, reason));
        }
    }
}

/// Whether a file of native code is root's alone and compiled by this engine, of the
/// `.wasm` with this digest. Gives back that digest, and where the code begins.
fn trusted_native(
    contents: &Contents<NativeFile>,
    digest: Option<&str>,
) -> Result<(String, usize), Message> {
    let (uid, mode) = (contents.uid, contents.mode);
    if uid != 0 {
        Err(NotRootsAlone::Owner { uid })?;
    }
    if mode & (libc::S_IWGRP | libc::S_IWOTH) != 0 {
        Err(NotRootsAlone::Writable { mode })?;
    }
    let bytes = contents.bytes.bytes();
    let (record, code) = engine::split_native(bytes)?;
    record.check(digest)?;
    Ok((record.source, bytes.len() - code.len()))
}

fn native_code(bytes: &NativeFile, from: usize) -> Result<Native, Unreadable> {
    let size = (bytes.bytes().len() - from) as u64;
    let code = bytes.code(from);
    code.map_err(|_| Unreadable::NoMemory { size })
}

fn loaded(name: String, origin: String, digest: Option<String>, code: Code) -> Policy {
    Policy {
        name,
        origin,
        digest,
        code: Ok(code),
        signed_by: None,
        native_signed_by: None,
        untimely: None,
        sidecar: Sidecar::default(),
        warnings: Vec::new(),
    }
}

fn unusable(name: String, origin: String, failure: Failure) -> Policy {
    Policy {
        name,
        origin,
        digest: None,
        code: Err(failure),
        signed_by: None,
        native_signed_by: None,
        untimely: None,
        sidecar: Sidecar::default(),
        warnings: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
