//! `srctl policy pull`.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use extension::artifact::{self, Policy};
use extension::output::AtomicFile;
use extension::progress::Progress;
use extension::{Error, Result};
use policy::escape;
use policy::trust::signature_path;
use serde_json::json;

use super::with_access;
use crate::command::Format;
use crate::command::policy::Pull;
use crate::outcome::Outcome;
use crate::print::{json, print};
use crate::table::table;

/// Runs the command.
pub fn run(command: &Pull, progress: &dyn Progress) -> Result<Outcome> {
    let policy = with_access(&command.registry, progress, |access| {
        artifact::pull(&command.reference, command.expect.as_deref(), access)
    })?;
    let file = target(command.output.as_deref(), &policy.file_name);
    let signature = write(&file, &policy)?;
    tell(command, &policy, &file, signature.as_deref())?;
    Ok(Outcome::Fine)
}

fn target(output: Option<&Path>, name: &str) -> PathBuf {
    match output {
        None => name.into(),
        Some(path) if path.is_dir() || path.as_os_str().as_bytes().ends_with(b"/") => {
            path.join(name)
        }
        Some(path) => path.to_owned(),
    }
}

/// Writes the policy and its signature, and gives the latter's file. Where the policy
/// has none, one of what was there before goes: it would be that of something else.
fn write(file: &Path, policy: &Policy) -> Result<Option<PathBuf>> {
    let beside = signature_path(file);
    let begin = |path: &Path, bytes: &[u8]| {
        let mut output = AtomicFile::create(path)?;
        output
            .write_all(bytes)
            .map_err(|error| Error::system(format!("cannot write {}", shown(path)), &error))?;
        Ok::<_, Error>(output)
    };
    let wasm = begin(file, &policy.wasm)?;
    let signature = match &policy.signature {
        Some(text) => Some(begin(&beside, text.as_bytes())?),
        None => None,
    };
    wasm.commit()?;
    if let Some(signature) = signature {
        signature.commit()?;
        return Ok(Some(beside));
    }
    match fs::remove_file(&beside) {
        Ok(()) => tracing::warn!(
            "removed {}: the policy that was pulled has no signature",
            shown(&beside)
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            return Err(Error::system(
                format!("cannot remove the old signature {}", shown(&beside)),
                &error,
            ));
        }
    }
    Ok(None)
}

fn tell(command: &Pull, policy: &Policy, file: &Path, signature: Option<&Path>) -> Result<()> {
    match command.registry.printing.format {
        Format::Table => {
            let signed = signature.map_or_else(|| "none".to_owned(), shown);
            let row = [shown(file), policy.pinned.clone(), signed];
            print(&table(["FILE", "POLICY", "SIGNATURE"], &[row]))
        }
        Format::Json => json(&json!({
            "reference": command.reference.text,
            "pinned": policy.pinned,
            "digest": policy.digest,
            "file": file.display().to_string(),
            "wasm": policy::engine::digest(&policy.wasm),
            "signature": signature.map(|path| path.display().to_string()),
            "exports": policy.description.exports,
            "imports": policy.description.imports,
        })),
    }
}

fn shown(path: &Path) -> String {
    escape::path(path.as_os_str().as_bytes())
}
