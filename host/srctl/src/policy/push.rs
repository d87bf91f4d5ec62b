//! `srctl policy push`.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::Args;
use oci::artifact::{self, Pushed};
use oci::reference::ImageRef;
use policy::trust::signature_path;
use serde_json::json;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape;
use switch_root_core::file::{self, Links};
use switch_root_core::limits::fixed;
use switch_root_core::outcome::Message;
use switch_root_core::progress::Progress;
use toolkit::project::component;

use crate::access::with_artifacts;
use crate::command::format::Format;
use crate::command::options::Registry;
use crate::command::row::{MAKER, Row};
use crate::outcome::Outcome;
use crate::print::{json, print};

switch_root_core::outcomes! {
    /// Why a policy is not pushed.
    pub(crate) enum NotPushed in "srctl" {
        /// Check the path.
        "SR-H29" Missing { path: String } = "there is no {path}",
        /// The variable is set for builds that can be repeated.
        "SR-H30" Epoch { value: String } = "{VARIABLE} is `{value}`, which is no number of seconds since 1970",
        /// Sign the policy again.
        "SR-H31" NotText = "is not text",
    }
}

/// The variable that says when the artifact was made.
const VARIABLE: &str = "SOURCE_DATE_EPOCH";

/// `srctl policy push`.
#[derive(Debug, Args)]
pub struct Push {
    /// The policy: a component, or the folder of its project. It is checked, and never run.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub file: PathBuf,
    /// Where it goes: REGISTRY/NAME:TAG, oci:FOLDER[:NAME].
    #[arg(value_name = "REFERENCE")]
    pub reference: ImageRef,
    #[command(flatten)]
    pub registry: Registry,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy push",
    fine: "it was pushed",
    examples: &[
        "srctl policy push keep-logs.wasm registry.example.org/policies/keep-logs:1.0",
        "srctl policy push keep-logs.wasm oci:layout:v1 --format json",
    ],
    ..MAKER
};

/// Runs the command.
pub fn run(command: &Push, progress: &dyn Progress) -> Result<Outcome> {
    let file = component(&command.file)?;
    let wasm = read(&file, fixed::POLICY_FILE)?
        .ok_or_else(|| Error::new(Kind::NotFound, NotPushed::Missing { path: shown(&file) }))?;
    let beside = signature_path(&file);
    let signature = match read(&beside, fixed::SIGNATURE_FILE)? {
        Some(bytes) => Some(signature(&beside, bytes)?),
        None => None,
    };
    let name = file.file_name().unwrap_or_default();
    let name = escape::path(name.as_bytes());
    let push = artifact::Push {
        wasm: &wasm,
        name: &name,
        signature: signature.as_deref(),
        created: created()?,
    };
    let pushed = with_artifacts(&command.registry, progress, |access| {
        artifact::push(&push, &command.reference, access)
    })?;
    tell(command, &pushed, signature.is_some())?;
    Ok(Outcome::Fine)
}

fn tell(command: &Push, pushed: &Pushed, signed: bool) -> Result<()> {
    match command.registry.printing.format {
        // Alone, so that a script can take it.
        Format::Text => print(&format!("{}\n", escape::message(&pushed.pinned, 1000))),
        Format::Json => json(&json!({
            "reference": command.reference.text,
            "pinned": pushed.pinned,
            "digest": pushed.digest,
            "signed": signed,
            "exports": pushed.description.exports,
            "imports": pushed.description.imports,
        })),
    }
}

fn read(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let read = file::read(path, limit, Links::Follow)
        .map_err(|reason| Error::input(Message::from(reason).said_of(shown(path))))?;
    Ok(read.map(|(bytes, _)| bytes))
}

fn signature(path: &Path, bytes: Vec<u8>) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|_| Message::from(NotPushed::NotText));
    text.and_then(|text| {
        artifact::check_signature(&text)?;
        Ok(text)
    })
    .map_err(|reason| {
        let path = shown(path);
        Error::input(reason.reworded(|it| format!("the signature {path} {it}, or remove it")))
    })
}

/// When the artifact was made, as those say who make the same bytes again:
/// <https://reproducible-builds.org/specs/source-date-epoch/>. Else it is not told, so
/// that the same policy is the same artifact.
fn created() -> Result<u64> {
    let Some(text) = std::env::var_os(VARIABLE) else {
        return Ok(0);
    };
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.ok_or_else(|| {
        let value = escape::path(text.as_bytes());
        Error::input(NotPushed::Epoch { value })
    })
}

fn shown(path: &Path) -> String {
    escape::path(path.as_os_str().as_bytes())
}
