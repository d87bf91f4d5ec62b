//! `srctl policy verify`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use switch_root_core::error::Result;
use switch_root_core::locations::SIGNERS;
use toolkit::project::component;

use super::trust;
use crate::command::format::{Format, Printing};
use crate::command::row::{GROUP, Row};
use crate::input::shown;
use crate::outcome::Outcome;
use crate::print::{self, print, say};

/// `srctl policy verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The policy, or the folder of its project. Its signature is FILE.wasm.sig, beside it.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub file: PathBuf,
    /// Whose signatures are accepted: a list in the format of OpenSSH's allowed_signers, or a
    /// folder with such lists (*.signers).
    #[arg(long, value_name = "FILE|DIR", default_value = SIGNERS)]
    pub signers: PathBuf,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy verify",
    fine: "its signature is accepted",
    unfit: Some("its signature is missing or not accepted"),
    unknown: None,
    examples: &[
        "srctl policy verify keep-logs.wasm --signers /etc/switch-root/trust",
        "srctl policy verify keep-logs.wasm --signers release.signers --format json",
    ],
    ..GROUP
};

/// Runs the command.
pub fn run(command: &Verify) -> Result<Outcome> {
    let accepted = trust::of_machine_or(&command.signers)?;
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
            Err(reason) => json!({
                "file": file,
                "verified": false,
                "reason": reason.text,
                "code": reason.code,
            }),
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
