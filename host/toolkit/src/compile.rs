//! Compiling policies ahead of time.

use std::path::Path;

use policy::engine::{self, Record};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::failure::{Failure, Kind};
use switch_root_core::outcome::Message;
use switch_root_core::progress::Progress;

use crate::loading;

switch_root_core::outcomes! {
    /// What there is no code for.
    pub(crate) enum NoTarget in "policies" {
        /// Only Linux runs a boot program. Name a triple such as `x86_64-unknown-linux-musl`.
        "SR-T21" OtherSystem { target: String } = "cannot compile for {target}: it is no target of Linux",
    }
}

/// A policy that was compiled.
pub struct Compiled {
    /// The `.cwasm` file.
    pub bytes: Vec<u8>,
    /// What it says of its origin.
    pub record: Record,
    /// Bytes of the component.
    pub wasm_size: u64,
    /// A limit that the component met when it was loaded: its sidecar has to raise it.
    pub warning: Option<String>,
}

/// A file that no host would run.
pub struct Refused {
    /// The path of the file.
    pub file: String,
    /// What a host says of it at boot.
    pub failure: Failure,
}

/// The target triple that the command line means.
///
/// # Errors
/// This build does not compile for it; or it is no such triple.
pub fn target(triple: Option<&str>, architecture: Option<&str>) -> Result<String> {
    let triple = match (triple, architecture) {
        (Some(triple), _) => triple.to_owned(),
        (None, architecture) => engine::target_of(architecture.unwrap_or(std::env::consts::ARCH)),
    };
    // Native code for another system is well-formed, and no switch_root takes it.
    let checked = match triple.split('-').any(|part| part == "linux") {
        true => engine::check_target(&triple).map_err(Message::from),
        false => Err(NoTarget::OtherSystem {
            target: escape::message(&triple, 256),
        }
        .into()),
    };
    checked.map_err(|reason| {
        let targets = engine::architectures().into_iter().map(engine::target_of);
        let targets: Vec<String> = targets.collect();
        let targets = targets.join(", ");
        Error::input(reason.reworded(|it| format!("{it}; this srctl compiles for {targets}")))
    })?;
    Ok(triple)
}

/// Compiles a component for a target, and loads it in the judge once, with the sidecar that is
/// named or lies beside it; without one it gets no settings. No deadline ends that: to
/// compile ahead of time is what is done where a boot must not wait. No other thread may run:
/// the judge is forked.
///
/// # Errors
/// It cannot be read or compiled, its sidecar is wrong, or there can be no judge.
pub fn compile(
    path: &Path,
    settings: Option<&Path>,
    target: &str,
    progress: &dyn Progress,
) -> Result<std::result::Result<Compiled, Refused>> {
    let wasm = loading::read(path)?;
    let sidecar = loading::sidecar_of(path, settings)?;
    let configure = sidecar.origin.is_some();
    let policy = loading::unhurried(&loading::policy(path, wasm.clone(), sidecar));
    let cannot =
        |reason: Message| Error::input(reason.reworded(|it| format!("{}: {it}", policy.origin)));
    let bytes = loading::ahead(&policy.name, &wasm, target, progress);
    // What was compiled is what is tried, where this machine runs it; why it cannot be
    // compiled, the judge says in the words of a boot.
    let own = target.split('-').next() == Some(std::env::consts::ARCH);
    let trial = match &bytes {
        Ok(bytes) if own => loading::natively(&policy, bytes).map_err(cannot)?,
        _ => policy.clone(),
    };
    let mut account = loading::load(&trial, configure)?;
    let failure = account.failures.pop();
    let warning = match failure {
        // A sidecar can raise these.
        Some(failure) if matches!(failure.kind, Kind::Fuel | Kind::Memory | Kind::Limit) => {
            Some(failure.message)
        }
        Some(failure) => {
            return Ok(Err(Refused {
                file: policy.origin,
                failure,
            }));
        }
        None => None,
    };
    let bytes = bytes.map_err(cannot)?;
    let (record, _) = engine::split_native(&bytes).map_err(|error| cannot(error.into()))?;
    Ok(Ok(Compiled {
        record,
        wasm_size: wasm.len() as u64,
        warning,
        bytes,
    }))
}
