//! `srctl policy sign`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use policy::description;
use policy::trust::signature_path;
use serde_json::json;
use switch_root_core::error::{Error, Result};
use switch_root_core::output::AtomicFile;
use toolkit::{project, sign};

use crate::command::format::{Format, Printing};
use crate::command::row::{MAKER, Row};
use crate::input::{read_up_to, shown};
use crate::outcome::Outcome;
use crate::print;
use crate::streams;

switch_root_core::outcomes! {
    /// Why there is no signature.
    pub(crate) enum NotSigned in "srctl" {
        /// Run it on a terminal, or let an agent that has the key sign.
        "SR-H27" Passphrase { key: String } = "cannot sign with {key}: it needs its passphrase, and there is no terminal to ask for it (let an agent sign: `ssh-keygen -Y sign -n switch-root-policy -f {key}.pub FILE.wasm`)",
        /// A boot would refuse it: build the policy again, as `srctl policy build` does.
        "SR-H82" Refused { file: String, reason: String } = "{file} is not signed: it {reason}",
        /// The system's own words follow.
        "SR-H28" NotWritten = "cannot write the signature",
    }
}

/// `srctl policy sign`.
#[derive(Debug, Args)]
pub struct Sign {
    /// The policy: a component that imports nothing but the contract, and answers a question.
    /// It is checked, and never run. Or the folder of its project.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub file: PathBuf,
    /// A private ed25519 key in OpenSSH's format.
    #[arg(long, value_name = "KEYFILE")]
    pub key: PathBuf,
    /// The signature to write [default: FILE.wasm.sig].
    #[arg(long, short, value_name = "OUT")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy sign",
    fine: "the signature was written",
    examples: &[
        "srctl policy sign keep-logs.wasm --key ~/.ssh/id_ed25519",
        "srctl policy sign keep-logs.wasm --key release.key -o signatures/keep-logs.wasm.sig",
    ],
    ..MAKER
};

/// The largest key that is read, in bytes.
const KEY: u64 = 64 << 10;

/// Runs the command. What is no policy is not signed.
pub fn run(command: &Sign) -> Result<Outcome> {
    let policy = project::component(&command.file)?;
    let file = shown(&policy);
    let wasm = super::files::read(&policy)?;
    // Nothing of it is run: who signs has read what they sign, and may have no time for it.
    description::describe(&wasm)
        .and_then(|component| component.check_contract())
        .map_err(|reason| {
            Error::input(NotSigned::Refused {
                file: file.clone(),
                reason,
            })
        })?;
    let name = shown(&command.key);
    let key = read_up_to(&command.key, KEY)?;
    let key = sign::read_key(&name, &key, &mut || ask(&name))?;
    let path = match &command.output {
        Some(path) => path.clone(),
        None if streams::is_input(&command.file) => streams::product(),
        None => signature_path(&policy),
    };
    let mut output = AtomicFile::create(&path)?;
    output
        .write_all(sign::sign(&key, &wasm)?.as_bytes())
        .map_err(|error| Error::of_copy(NotSigned::NotWritten, &error))?;
    output.commit()?;
    match command.printing.format {
        Format::Json => print::json(&json!({"file": file, "signature": shown(&path)}))?,
        Format::Text => print::print(&format!("wrote {}\n", shown(&path)))?,
    }
    Ok(Outcome::Fine)
}

/// Asks for the passphrase of a key, on the terminal and nowhere else.
fn ask(key: &str) -> Result<String> {
    rpassword::prompt_password(format!("Passphrase of {key}: ")).map_err(|error| {
        let key = key.to_owned();
        Error::system(NotSigned::Passphrase { key }, &error)
    })
}
