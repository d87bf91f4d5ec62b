//! What is staged of each policy, and what is left out because no boot would run it.

use std::path::Path;

use policy::engine;
use policy::folder::{self, Found, Policy};
use policy::sidecar::OnFailure;
use policy::source::Source;
use policy::trust::compiled::Compiled;
use policy::trust::signature_path;
use switch_root_core::error::Result;
use switch_root_core::failure::{Failure, Kind};
use switch_root_core::file::Unreadable;
use switch_root_core::interrupt;
use switch_root_core::limits::fixed;
use switch_root_core::outcome::{Code, Message};
use switch_root_core::progress::Progress;
use toolkit::loading;

use super::folders::{Piece, What};
use crate::as_initramfs::AsInitramfs;

switch_root_core::outcomes! {
    /// Why a policy is left out of an image.
    pub(crate) enum LeftOutFor in "srctl" {
        /// A compiled form is of one target and one release. Put the `.wasm` of the policy beside it.
        "SR-H46" Target { theirs: String, target: String } = "was compiled for {theirs}, and the image is for {target}; put its .wasm beside it",
        "SR-H47" Version = "has no .wasm, and the boot binary is of another version than its compiled form",
    }
}

/// Milliseconds that a policy has at least to be loaded: here it is compiled first, which
/// may take longer than its deadline, and which a boot is spared.
const PATIENCE: u64 = 120_000;

/// What there is to stage.
#[derive(Default)]
pub struct Gathered {
    /// Policies that a boot runs.
    pub staged: Vec<Staged>,
    /// What hides a policy.
    pub masks: Vec<Piece>,
    /// Policies that no boot would run.
    pub left_out: Vec<LeftOut>,
    /// Policies that are signed by a key which is not valid now: their names, and why.
    pub untimely: Vec<(String, String)>,
    /// Whether it matters which engine the boot binary has.
    pub needs_engine: bool,
}

/// A policy that is staged.
pub struct Staged {
    /// Its name, escaped.
    pub name: String,
    /// The file that it is read from, escaped, or `embedded`.
    pub origin: String,
    /// The digest of its `.wasm`.
    pub digest: Option<String>,
    /// Who signed it, where signatures are demanded: the compiled form that it has
    /// already, or else its `.wasm`.
    pub signed_by: Option<String>,
    /// The component.
    pub wasm: Option<Piece>,
    /// Its compiled form, where it has one.
    pub compiled: Option<Piece>,
    /// Whether that was compiled here, from the `.wasm`.
    pub compiled_here: bool,
    /// The signatures and the sidecar.
    pub beside: Vec<Piece>,
    /// Whether it has a sidecar.
    pub sidecar: bool,
    /// Whether the machine must not switch without it.
    pub needed: bool,
}

/// A policy that is not staged.
pub struct LeftOut {
    /// Its name, escaped.
    pub name: String,
    /// Its file, escaped.
    pub origin: String,
    /// Why, with its file.
    pub reason: String,
    /// The code of that.
    pub code: Option<Code>,
    /// What to do.
    pub advice: &'static str,
    /// Whether the machine must not switch without it, as its sidecar says: no image may be
    /// made that lacks it.
    pub needed: bool,
}

impl LeftOut {
    fn new(name: &str, origin: &str, failure: &Failure, needed: bool) -> Self {
        // What is wrong with a file beside it has that file's name in it.
        let reason = match failure.message.starts_with('/') {
            true => failure.message.clone(),
            false => format!("{origin} {}", failure.message),
        };
        Self {
            name: name.into(),
            origin: origin.into(),
            reason,
            code: failure.code,
            advice: match failure.kind {
                Kind::Signature => {
                    "sign it with a key that the image accepts (`srctl policy sign`)"
                }
                Kind::Settings => "repair its settings",
                Kind::Unreadable => "repair or remove the file",
                _ => "`srctl policy inspect` tells more of it",
            },
            needed,
        }
    }
}

/// Reads all policies of a machine and loads each, as at boot, for a boot binary that
/// takes what is compiled here (`fits`) or does not. No other thread may run: the judge is
/// forked.
///
/// # Errors
/// There can be no judge, or it was interrupted.
pub fn gather(machine: &AsInitramfs<'_>, target: &str, fits: bool) -> Result<Gathered> {
    let (unreadable, found) = folder::survey(machine);
    let mut gathered = Gathered::default();
    for policy in &unreadable {
        if let Err(failure) = &policy.code {
            let left = LeftOut::new(&policy.name, &policy.origin, failure, needed(policy));
            gathered.left_out.push(left);
        }
    }
    for files in &found {
        interrupt::check()?;
        let Some(policy) = &files.policy else {
            // A sidecar alone is none, and the host has said so.
            if let Some(mask) = files.wasm.as_ref().or(files.cwasm.as_ref()) {
                gathered.masks.push(mask_at(machine, mask));
            }
            continue;
        };
        if policy.origin == "embedded" && files.sidecar.is_none() {
            continue;
        }
        match take(machine, files, policy, target, fits)? {
            Ok(staged) => {
                gathered.needs_engine |= staged.wasm.is_some() || staged.compiled.is_some();
                if let Some(reason) = &policy.untimely {
                    let reason = format!("{} {reason}", policy.origin);
                    gathered.untimely.push((policy.name.clone(), reason));
                }
                gathered.staged.push(staged);
            }
            Err(failure) => {
                let left = LeftOut::new(&policy.name, &policy.origin, &failure, needed(policy));
                gathered.left_out.push(left);
            }
        }
    }
    Ok(gathered)
}

/// Whether a machine must not switch without a policy.
fn needed(policy: &Policy) -> bool {
    policy.sidecar.on_failure == OnFailure::Refuse || policy.sidecar.may_refuse
}

/// The files of one policy, after it was loaded.
fn take(
    machine: &AsInitramfs<'_>,
    files: &Found,
    policy: &Policy,
    target: &str,
    fits: bool,
) -> Result<std::result::Result<Staged, Failure>> {
    let code = match &policy.code {
        Ok(code) => code,
        Err(failure) => return Ok(Err(failure.clone())),
    };
    let usable = match files.wasm {
        Some(_) if !fits => Ok(None),
        _ => native(machine, files, policy, target),
    };
    let compiled = match usable {
        Ok(piece) => piece,
        Err(reason) => {
            return Ok(Err(Failure::load(Kind::Unreadable, reason)));
        }
    };
    let trial = trial(policy, compiled.is_some(), target);
    if let Some(failure) = try_loading(machine, trial.as_ref())? {
        return Ok(Err(failure));
    }
    let embedded = policy.origin == "embedded";
    let wasm = match (&files.wasm, &code.wasm) {
        (Some(path), Some(bytes)) if !embedded => Some(Piece::bytes(path, bytes.to_vec())),
        _ => None,
    };
    let mut staged = Staged {
        name: policy.name.clone(),
        origin: policy.origin.clone(),
        digest: policy.digest.clone(),
        signed_by: policy.signer(compiled.is_none()).map(str::to_owned),
        wasm,
        compiled,
        compiled_here: false,
        beside: Vec::new(),
        sidecar: files.sidecar.is_some(),
        needed: needed(policy),
    };
    for form in staged.wasm.iter().chain(&staged.compiled) {
        let path = signature_path(&form.path);
        // Where it is demanded the host has read it; where it is not, a broken one is no loss.
        if let Ok(Some(contents)) = machine.read(&path, fixed::SIGNATURE_FILE) {
            staged.beside.push(Piece::bytes(&path, contents.bytes));
        }
    }
    if let Some(path) = &files.sidecar {
        let piece = match machine.is_null(path) || machine.is_empty(path) {
            true => Ok(mask_at(machine, path)),
            false => read(machine, path, fixed::SIDECAR_FILE),
        };
        match piece {
            Ok(piece) => staged.beside.push(piece),
            Err(reason) => return Ok(Err(Failure::load(Kind::Settings, reason))),
        }
    }
    Ok(Ok(staged))
}

/// The compiled form that the machine has already, where the host accepts it and it is for
/// the target: it need not be made again.
fn native(
    machine: &AsInitramfs<'_>,
    files: &Found,
    policy: &Policy,
    target: &str,
) -> std::result::Result<Option<Piece>, Message> {
    let accepted = policy.code.as_ref().is_ok_and(|code| code.native.is_some());
    let Some(path) = files.cwasm.as_ref().filter(|_| accepted) else {
        return Ok(None);
    };
    let piece = read(machine, path, fixed::POLICY_FILE)?;
    let What::Bytes(bytes) = &piece.what else {
        return Ok(None);
    };
    let (record, _) = engine::split_native(bytes)?;
    if record.target == target {
        return Ok(Some(piece));
    }
    match files.wasm {
        Some(_) => Ok(None),
        None => Err(LeftOutFor::Target {
            theirs: record.target,
            target: target.to_owned(),
        }
        .into()),
    }
}

/// A policy as it is tried: compiled from its `.wasm` where it was compiled for another
/// machine; `None` where this one cannot run it in any form.
fn trial(policy: &Policy, keep_native: bool, target: &str) -> Option<Policy> {
    let mut trial = policy.clone();
    let own = target.starts_with(&format!("{}-", std::env::consts::ARCH));
    if let Ok(code) = &mut trial.code {
        if code.wasm.is_none() && !own {
            return None;
        }
        if code.wasm.is_some() && !(keep_native && own) {
            code.native = None;
        }
    }
    let limits = &mut trial.sidecar.limits;
    limits.deadline_ms = limits.deadline_ms.max(PATIENCE);
    limits.total_ms = limits.total_ms.max(PATIENCE);
    Some(trial)
}

/// Loads a policy in the policy worker with its settings. Native code of another machine's
/// files runs confined or not at all.
fn try_loading(machine: &AsInitramfs<'_>, trial: Option<&Policy>) -> Result<Option<Failure>> {
    let Some(trial) = trial else {
        return Ok(None);
    };
    let account = match machine.is_this_one() {
        true => loading::load(trial, true)?,
        false => loading::load_of_an_image(trial, true)?,
    };
    Ok(account.failures.into_iter().next())
}

fn read(machine: &AsInitramfs<'_>, path: &Path, limit: u64) -> std::result::Result<Piece, Message> {
    let shown = machine.shown(path);
    match machine.read(path, limit) {
        Ok(Some(contents)) => Ok(Piece::bytes(path, contents.bytes)),
        Ok(None) => Err(Message::from(Unreadable::Dangling).said_of(shown)),
        Err(reason) => Err(reason.said_of(shown)),
    }
}

fn mask_at(machine: &AsInitramfs<'_>, path: &Path) -> Piece {
    let what = match machine.is_null(path) {
        true => What::Null,
        false => What::Bytes(Vec::new()),
    };
    Piece {
        path: path.to_owned(),
        what,
    }
}

impl Gathered {
    /// Compiles what is not compiled, if the boot binary takes it (`fits`, as in
    /// [`gather`]). What cannot be compiled is left out, and so is what has no other form
    /// than one that does not fit.
    ///
    /// # Errors
    /// It was interrupted.
    pub fn compile(&mut self, target: &str, fits: bool, progress: &dyn Progress) -> Result<()> {
        for mut staged in std::mem::take(&mut self.staged) {
            interrupt::check()?;
            let reason = match (&staged.wasm, fits) {
                (None, false) if staged.compiled.is_some() => Some(LeftOutFor::Version.into()),
                (Some(wasm), true) if staged.compiled.is_none() => {
                    match loading::ahead(&staged.name, wasm.contents(), target, progress) {
                        Ok(bytes) => {
                            let path = wasm.path.with_extension("cwasm");
                            staged.compiled = Some(Piece::bytes(&path, bytes));
                            staged.compiled_here = true;
                            None
                        }
                        Err(reason) => Some(reason),
                    }
                }
                _ => None,
            };
            match reason {
                None => self.staged.push(staged),
                Some(reason) => {
                    let failure = Failure::load(Kind::NotAPolicy, reason);
                    let needed = staged.needed;
                    let left = LeftOut::new(&staged.name, &staged.origin, &failure, needed);
                    self.left_out.push(left);
                }
            }
        }
        Ok(())
    }

    /// The compiled forms that need no signature in the image: those that were made here,
    /// of a `.wasm` whose signature was verified.
    pub fn compiled_here(&self) -> Compiled {
        let mut compiled = Compiled::default();
        let here = self.staged.iter().filter(|staged| staged.compiled_here);
        for form in here.filter_map(|staged| staged.compiled.as_ref()) {
            compiled.add(form.contents());
        }
        compiled
    }

    /// All files.
    pub fn pieces(&self) -> Vec<&Piece> {
        let of_policies = self.staged.iter().flat_map(|staged| {
            let forms = staged.wasm.iter().chain(&staged.compiled);
            forms.chain(&staged.beside)
        });
        of_policies.chain(&self.masks).collect()
    }
}
