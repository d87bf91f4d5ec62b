//! `srctl policy verify`.

use serde_json::json;
use switch_root_core::error::Result;
use toolkit::project::component;

use super::trust;
use crate::command::format::Format;
use crate::command::signature::Verify;
use crate::input::shown;
use crate::outcome::Outcome;
use crate::print::{self, print, say};

/// Runs the command.
pub fn run(command: &Verify) -> Result<Outcome> {
    let accepted = trust::read(&command.signers)?;
    let policy = component(&command.file)?;
    let wasm = super::files::read(&policy)?;
    let signature = trust::signature(&policy)?;
    let file = shown(&policy);
    let checked = trust::check(&accepted, &policy, &wasm, signature.as_deref());
    if command.printing.format == Format::Json {
        print::json(&match &checked {
            Ok(signed) => json!({
                "file": file,
                "verified": true,
                "signed_by": signed.signer.principals,
                "key": signed.signer.fingerprint(),
                "listed": signed.signer.place,
            }),
            Err(reason) => json!({"file": file, "verified": false, "reason": reason}),
        })?;
    }
    match checked {
        Ok(signed) => {
            if command.printing.format == Format::Text {
                print(&format!(
                    "{file} is signed by {} ({}, {})\n",
                    signed.signer.principals,
                    signed.signer.fingerprint(),
                    signed.signer.place
                ))?;
            }
            Ok(Outcome::Fine)
        }
        Err(reason) => {
            say(&format!("srctl: {reason}\n"));
            Ok(Outcome::Unfit)
        }
    }
}
