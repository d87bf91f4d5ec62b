//! `srctl policy pull`.

pub mod place;

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use oci::artifact::{self, Policy};
use oci::reference::ImageRef;
use place::Place;
use policy::trust::{Signed, signature_path};
use serde_json::{Value, json};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape;
use switch_root_core::file::{Links, read};
use switch_root_core::limits::fixed;
use switch_root_core::outcome::Message;
use switch_root_core::output::{AtomicFile, cannot_write};
use switch_root_core::progress::Progress;
use toolkit::policies::signature_beside;

use super::trust;
use crate::access::with_artifacts;
use crate::command::format::Format;
use crate::command::options::Registry;
use crate::command::row::{MAKER, Row};
use crate::input::shown;
use crate::outcome::Outcome;
use crate::print::{self, print, say};
use crate::table::table;

switch_root_core::outcomes! {
    /// Why a policy is pulled and not written.
    pub(crate) enum NotWritten in "srctl" {
        /// A signed policy is not replaced by one that is not.
        "SR-H34" Unsigned { file: String, reference: String, signature: String } = "{file} is signed, and what {reference} leads to now is another policy without a signature: nothing was written; have it signed and pushed again, or remove {signature} first",
        /// What was written before is not put back where the disk fails. Remove the signature.
        "SR-H35" Restore { path: String } = "cannot put back the signature {path}",
    }
}

/// `srctl policy pull`.
#[derive(Debug, Args)]
pub struct Pull {
    /// Where it is: REGISTRY/NAME:TAG, REGISTRY/NAME@DIGEST, oci:FOLDER[:NAME],
    /// oci:FOLDER:@DIGEST, oci-archive:FILE[:NAME]. With both, REGISTRY/NAME:TAG@DIGEST, the tag
    /// has to lead to the digest.
    #[arg(value_name = "REFERENCE")]
    pub reference: ImageRef,
    /// The file to write, or a folder for it, which is made where its name ends with a slash.
    /// What is there is replaced, unless it is the same, or signed and this is not [default: a
    /// file in this folder, named as it was when it was pushed].
    #[arg(long, short, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,
    /// Write nothing unless the reference leads to this digest.
    #[arg(long, value_name = "DIGEST")]
    pub expect: Option<String>,
    /// Write nothing unless one of these has signed it: a list in the format of OpenSSH's
    /// allowed_signers, or a folder with such lists (*.signers).
    #[arg(long, value_name = "FILE|DIR")]
    pub signers: Option<PathBuf>,
    #[command(flatten)]
    pub registry: Registry,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy pull",
    fine: "it was pulled",
    unfit: Some(
        "its signature is missing or not accepted (`--signers`), or a signed policy would be replaced by one without, and nothing was written",
    ),
    examples: &[
        "srctl policy pull registry.example.org/policies/keep-logs:1.0",
        "srctl policy pull oci:layout:v1 -o /etc/switch-root/policies.d/",
    ],
    ..MAKER
};

/// Runs the command.
pub fn run(command: &Pull, progress: &dyn Progress) -> Result<Outcome> {
    let accepted = command.signers.as_deref().map(trust::read).transpose()?;
    let policy = with_artifacts(&command.registry, progress, |access| {
        artifact::pull(&command.reference, command.expect.as_deref(), access)
    })?;
    let place = Place::find(
        command.output.as_deref(),
        &policy.file_name,
        &command.reference,
    )?;
    let before = OnDisk::read(&place.file)?;
    let (signature, unsigned) = before.signature_for(&policy);
    let verified = accepted
        .as_ref()
        .map(|accepted| trust::check(accepted, &place.file, &policy.wasm, signature.as_deref()));
    let refused = match &verified {
        Some(Err(reason)) => {
            let reason = reason.clone();
            Some(reason.reworded(|it| format!("{it}; nothing was written")))
        }
        _ if unsigned => Some(Message::from(NotWritten::Unsigned {
            file: shown(&place.file),
            reference: escape::message(&command.reference.text, 300),
            signature: shown(&signature_path(&place.file)),
        })),
        _ => None,
    };
    let after = OnDisk {
        wasm: Some(policy.wasm.clone()),
        signature,
    };
    let changed = refused.is_none() && before != after;
    if changed {
        write(&place.file, &before, &after)?;
    }
    if refused.is_none() {
        place.record()?;
    }
    let signed = verified.and_then(std::result::Result::ok);
    let told = Told {
        policy: &policy,
        file: &place.file,
        signed: signed.as_ref(),
        has_signature: after.signature.is_some() && refused.is_none(),
        changed,
        refused: refused.as_ref(),
    };
    told.tell(command)?;
    Ok(match &refused {
        None => Outcome::Fine,
        Some(reason) => {
            say(&format!("srctl: {reason}\n"));
            Outcome::Unfit
        }
    })
}

/// A policy and its signature on the disk.
#[derive(PartialEq)]
struct OnDisk {
    wasm: Option<Vec<u8>>,
    signature: Option<Vec<u8>>,
}

impl OnDisk {
    fn read(file: &Path) -> Result<Self> {
        let wasm = read(file, fixed::POLICY_FILE, Links::Follow)
            // What cannot be a policy is replaced all the same, unless it cannot be.
            .unwrap_or_default();
        Ok(Self {
            wasm: wasm.map(|(bytes, _)| bytes),
            signature: signature_beside(file)?,
        })
    }

    /// The signature that belongs beside a policy, and whether a signed one would be
    /// replaced by one that is not. A signature is good for as long as the policy is the
    /// same, whatever comes with it.
    fn signature_for(&self, policy: &Policy) -> (Option<Vec<u8>>, bool) {
        match &policy.signature {
            Some(text) => (Some(text.clone().into_bytes()), false),
            None if self.wasm.as_ref() == Some(&policy.wasm) => (self.signature.clone(), false),
            None => (None, self.signature.is_some()),
        }
    }
}

/// Writes the policy and its signature: both are on the disk before either takes its
/// place, and where the second cannot, the first is as it was. Where the power fails
/// between the two, the signature is that of the new policy, which a host does not accept for
/// the old one; pulling again completes it.
fn write(file: &Path, before: &OnDisk, after: &OnDisk) -> Result<()> {
    let beside = signature_path(file);
    let begin = |path: &Path, bytes: &Option<Vec<u8>>| {
        let Some(bytes) = bytes else { return Ok(None) };
        let mut output = AtomicFile::create(path)?;
        output
            .write_all(bytes)
            .map_err(|error| cannot_write(path, &error))?;
        Ok::<_, Error>(Some(output))
    };
    let signature = match before.signature == after.signature {
        true => None,
        false => begin(&beside, &after.signature)?,
    };
    let wasm = begin(file, &after.wasm)?;
    if let Some(wasm) = &wasm {
        wasm.as_file()
            .sync_all()
            .map_err(|error| cannot_write(file, &error))?;
    }
    let signs = signature.is_some();
    if let Some(signature) = signature {
        signature.commit()?;
    }
    let written = wasm.map_or(Ok(()), AtomicFile::commit);
    if let Err(error) = written {
        if signs {
            restore(&beside, &before.signature)?;
        }
        return Err(error);
    }
    let compiled = file.with_extension("cwasm");
    if before.wasm != after.wasm && compiled.exists() {
        tracing::warn!(
            "{} was compiled from what was there before, and is not used; compile the policy again with srctl policy compile",
            shown(&compiled)
        );
    }
    Ok(())
}

fn restore(beside: &Path, signature: &Option<Vec<u8>>) -> Result<()> {
    let failed = |error: &std::io::Error| {
        let path = shown(beside);
        Error::system(NotWritten::Restore { path }, error)
    };
    match signature {
        None => std::fs::remove_file(beside).map_err(|error| failed(&error)),
        Some(bytes) => {
            let mut output = AtomicFile::create(beside)?;
            output.write_all(bytes).map_err(|error| failed(&error))?;
            output.commit()
        }
    }
}

/// What came of it.
struct Told<'t> {
    policy: &'t Policy,
    file: &'t Path,
    signed: Option<&'t Signed<'t>>,
    has_signature: bool,
    changed: bool,
    refused: Option<&'t Message>,
}

impl Told<'_> {
    fn tell(&self, command: &Pull) -> Result<()> {
        let policy = self.policy;
        let beside = self.has_signature.then(|| signature_path(self.file));
        match command.registry.printing.format {
            Format::Text if self.refused.is_some() => Ok(()),
            Format::Text => {
                let signature = match (&beside, self.signed) {
                    (None, _) => "none".to_owned(),
                    (Some(path), None) => shown(path),
                    (Some(path), Some(signed)) => {
                        format!("{}, by {}", shown(path), signed.signer.principals)
                    }
                };
                let changed = if self.changed { "yes" } else { "no" };
                let row = [
                    shown(self.file),
                    policy.pinned.clone(),
                    signature,
                    changed.to_owned(),
                ];
                print(&table(["FILE", "POLICY", "SIGNATURE", "CHANGED"], &[row]))
            }
            Format::Json => {
                let mut told = json!({
                    "reference": command.reference.text,
                    "pinned": policy.pinned,
                    "digest": policy.digest,
                    "file": self.file.to_string_lossy(),
                    "wasm": policy::engine::digest(&policy.wasm),
                    "signature": beside.map(|path| path.to_string_lossy().into_owned()),
                    "exports": policy.description.exports,
                    "imports": policy.description.imports,
                    "changed": self.changed,
                });
                if command.signers.is_some() {
                    told["verified"] = self.signed.is_some().into();
                }
                if let Some(signed) = self.signed {
                    told["signed_by"] = json!(signed.signer.principals);
                    told["key"] = signed.signer.fingerprint().into();
                }
                if let Some(reason) = self.refused {
                    told["reason"] = Value::from(reason.text.as_str());
                    told["code"] = json!(reason.code);
                }
                print::json(&told)
            }
        }
    }
}
