//! What changes between two images, or between two sets of policies.

mod entries;

use std::collections::BTreeMap;

use policy::folder::Policy;
use serde::Serialize;
use serde_json::Value;
use switch_root_core::path::Path;
use switch_root_core::plan::Deletion;
use switch_root_core::report::ExtensionReport;

use crate::plan::{Fate, Report};

pub use entries::{Entry, compared, entries};

/// The version of the schema of [`Difference`].
pub const SCHEMA: u32 = 1;

/// All that changes. What is the same is not mentioned.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What is the same in name on both sides, and what is only on one.
    pub entries: Vec<Change<Entry>>,
    /// Policies, by name.
    pub policies: Vec<Change<PolicyFacts>>,
    /// What survives, by path, where that changes or by whose word.
    pub survivors: Vec<Change<Survival>>,
    /// Extensions, by layer, whose verdicts or versions change.
    pub extensions: Vec<Change<Verdict>>,
    /// Whether the switch would be refused, and whether the rest is deleted.
    pub outcome: Vec<Change<Outcome>>,
    /// What the plans could not find out, and could not be compared.
    pub unknown: Vec<String>,
}

impl Difference {
    /// With nothing in it.
    pub fn none() -> Self {
        Self {
            schema: SCHEMA,
            entries: Vec::new(),
            policies: Vec::new(),
            survivors: Vec::new(),
            extensions: Vec::new(),
            outcome: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Whether all that is known is the same.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.policies.is_empty()
            && self.survivors.is_empty()
            && self.extensions.is_empty()
            && self.outcome.is_empty()
    }

    /// Adds what changes between two plans.
    pub fn plans(&mut self, before: &Report, after: &Report) {
        self.survivors = compare(survivals(before), survivals(after));
        self.extensions = compare(verdicts(before), verdicts(after));
        self.outcome = compare(outcome(before), outcome(after));
        self.unknown.clone_from(&before.unknown);
        for sentence in &after.unknown {
            if !self.unknown.contains(sentence) {
                self.unknown.push(sentence.clone());
            }
        }
    }

    /// Adds what changes between two sets of policies.
    pub fn sets(&mut self, before: &[Policy], after: &[Policy]) {
        self.policies = compare(policies(before), policies(after));
    }
}

/// One thing that changes: it is only after, only before, or not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change<T> {
    /// The path, or the name.
    pub name: Path,
    /// `added`, `removed` or `changed`.
    pub change: Kind,
    /// What it was.
    pub before: Option<T>,
    /// What it is.
    pub after: Option<T>,
}

/// See [`Change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It was not there.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

impl<T: PartialEq> Change<T> {
    fn of(name: &[u8], before: Option<T>, after: Option<T>) -> Option<Self> {
        let change = match (&before, &after) {
            (None, None) => return None,
            (None, Some(_)) => Kind::Added,
            (Some(_), None) => Kind::Removed,
            (Some(before), Some(after)) if before == after => return None,
            _ => Kind::Changed,
        };
        Some(Self {
            name: name.into(),
            change,
            before,
            after,
        })
    }
}

fn compare<T: PartialEq>(
    mut before: BTreeMap<Vec<u8>, T>,
    mut after: BTreeMap<Vec<u8>, T>,
) -> Vec<Change<T>> {
    let mut names: Vec<Vec<u8>> = before.keys().chain(after.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    names
        .iter()
        .filter_map(|name| Change::of(name, before.remove(name), after.remove(name)))
        .collect()
}

/// A policy.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PolicyFacts {
    /// Of the `.wasm`, where known.
    pub digest: Option<String>,
    /// Its settings.
    pub settings: Option<Value>,
    /// What it may use up.
    pub limits: Value,
    /// What its failure means.
    pub on_failure: Value,
    /// Why it cannot be used.
    pub failure: Option<String>,
}

fn policies(policies: &[Policy]) -> BTreeMap<Vec<u8>, PolicyFacts> {
    let facts = |policy: &Policy| PolicyFacts {
        digest: policy.digest.clone(),
        settings: policy.sidecar.settings.clone(),
        limits: value(&policy.sidecar.limits),
        on_failure: value(&policy.sidecar.on_failure),
        failure: policy
            .code
            .as_ref()
            .err()
            .map(|failure| failure.message.clone()),
    };
    policies
        .iter()
        .map(|policy| (policy.name.clone().into_bytes(), facts(policy)))
        .collect()
}

fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

/// How something survives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Survival {
    /// `keep` or `carry`.
    pub fate: Fate,
    /// By whose word.
    pub by: Vec<String>,
    /// Where it is bound in the new root.
    pub to: Option<Path>,
}

fn survivals(report: &Report) -> BTreeMap<Vec<u8>, Survival> {
    let survival = |what: &switch_root_core::preserved::Survivor| Survival {
        fate: match what.carried_to {
            Some(_) => Fate::Carry,
            None => Fate::Keep,
        },
        by: what.by.clone(),
        to: what.carried_to.as_ref().map(|carry| carry.target.clone()),
    };
    report
        .survivors
        .iter()
        .map(|survivor| (survivor.what.path.0.clone(), survival(&survivor.what)))
        .collect()
}

/// What is said of an extension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The sum of the verdicts; absent where the policies could not be asked.
    pub verdict: Option<switch_root_core::contract::Outcome>,
    /// Why it is incompatible: each a policy's name and its words.
    pub reasons: Vec<String>,
}

fn verdicts(report: &Report) -> BTreeMap<Vec<u8>, Verdict> {
    let verdict = |one: &ExtensionReport| Verdict {
        name: one.name.clone(),
        version: one.version.clone(),
        verdict: one.verdict,
        reasons: one
            .reasons
            .iter()
            .map(|reason| format!("{}: {}", reason.policy, reason.reason))
            .collect(),
    };
    report
        .extensions
        .iter()
        .map(|one| (one.image.clone().into_bytes(), verdict(one)))
        .collect()
}

/// What becomes of all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Why the switch would be refused.
    pub refused: Option<String>,
    /// Whether the rest is deleted.
    pub deletion: Deletion,
}

fn outcome(report: &Report) -> BTreeMap<Vec<u8>, Outcome> {
    let outcome = Outcome {
        refused: report.refused.clone(),
        deletion: report.deletion.clone(),
    };
    BTreeMap::from([(b"switch".to_vec(), outcome)])
}
