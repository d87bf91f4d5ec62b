//! What reports say of policies and extensions: the same of a machine that switched, and
//! of an image that is only looked at.

use switch_root_core::outcome;
use switch_root_core::report::{ExtensionReport, PolicyReport, Reason};

use crate::compatibility::Judged;
use crate::session::Session;

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
            let (warnings, warning_codes) = outcome::split(&account.warnings);
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
                warnings,
                warning_codes,
            }
        })
        .collect()
}

/// A verdict as the report has it.
pub fn extension(judged: &Judged) -> ExtensionReport {
    ExtensionReport {
        verdict: Some(judged.outcome),
        reasons: reasons(judged),
        ..ExtensionReport::unasked(&judged.extension)
    }
}

/// Why an extension is incompatible.
pub fn reasons(judged: &Judged) -> Vec<Reason> {
    judged
        .reasons
        .iter()
        .map(|(policy, reason)| Reason {
            policy: policy.clone(),
            code: reason.code,
            reason: reason.text.clone(),
        })
        .collect()
}
