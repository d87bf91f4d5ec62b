//! `srctl policy compile`.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::interrupt;
use switch_root_core::output::{AtomicFile, cannot_write};
use switch_root_core::progress::Progress;
use switch_root_core::text::bytes;
use toolkit::compile::{self, Compiled, Refused};

use super::files::components;
use crate::command::format::Printing;
use crate::command::row::{GROUP, Row};
use crate::outcome::Outcome;
use crate::print;
use crate::streams;
use crate::table::table;

switch_root_core::outcomes! {
    /// Why nothing is compiled.
    pub(crate) enum NotCompiled in "srctl" {
        /// A sidecar is that of one policy.
        "SR-H06" Settings { count: usize } = "--settings is for one policy, and {count} are to be compiled; compile them one by one",
        /// Each policy is written to a file of its own, and none over what it is made of.
        "SR-H07" Nameless { folder: String } = "standard input has no name for what is made of it in the folder {folder}; name a file with --output FILE",
        "SR-H08" NoFolder { folder: String } = "there is no folder {folder}; more policies than one go into a folder",
        "SR-H09" Twice { path: String } = "two policies would be written to {path}; give them other names",
        "SR-H10" Itself { path: String } = "{path} would be written over by what is made of it; name another place",
    }
}

/// `srctl policy compile`.
#[derive(Clone, Debug, Args)]
pub struct Compile {
    /// The policies, or the folders of their projects.
    #[arg(value_name = "FILE.wasm|DIR", required = true)]
    pub files: Vec<PathBuf>,
    /// The sidecar of the one policy: it is tried with these settings, within these limits
    /// [default: NAME.json beside each]. There is no deadline.
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// The target, such as x86_64-unknown-linux-musl.
    #[arg(long, value_name = "TRIPLE", conflicts_with = "arch")]
    pub target: Option<String>,
    /// The architecture of the target, as triples begin, or as images of containers have it;
    /// that of this machine where neither is given.
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<String>,
    /// Where to write: a folder, or for one policy a file. Each beside its `.wasm` where it
    /// is not given.
    #[arg(long, short, value_name = "FILE|DIR")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy compile",
    fine: "all were compiled",
    unfit: Some("no host would run one of them, and nothing was written"),
    unknown: None,
    examples: &[
        "srctl policy compile keep-logs.wasm",
        "srctl policy compile 10-a.wasm 20-b.wasm --arch aarch64 -o compiled",
    ],
    ..GROUP
};

/// Runs the command. Nothing is written before everything was compiled.
pub fn run(command: &Compile, progress: &dyn Progress) -> Result<Outcome> {
    let command = &Compile {
        files: components(&command.files)?,
        ..command.clone()
    };
    let target = compile::target(command.target.as_deref(), command.arch.as_deref())?;
    let outputs = outputs(command)?;
    if command.settings.is_some() && command.files.len() > 1 {
        let count = command.files.len();
        return Err(Error::input(NotCompiled::Settings { count }));
    }
    let mut compiled = Vec::new();
    let mut refused = Vec::new();
    for (path, output) in command.files.iter().zip(&outputs) {
        interrupt::check()?;
        match compile::compile(path, command.settings.as_deref(), &target, progress)? {
            Ok(policy) => compiled.push((path, output, policy)),
            Err(no) => refused.push(no),
        }
    }
    if !refused.is_empty() {
        report_refused(&refused, command.printing.json())?;
        return Ok(Outcome::Unfit);
    }
    for (path, output, policy) in &compiled {
        if let Some(warning) = &policy.warning {
            tracing::warn!(
                "{}: it {warning}; raise the limit in its sidecar",
                path.shown()
            );
        }
        write(output, policy)?;
    }
    if command.printing.json() {
        let all: Value = compiled
            .iter()
            .map(|(path, output, it)| {
                json!({
                    "file": path.to_string_lossy(),
                    "output": output.to_string_lossy(),
                    "record": it.record,
                    "wasm_bytes": it.wasm_size,
                    "cwasm_bytes": it.bytes.len(),
                    "warning": it.warning,
                })
            })
            .collect();
        print::json(&json!({"compiled": all, "refused": []}))?;
    } else {
        let rows: Vec<_> = compiled
            .iter()
            .map(|(_, output, it)| {
                [
                    output.shown(),
                    bytes(it.bytes.len() as u64),
                    bytes(it.wasm_size),
                    it.record.target.clone(),
                    it.record.engine.clone(),
                    it.record.source.clone(),
                ]
            })
            .collect();
        let headings = ["WROTE", "SIZE", "OF", "FOR", "ENGINE", "MADE FROM"];
        print::print(&table(headings, &rows))?;
    }
    Ok(Outcome::Fine)
}

fn report_refused(refused: &[Refused], as_json: bool) -> Result<()> {
    if as_json {
        let all: Value = refused
            .iter()
            .map(|no| json!({"file": no.file, "failure": no.failure}))
            .collect();
        return print::json(&json!({"compiled": [], "refused": all}));
    }
    let lines = refused.iter().map(|no| {
        let Refused { file, failure } = no;
        format!("{file}: no host runs it: it {}\n", failure.message)
    });
    print::print(&(lines.collect::<String>() + "nothing was written\n"))
}

/// Where each policy goes.
fn outputs(command: &Compile) -> Result<Vec<PathBuf>> {
    let beside = |path: &Path| match streams::is_input(path) {
        true => streams::product(),
        false => path.with_extension("cwasm"),
    };
    let outputs: Vec<PathBuf> = match &command.output {
        None => command.files.iter().map(|path| beside(path)).collect(),
        Some(folder) if folder.is_dir() && command.files.iter().any(|it| streams::is_input(it)) => {
            let folder = folder.shown();
            return Err(Error::input(NotCompiled::Nameless { folder }));
        }
        Some(folder) if folder.is_dir() => command
            .files
            .iter()
            .map(|path| folder.join(beside(path).file_name().unwrap_or_default()))
            .collect(),
        Some(file) if command.files.len() == 1 => vec![file.clone()],
        Some(folder) => {
            let folder = folder.shown();
            return Err(Error::input(NotCompiled::NoFolder { folder }));
        }
    };
    let mut seen = BTreeSet::new();
    for output in &outputs {
        if !seen.insert(output) {
            let path = output.shown();
            return Err(Error::input(NotCompiled::Twice { path }));
        }
        // By whatever name: the component must not be lost.
        let same = |path: &&PathBuf| {
            let real = |path: &Path| path.canonicalize().ok();
            real(path).is_some() && real(path) == real(output)
        };
        if let Some(path) = command.files.iter().find(same) {
            let path = path.shown();
            return Err(Error::input(NotCompiled::Itself { path }));
        }
    }
    Ok(outputs)
}

fn write(path: &Path, policy: &Compiled) -> Result<()> {
    let output = AtomicFile::create(path)?;
    output
        .as_file()
        // A host takes it only where nobody but its owner can write it.
        .set_permissions(Permissions::from_mode(0o644))
        .and_then(|()| output.as_file().write_all(&policy.bytes))
        .map_err(|error| cannot_write(path, &error))?;
    output.commit()
}
