//! What can be told of a policy before it is put anywhere: what it says of itself, what it
//! asks of its host, and what it takes to load it.
//!
//! A file is read by its sections first. Then it is loaded in the judge, as at boot, but with
//! as much time as that takes; without a sidecar it gets no settings there, and no question is
//! ever put. Native code is not run.

mod limits;
mod metadata;
mod parts;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod sections;
#[cfg(not(feature = "fuzzing"))]
pub(crate) mod sections;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;

use policy::contract::{self, CONTRACT};
use policy::engine::{self, Record};
use policy::session::Account;
use policy::sidecar::Sidecar;
use serde::Serialize;
use switch_root_core::error::Result;
use switch_root_core::escape;
use switch_root_core::failure::Failure;
use switch_root_core::limits::Limits;

use crate::loading;

pub use limits::Required;
pub use metadata::{Metadata, Producer};
pub use parts::Core;
pub use sections::{Kind, Sizes};

/// The most of a text out of a record that is kept, in bytes.
const TEXT: usize = 1024;

/// What was found out about a file. All texts are escaped. Fields may be added.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The path of the file.
    pub file: String,
    /// What it is.
    pub kind: Kind,
    /// Whether a host of this release runs it; for native code, on the machine that it
    /// was compiled for.
    pub usable: bool,
    /// Why not: what a host says of it at boot, after the name of the policy.
    pub problem: Option<String>,
    /// `sha256:` and 64 digits, of the file as it is.
    pub digest: String,
    /// Bytes of the file and of its parts.
    pub size: Sizes,
    /// What it says of itself.
    pub metadata: Metadata,
    /// Which versions of the contract it was built against, and which this host speaks.
    pub contract: Contract,
    /// What it imports.
    pub imports: Vec<String>,
    /// What it exports.
    pub exports: Vec<String>,
    /// Why the sections could not be read to the end; what is above may be incomplete.
    pub unread: Option<String>,
    /// What one instance of it consists of.
    pub core: Core,
    /// What loading it showed; absent for what is not loaded: native code.
    pub loading: Option<Loaded>,
    /// What it would be loaded with, and what it needs.
    pub limits: LimitsReport,
    /// For native code: its record.
    pub native: Option<Record>,
    /// What is worth a word.
    pub warnings: Vec<String>,
}

/// Versions of the contract.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Contract {
    /// Those in the names of what the component imports and exports.
    pub built_against: BTreeSet<String>,
    /// The one of this host.
    pub spoken: &'static str,
}

/// What came of loading a policy.
#[derive(Clone, Debug, Serialize)]
pub struct Loaded {
    /// It was given the settings of a sidecar. Otherwise it was made into an instance, and
    /// nothing of it was called.
    pub configured: bool,
    /// The questions that it answers; empty where it could not be loaded.
    pub answers: Vec<&'static str>,
    /// Whether it takes settings; absent where it could not be loaded.
    pub takes_settings: Option<bool>,
    /// Fuel that it used.
    pub fuel: u64,
    /// Bytes of its largest memory at the end.
    pub memory_bytes: u64,
    /// Elements of its largest table at the end.
    pub table_elements: u64,
    /// Microseconds that compiling it took.
    pub compile_us: u64,
    /// Microseconds that all of it took.
    pub time_us: u64,
    /// How it failed.
    pub failure: Option<Failure>,
}

/// Limits.
#[derive(Clone, Debug, Serialize)]
pub struct LimitsReport {
    /// Those of the sidecar, or the defaults.
    pub given: Limits,
    /// What has to be raised for the policy to be loaded: the `limits` of a sidecar.
    /// Absent where nothing has to be, or nothing would do.
    pub required: Option<Required>,
}

/// Inspects a file. No other thread may run: the judge is forked.
///
/// # Errors
/// A file cannot be read, the sidecar is none, or there can be no judge. That the policy is
/// no good is no error.
pub fn inspect(path: &Path, settings: Option<&Path>) -> Result<Inspection> {
    let bytes = loading::read(path)?;
    let sidecar = loading::sidecar_of(path, settings)?;
    // Native code of whatever engine is told by its ending or its record.
    let is_native = path.extension().is_some_and(|ending| ending == "cwasm");
    if is_native || engine::split_native(&bytes).is_ok() {
        return Ok(native(path, &bytes, &sidecar));
    }
    component(path, bytes, sidecar)
}

fn component(path: &Path, bytes: Vec<u8>, sidecar: Sidecar) -> Result<Inspection> {
    let mut inspection = described(path, &bytes, &sidecar);
    let core = inspection.core;
    let configure = sidecar.origin.is_some();
    // What takes too long for a boot is said, and is no reason not to be told what it is.
    let deadline = sidecar.limits.deadline_ms.min(sidecar.limits.total_ms);
    let policy = loading::unhurried(&loading::policy(path, bytes, sidecar));
    let account = loading::load(&policy, configure)?;
    inspection.limits.required = limits::find(&policy, &core, &account, configure)?;
    inspection.problem = account
        .failures
        .first()
        .map(|failure| failure.message.clone());
    inspection.usable = inspection.problem.is_none();
    inspection.warnings = loading::warnings(&account);
    let took = account.loading.cost.time_us / 1000;
    if inspection.usable && took > deadline {
        inspection.warnings.push(format!(
            "loading it took {took} ms, most of them to compile it, and a boot waits {deadline} ms: compile it ahead of time with `srctl policy compile`"
        ));
    }
    inspection.loading = Some(loaded(&account, configure));
    Ok(inspection)
}

/// What can be told without running anything.
fn described(path: &Path, bytes: &[u8], sidecar: &Sidecar) -> Inspection {
    let sections = sections::read(bytes);
    let names = sections.imports.iter().chain(&sections.exports);
    let versions = names.filter_map(|name| contract::interface(name));
    Inspection {
        file: loading::shown(path),
        kind: sections.kind,
        usable: false,
        problem: None,
        digest: engine::digest(bytes),
        size: sections.size,
        contract: Contract {
            built_against: versions.map(|(_, version)| version.to_owned()).collect(),
            spoken: CONTRACT,
        },
        metadata: sections.metadata,
        imports: sections.imports,
        exports: sections.exports,
        unread: sections.problem,
        core: sections.core,
        loading: None,
        limits: LimitsReport {
            given: sidecar.limits,
            required: None,
        },
        native: None,
        warnings: Vec::new(),
    }
}

fn loaded(account: &Account, configured: bool) -> Loaded {
    let failed = !account.failures.is_empty();
    let answers = account.answers;
    let questions = [
        ("preservation", answers.preservation),
        ("compatibility", answers.compatibility),
    ];
    let cost = account.loading.cost;
    Loaded {
        // One without settings has nothing to be called with.
        configured: configured && (failed || answers.settings),
        answers: questions
            .into_iter()
            .filter_map(|(name, yes)| yes.then_some(name))
            .collect(),
        takes_settings: (!failed).then_some(answers.settings),
        fuel: cost.fuel,
        memory_bytes: cost.memory_bytes,
        table_elements: cost.table_elements,
        compile_us: account.loading.code_us,
        time_us: cost.time_us,
        failure: account.failures.first().cloned(),
    }
}

/// Only the record is looked at: native code is as good as the machine's own, and nobody
/// knows yet where this is from.
fn native(path: &Path, bytes: &[u8], sidecar: &Sidecar) -> Inspection {
    let mut inspection = described(path, &[], sidecar);
    inspection.kind = Kind::Native;
    inspection.digest = engine::digest(bytes);
    inspection.size.file = bytes.len() as u64;
    let (record, code) = match engine::split_native(bytes) {
        Ok(split) => split,
        Err(reason) => {
            inspection.kind = sections::read(bytes).kind;
            inspection.problem = Some(reason.to_string());
            return inspection;
        }
    };
    inspection.size.code = code.len() as u64;
    inspection.problem = record.check(None).err().map(|error| error.to_string());
    inspection.usable = inspection.problem.is_none();
    if inspection.usable {
        let machine = record.target.split('-').next().unwrap_or_default();
        if machine != std::env::consts::ARCH {
            inspection.warnings.push(format!(
                "it is for {}, and this machine is {}",
                escape::message(machine, TEXT),
                std::env::consts::ARCH
            ));
        }
        inspection.warnings.extend(beside(path, &record));
    }
    let text = |text: &str| escape::message(text, TEXT);
    inspection.native = Some(Record {
        source: text(&record.source),
        engine: text(&record.engine),
        target: text(&record.target),
    });
    inspection.problem = inspection.problem.map(|problem| text(&problem));
    inspection
}

/// What a host would say of the `.wasm` beside native code.
fn beside(path: &Path, record: &Record) -> Option<String> {
    let wasm = path.with_extension("wasm");
    let bytes = wasm.exists().then(|| loading::read(&wasm).ok())??;
    let reason = record.check(Some(&engine::digest(&bytes))).err()?;
    Some(format!(
        "it is not used beside {}: it {}",
        loading::shown(&wasm),
        escape::message(&reason.to_string(), TEXT)
    ))
}
