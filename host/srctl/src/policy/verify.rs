//! `srctl policy verify`.

use extension::Result;
use serde_json::json;

use super::trust;
use crate::command::Format;
use crate::command::signature::Verify;
use crate::input::shown;
use crate::outcome::Outcome;
use crate::print::{self, print, say};

/// Runs the command.
pub fn run(command: &Verify) -> Result<Outcome> {
    let accepted = trust::read(&command.signers)?;
    let wasm = super::read(&command.file)?;
    let signature = trust::signature(&command.file)?;
    let file = shown(&command.file);
    let checked = trust::check(&accepted, &command.file, &wasm, signature.as_deref());
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
            if command.printing.format == Format::Table {
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
