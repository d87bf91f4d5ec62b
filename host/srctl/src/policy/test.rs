//! `srctl policy test`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value, json};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::interrupt;
use switch_root_core::output::{AtomicFile, cannot_write};
use switch_root_core::progress::Progress;
use switch_root_core::reading::cannot_read;
use toolkit::cases::{self, Component, Outcome as CaseOutcome, Verdict};
use toolkit::project;

use crate::command::format::Printing;
use crate::command::row::Row;
use crate::outcome::Outcome;
use crate::print;
use crate::style::{Stream, Tone, paint};

switch_root_core::outcomes! {
    /// Why cases are not run.
    pub(crate) enum NotTested in "srctl" {
        /// Without a filter all cases are run.
        "SR-H17" Filter { text: String } = "no case has `{text}` in its path; --filter takes a part of it",
        /// Which, and why, is in the lines before.
        "SR-H18" Unasked = "not every case could be asked",
        "SR-H19" NoCases { component: String } = "there is no folder `cases` beside {component}; make it, with a case in it, or name one with --cases PATH",
        "SR-H20" Report { path: String, error: String } = "cannot write {path}: {error}",
    }
}

/// `srctl policy test`.
#[derive(Debug, Args)]
pub struct Test {
    /// Components (.wasm), or folders of policies as `srctl policy new` makes them.
    #[arg(value_name = "PATH", default_value = ".")]
    pub paths: Vec<PathBuf>,
    /// A case, or a folder of cases [default: the folder `cases` beside each component].
    #[arg(long, value_name = "PATH")]
    pub cases: Vec<PathBuf>,
    /// Run only the cases whose path has this text in it.
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Write what the policy answers into the cases, as what is expected.
    #[arg(long)]
    pub bless: bool,
    /// Write the results there, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy test",
    fine: "all cases passed",
    failed: "something failed, or a case could not be asked; what, is printed",
    unfit: Some("a case failed"),
    unknown: None,
    examples: &[
        "srctl policy test keep-logs",
        "srctl policy test keep-logs.wasm --cases cases --filter empty --junit results.xml",
    ],
};

/// Runs the command.
pub fn run(command: &Test, progress: &dyn Progress) -> Result<Outcome> {
    let began = Instant::now();
    let mut suites = Vec::new();
    for path in &command.paths {
        let (component, cases) = find(path, &command.cases)?;
        suites.push((component, cases));
    }
    let junit = command
        .junit
        .as_deref()
        .map(AtomicFile::create)
        .transpose()?;
    let mut results = Vec::new();
    for (path, cases) in suites {
        let component = Component::read(&path, progress)?;
        let mut outcomes = Vec::new();
        for case in cases {
            let wanted = |text: &String| case.shown().contains(text.as_str());
            if !command.filter.as_ref().is_none_or(wanted) {
                continue;
            }
            interrupt::check()?;
            let outcome = cases::run(&component, &case, command.bless);
            if !command.printing.json() {
                print::print(&line(&outcome))?;
            }
            outcomes.push(outcome);
        }
        results.push((path.shown(), outcomes));
    }
    let all: Vec<&CaseOutcome> = results.iter().flat_map(|(_, outcomes)| outcomes).collect();
    if all.is_empty() {
        let text = command.filter.clone().unwrap_or_default();
        return Err(Error::input(NotTested::Filter { text }));
    }
    if command.printing.json() {
        print::json(&as_json(&results))?;
    } else {
        print::print(&summary(&all, began.elapsed()))?;
    }
    if let (Some(output), Some(path)) = (junit, &command.junit) {
        let report = cases::junit(&results).map_err(|error| {
            Error::input(NotTested::Report {
                path: path.shown(),
                error: error.to_string(),
            })
        })?;
        output
            .as_file()
            .write_all(report.as_bytes())
            .map_err(|error| cannot_write(path, &error))?;
        output.commit()?;
    }
    if all
        .iter()
        .any(|outcome| matches!(outcome.verdict, Verdict::Unusable(_)))
    {
        return Err(Error::input(NotTested::Unasked));
    }
    Ok(if all.iter().any(|outcome| failed(outcome)) {
        Outcome::Unfit
    } else {
        Outcome::Fine
    })
}

/// The component that a path names, and its cases.
fn find(path: &Path, cases: &[PathBuf]) -> Result<(PathBuf, Vec<PathBuf>)> {
    std::fs::metadata(path).map_err(|error| cannot_read(path, &error))?;
    let component = project::component(path)?;
    let own;
    let folders = if cases.is_empty() {
        own = [component.parent().unwrap_or(Path::new("")).join("cases")];
        if !own[0].exists() {
            let component = component.shown();
            return Err(Error::input(NotTested::NoCases { component }));
        }
        &own[..]
    } else {
        cases
    };
    let mut found = Vec::new();
    for folder in folders {
        found.extend(cases::find(folder)?);
    }
    Ok((component, found))
}

fn failed(outcome: &CaseOutcome) -> bool {
    matches!(outcome.verdict, Verdict::Failed(_) | Verdict::Unusable(_))
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "ok",
        Verdict::Failed(_) => "FAILED",
        Verdict::Blessed => "blessed",
        Verdict::Unchanged => "unchanged",
        Verdict::Unusable(_) => "ERROR",
    }
}

fn tone(failed: bool) -> Tone {
    if failed { Tone::Bad } else { Tone::Good }
}

/// What is wrong, line by line.
fn details(verdict: &Verdict) -> Vec<String> {
    match verdict {
        Verdict::Failed(lines) => lines.clone(),
        Verdict::Unusable(error) => vec![error.to_string()],
        Verdict::Passed | Verdict::Blessed | Verdict::Unchanged => Vec::new(),
    }
}

fn line(outcome: &CaseOutcome) -> String {
    let mut text = format!(
        "case {} ... {}\n",
        escape::message(&outcome.name, 4096),
        paint(
            Stream::Output,
            tone(failed(outcome)),
            word(&outcome.verdict)
        )
    );
    for detail in details(&outcome.verdict) {
        text.push_str(&format!("    {detail}\n"));
    }
    if !outcome.log.is_empty() {
        text.push_str("    what it logged:\n");
    }
    for message in &outcome.log {
        text.push_str(&format!("      {}: {}\n", message.level, message.message));
    }
    text
}

/// The end, with the time that all of it took: compiling the components, too.
fn summary(outcomes: &[&CaseOutcome], time: Duration) -> String {
    let failed = outcomes.iter().filter(|outcome| failed(outcome)).count();
    format!(
        "\ntest result: {}. {} passed; {failed} failed; finished in {:.2} s\n",
        paint(
            Stream::Output,
            tone(failed > 0),
            if failed == 0 { "ok" } else { "FAILED" }
        ),
        outcomes.len() - failed,
        time.as_secs_f64()
    )
}

fn as_json(results: &[(String, Vec<CaseOutcome>)]) -> Value {
    let cases = |outcomes: &[CaseOutcome]| -> Value {
        outcomes
            .iter()
            .map(|outcome| {
                json!({
                    "case": outcome.name,
                    "result": word(&outcome.verdict).to_lowercase(),
                    "details": details(&outcome.verdict),
                    "log": outcome.log,
                    "seconds": outcome.time.as_secs_f64(),
                })
            })
            .collect()
    };
    results
        .iter()
        .map(|(component, outcomes)| json!({"component": component, "cases": cases(outcomes)}))
        .collect()
}
