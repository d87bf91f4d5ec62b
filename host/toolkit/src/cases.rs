//! Tests of policies: declarative cases, each a file that says what a policy is asked and
//! what it has to answer.
//!
//! Each is asked through the judge, with the sandbox and the limits of a boot, and more
//! than once: two answers to the same question are a failure, too.

mod ask;
pub(crate) mod bless;
pub(crate) mod case;
mod component;
mod difference;
mod form;
pub(crate) mod initramfs;
mod junit;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ask::Repeated;
use case::NoCase;
use policy::session::Message;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::reading::cannot_read;

use crate::answers::Answers;

pub use case::Case;
pub use component::Component;
pub use junit::report as junit;

switch_root_core::outcomes! {
    /// Why there are no cases to run.
    pub(crate) enum NotFound in "policies" {
        /// Name a folder with cases with `--cases`, or write one.
        "SR-T20" NoCases { folder: String } = "{folder} has no cases; put one there, a file that ends in .yaml, .yml or .toml",
    }
}

/// What became of one case.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The path of its file, as it was found.
    pub name: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What the policy logged, where the case failed.
    pub log: Vec<Message>,
    /// How long it took.
    pub time: Duration,
}

/// How a case ended.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Everything is as expected.
    Passed,
    /// In what it is not.
    Failed(Vec<String>),
    /// The answers were written into it.
    Blessed,
    /// It was to be blessed, and said the same already.
    Unchanged,
    /// It is no case, or cannot be asked.
    Unusable(Error),
}

/// Finds the cases of a folder, or takes a file for one, sorted by path.
///
/// # Errors
/// There is no such path, or no case in it.
pub fn find(path: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error| cannot_read(path, &error);
    if std::fs::metadata(path).map_err(failed)?.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let mut cases = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().unwrap_or_default();
        if ["yaml", "yml", "toml"].iter().any(|known| ending == *known) {
            cases.push(path);
        }
    }
    if cases.is_empty() {
        return Err(Error::input(NotFound::NoCases {
            folder: path.shown(),
        }));
    }
    cases.sort();
    Ok(cases)
}

/// Runs one case; with `bless`, writes the answers into it. No other thread may run.
pub fn run(component: &Component, file: &Path, bless: bool) -> Outcome {
    let started = Instant::now();
    let mut log = Vec::new();
    let verdict = decide(component, file, bless, &mut log).unwrap_or_else(Verdict::Unusable);
    // As of other tests, what was said on the way matters where the end is bad.
    if !matches!(verdict, Verdict::Failed(_)) {
        log.clear();
    }
    Outcome {
        name: file.shown(),
        verdict,
        log,
        time: started.elapsed(),
    }
}

fn decide(
    component: &Component,
    file: &Path,
    bless: bool,
    log: &mut Vec<Message>,
) -> Result<Verdict> {
    let text = case::read_text(file)?;
    let case = case::parse(&text, file)?;
    let initramfs = initramfs::of(&case, file)?;
    check(&case, initramfs.is_some(), file)?;
    let questions = ask::questions(&case, initramfs);
    let policy = component.policy(case.settings.clone(), &case.limits, file);
    let Repeated {
        first,
        log: said,
        again,
        elsewhere,
    } = ask::ask(&policy, &questions)?;
    *log = said;
    for (other, judge) in [(again, "the same judge"), (elsewhere, "another judge")] {
        let mut lines = difference::lines(&first, &other);
        if !lines.is_empty() {
            lines.insert(
                0,
                format!(
                    "it is not deterministic: asked the same again in {judge}, it gives another answer"
                ),
            );
            return Ok(Verdict::Failed(lines));
        }
    }
    if bless {
        return Ok(if bless::bless(file, &text, &first)? {
            Verdict::Blessed
        } else {
            Verdict::Unchanged
        });
    }
    let Some(expected) = case.expect else {
        let mut lines = vec!["it has no `expect`; --bless would write these answers".to_owned()];
        lines.extend(difference::lines(&Answers::default(), &first));
        return Ok(Verdict::Failed(lines));
    };
    let lines = difference::lines(&expected, &first);
    Ok(if lines.is_empty() {
        Verdict::Passed
    } else {
        Verdict::Failed(lines)
    })
}

/// What can only be a mistake.
fn check(case: &Case, initramfs: bool, file: &Path) -> Result<()> {
    let wrong = |reason: NoCase| Err(case::refused(file, reason));
    let expect = case.expect.as_ref();
    let layers: Vec<&str> = case
        .extensions
        .iter()
        .flatten()
        .map(|layer| layer.image.as_str())
        .collect();
    if !initramfs && expect.is_some_and(|expect| !expect.decisions.is_empty()) {
        return wrong(NoCase::NothingToDecide);
    }
    if layers.is_empty() && expect.is_some_and(|expect| !expect.verdicts.is_empty()) {
        return wrong(NoCase::NoExtensions);
    }
    let mut sorted = layers.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != layers.len() {
        return wrong(NoCase::SameImage);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
