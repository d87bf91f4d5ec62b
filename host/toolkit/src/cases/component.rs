//! The component that is tested.

use std::path::Path;

use policy::folder::{Code, Policy};
use policy::native::Native;
use policy::sidecar::Sidecar;
use policy::{component, engine};
use serde_json::Value;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::failure::Failure;
use switch_root_core::file;
use switch_root_core::limits::Limits;
use switch_root_core::outcome::Message;
use switch_root_core::progress::Progress;

use super::case::Overrides;
use crate::loading;

/// A component, compiled once for all of its cases.
pub struct Component {
    name: String,
    origin: String,
    digest: String,
    /// Or how a boot would refuse to load it.
    native: std::result::Result<Native, Failure>,
    limits: Limits,
}

impl Component {
    /// Reads and compiles a component. Nothing of it is run. Where a sidecar lies beside
    /// it, such as `srctl policy new` makes, its limits are the component's.
    ///
    /// # Errors
    /// The file, and why it is no policy: in the words of a boot. Or the sidecar is wrong.
    pub fn read(path: &Path, progress: &dyn Progress) -> Result<Self> {
        let wrong = |reason: Message| Error::input(reason.said_of(path.shown()));
        let wasm = loading::read(path)?;
        let sidecar = loading::sidecar_of(path, None)?;
        let name = path.file_stem().unwrap_or_default();
        let name = escape::path(name.as_encoded_bytes());
        file::check_component(&wasm).map_err(|reason| wrong(reason.into()))?;
        let digest = engine::digest(&wasm);
        let native = match component::check_names(&wasm) {
            Ok(()) => Ok(compile(path, wasm, progress).map_err(wrong)?),
            // What a boot says of it can be what a case expects.
            Err(failure) => Err(failure),
        };
        Ok(Self {
            name,
            origin: path.shown(),
            digest,
            native,
            limits: sidecar.limits,
        })
    }

    /// The policy that it is with these settings and limits.
    pub fn policy(&self, settings: Option<Value>, limits: &Overrides, case: &Path) -> Policy {
        Policy {
            name: self.name.clone(),
            origin: format!("{} with the settings of {}", self.origin, case.shown()),
            digest: Some(self.digest.clone()),
            code: self.native.clone().map(|native| Code {
                wasm: None,
                native: Some(native),
            }),
            signed_by: None,
            native_signed_by: None,
            untimely: None,
            sidecar: Sidecar {
                settings,
                limits: limits.over(self.limits),
                ..Sidecar::default()
            },
            warnings: Vec::new(),
        }
    }
}

fn compile(
    path: &Path,
    wasm: Vec<u8>,
    progress: &dyn Progress,
) -> std::result::Result<Native, Message> {
    let target = engine::target_of(std::env::consts::ARCH);
    let file = match loading::ahead(&loading::shown(path), &wasm, &target, progress) {
        Ok(file) => file,
        Err(error) => return Err(refusal(path, wasm).unwrap_or(error)),
    };
    loading::native(&file)
}

/// What the judge says of a component that cannot be compiled.
fn refusal(path: &Path, wasm: Vec<u8>) -> Option<Message> {
    let policy = loading::policy(path, wasm, Sidecar::default());
    let account = loading::load(&policy, true).ok()?;
    let failure = account.failures.first()?;
    Some(failure.clone().into())
}
