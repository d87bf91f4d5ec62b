//! What reports say of policies and extensions: the same of a machine that switched, and
//! of an image that is only looked at.

use serde::Serialize;
use switch_root_core::escape;
use switch_root_core::failure::Failure;

use crate::compatibility::{Judged, Outcome};
use crate::session::Session;

/// One policy.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyReport {
    /// Its file name without the ending.
    pub name: String,
    /// The file, or `embedded`.
    pub origin: String,
    /// Of the `.wasm`, where known.
    pub digest: Option<String>,
    /// Of its sidecar: settings, limits and failure mode. Absent where it has none.
    pub sidecar_digest: Option<String>,
    /// Who signed what was run, as the trust folder names the key's owner; absent where no
    /// signatures are demanded, or it is embedded.
    pub signed_by: Option<String>,
    /// The questions that it answers.
    pub answers: Vec<&'static str>,
    /// Whether it was compiled at boot.
    pub compiled: bool,
    /// Fuel used by all calls.
    pub fuel: u64,
    /// Time that loading and all calls took.
    pub time_us: u64,
    /// How it failed, at most once for each question.
    pub failures: Vec<Failure>,
    /// What was not as it should be.
    pub warnings: Vec<String>,
}

/// How much policies looked at.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReviewReport {
    /// Directories.
    pub directories: u64,
    /// Entries of them.
    pub entries: u64,
}

/// One extension.
#[derive(Clone, Debug, Serialize)]
pub struct ExtensionReport {
    /// The file name of the layer.
    pub image: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.version`.
    pub version: String,
    /// The sum of the verdicts.
    pub verdict: Outcome,
    /// Whether its layer is part of the new root; absent where somebody else
    /// than this program mounted the layers.
    pub activated: Option<bool>,
    /// Why it is incompatible, or was not activated.
    pub reasons: Vec<Reason>,
}

/// Why an extension is incompatible, or was not activated.
#[derive(Clone, Debug, Serialize)]
pub struct Reason {
    /// The policy that objects; `host` where it is not a policy's word.
    pub policy: String,
    /// Its words.
    pub reason: String,
}

/// What a session found out about its policies.
pub fn policies(session: &Session<'_>) -> Vec<PolicyReport> {
    session
        .policies()
        .iter()
        .zip(session.accounts())
        .map(|(policy, account)| {
            let questions = [
                ("preservation", account.answers.preservation),
                ("compatibility", account.answers.compatibility),
            ];
            PolicyReport {
                name: policy.name.clone(),
                origin: policy.origin.clone(),
                digest: policy.digest.clone(),
                sidecar_digest: policy.sidecar.digest.clone(),
                signed_by: policy.signer(account.answers.compiled).map(str::to_owned),
                answers: questions
                    .into_iter()
                    .filter_map(|(name, yes)| yes.then_some(name))
                    .collect(),
                compiled: account.answers.compiled,
                fuel: account.cost.fuel,
                time_us: account.cost.time_us,
                failures: account.failures.clone(),
                warnings: account.warnings.clone(),
            }
        })
        .collect()
}

/// A verdict as the report has it.
pub fn extension(judged: &Judged) -> ExtensionReport {
    ExtensionReport {
        image: escape::message(&judged.extension.image, 4096),
        name: escape::message(&judged.extension.name, 4096),
        version: escape::message(&judged.extension.version, 4096),
        verdict: judged.outcome,
        activated: None,
        reasons: reasons(judged),
    }
}

/// Why an extension is incompatible.
pub fn reasons(judged: &Judged) -> Vec<Reason> {
    judged
        .reasons
        .iter()
        .map(|(policy, reason)| Reason {
            policy: policy.clone(),
            reason: reason.clone(),
        })
        .collect()
}
