//! The component that is tested.

use std::path::Path;

use extension::{Error, Result};
use policy::folder::{Code, Policy};
use policy::limits::Limits;
use policy::native::Native;
use policy::sidecar::Sidecar;
use policy::{engine, escape};
use serde_json::Value;

use super::case::Overrides;
use crate::loading;

/// A component, compiled once for all of its cases.
pub struct Component {
    name: String,
    origin: String,
    digest: String,
    native: Native,
    limits: Limits,
}

impl Component {
    /// Reads and compiles a component. Nothing of it is run. Where a sidecar lies beside
    /// it, such as `srctl policy new` makes, its limits are the component's.
    ///
    /// # Errors
    /// The file, and why it is no policy: in the words of a boot. Or the sidecar is wrong.
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |reason: String| Error::input(format!("{} {reason}", path.display()));
        let wasm = loading::read(path)?;
        let beside = path.with_extension("json");
        let sidecar = loading::sidecar(beside.exists().then_some(beside.as_path()))?;
        let name = path.file_stem().unwrap_or_default();
        let name = escape::path(name.as_encoded_bytes());
        let target = engine::target_of(std::env::consts::ARCH);
        let native = match engine::compile(&wasm, &target) {
            Ok(native) => native,
            Err(error) => return Err(wrong(refusal(path, wasm).unwrap_or(error))),
        };
        let record =
            engine::split_native(&native).map(|(record, code)| (record, native.len() - code.len()));
        let (record, start) = record.map_err(wrong)?;
        Ok(Self {
            name,
            origin: path.display().to_string(),
            digest: record.source,
            native: Native::copied(&native[start..]).map_err(|error| wrong(error.to_string()))?,
            limits: sidecar.limits,
        })
    }

    /// The policy that it is with these settings and limits.
    pub fn policy(&self, settings: Option<Value>, limits: &Overrides, case: &Path) -> Policy {
        Policy {
            name: self.name.clone(),
            origin: format!("{} with the settings of {}", self.origin, case.display()),
            digest: Some(self.digest.clone()),
            code: Ok(Code {
                wasm: None,
                native: Some(self.native.clone()),
            }),
            signed_by: None,
            native_signed_by: None,
            sidecar: Sidecar {
                settings,
                limits: limits.over(self.limits),
                ..Sidecar::default()
            },
            warnings: Vec::new(),
        }
    }
}

/// What the judge says of a component that cannot be compiled.
fn refusal(path: &Path, wasm: Vec<u8>) -> Option<String> {
    let policy = loading::policy(path, wasm, Sidecar::default());
    let account = loading::load(&policy, true).ok()?;
    let failure = account.failures.first()?;
    Some(failure.message.clone())
}
