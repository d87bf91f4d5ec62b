//! `srctl extension validate`.

use std::path::{Path, PathBuf};

use clap::Args;
use oci::pull::Platform;
use policy::compatibility::Judged;
use policy::source::Disk;
use serde_json::{Value, json};
use switch_root_core::contract::Outcome as Verdict;
use switch_root_core::error::{Error, Result};
use switch_root_core::progress::Progress;
use switch_root_core::text::count;

use super::findings;
use super::record::record;
use crate::command::format::Printing;
use crate::command::options::MachineOptions;
use crate::command::row::{GROUP, Row};
use crate::facts::{self, Found, NoMachine};
use crate::judge::{self, Judgement};
use crate::outcome::Outcome;
use crate::print;
use crate::style::{Stream, Tone};
use crate::table::{short, toned_table};

/// `srctl extension validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// The folder of extensions.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// A folder of policies (NN-name.wasm, .json) that are asked beside the default policy.
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "extension validate",
    fine: "all are valid and, where the machine is named, compatible with it",
    unfit: Some("an extension is invalid or incompatible"),
    unknown: None,
    examples: &[
        "srctl extension validate extensions",
        "srctl extension validate extensions --target-version 1.9.2",
        "srctl extension validate extensions --os-release /mnt/etc/os-release --policies policies",
    ],
    ..GROUP
};

/// Runs the command.
pub fn run(command: &Validate, progress: &dyn Progress) -> Result<Outcome> {
    let (checked, found) = super::unpacked::checked(&command.folder, progress)?;
    let host = facts::facts(&command.machine, Found::default(), &Platform::default())?;
    if host.is_none() && command.policies.is_some() {
        return Err(Error::input(NoMachine::Policies));
    }
    let judgement = match &host {
        Some(host) => {
            let records = checked
                .iter()
                // What has no manifest is among the findings.
                .filter(|one| one.manifest.is_some())
                .map(|one| record(&format!("{}.sqsh", one.name), None, &one.metadata))
                .collect::<Result<Vec<_>>>()?;
            // No root directory: the policies of this machine have no say here.
            judge::ask(
                &Disk::root(Path::new("/nonexistent")),
                command.policies.as_deref(),
                host,
                &records,
            )?
        }
        None => Judgement::default(),
    };
    for warning in &judgement.warnings {
        tracing::warn!("{warning}");
    }
    if command.printing.json() {
        print::json(&json!({
            "extensions": checked.len(),
            "findings": findings::json(&found),
            "verdicts": host.is_some().then(|| verdicts(&judgement.extensions)),
        }))?;
    } else {
        let mut text = findings::text(&found, Stream::Output);
        if host.is_some() {
            text.push_str(&verdict_table(&judgement.extensions));
        } else {
            text.push_str(
                "the policies were not asked: give --os-release FILE or --target-version VERSION\n",
            );
        }
        text.push_str(&format!(
            "{}, {}\n",
            count(checked.len() as u64, "extension", "extensions"),
            count(found.len() as u64, "finding", "findings")
        ));
        print::print(&text)?;
    }
    let incompatible = judgement
        .extensions
        .iter()
        .any(|one| one.outcome == Verdict::Incompatible);
    Ok(if incompatible || findings::any_error(&found) {
        Outcome::Unfit
    } else {
        Outcome::Fine
    })
}

/// Verdicts for programs.
pub fn verdicts(judged: &[Judged]) -> Value {
    judged
        .iter()
        .map(|one| {
            let reasons: Value = one
                .reasons
                .iter()
                .map(|(policy, reason)| {
                    json!({"policy": policy, "code": reason.code, "reason": reason.text})
                })
                .collect();
            json!({
                "image": one.extension.image,
                "name": one.extension.name,
                "version": one.extension.version,
                "verdict": one.outcome,
                "reasons": reasons,
            })
        })
        .collect()
}

fn verdict_table(judged: &[Judged]) -> String {
    let rows: Vec<_> = judged
        .iter()
        .map(|one| {
            [
                short(&one.extension.image),
                one.extension.name.clone(),
                one.extension.version.clone(),
                verdict(one.outcome).to_owned(),
                reasons(one),
            ]
        })
        .collect();
    let headings = ["LAYER", "NAME", "VERSION", "VERDICT", "REASON"];
    toned_table(headings, &rows, |column, cell| match column {
        3 => verdict_tone(cell),
        _ => None,
    })
}

/// The tone of a verdict's word.
pub fn verdict_tone(word: &str) -> Option<Tone> {
    let of = |outcome| word == verdict(outcome);
    match () {
        () if of(Verdict::Compatible) => Some(Tone::Good),
        () if of(Verdict::Incompatible) => Some(Tone::Bad),
        () => None,
    }
}

/// A verdict in a word.
pub fn verdict(outcome: Verdict) -> &'static str {
    match outcome {
        Verdict::Compatible => "compatible",
        Verdict::Incompatible => "incompatible",
        Verdict::Unjudged => "unjudged",
    }
}

/// The reasons in one line.
pub fn reasons(judged: &Judged) -> String {
    let reasons = judged.reasons.iter();
    let reasons = reasons.map(|(policy, reason)| format!("{policy}: {reason}"));
    reasons.collect::<Vec<_>>().join("; ")
}
