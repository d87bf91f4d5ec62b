//! What the failures of policies mean for the switch, as their sidecars say.

use switch_root_core::failure::{Kind, Question};

use crate::session::Session;
use crate::sidecar::OnFailure;

/// Why the switch is refused: a policy has failed that the machine must not switch
/// without. `extensions` tells whether there are any to be judged.
pub fn refusal(session: &Session<'_>, extensions: bool) -> Option<String> {
    if let Some(refusal) = unsigned(session) {
        return Some(refusal);
    }
    let questions = [
        Some(Question::Preservation),
        extensions.then_some(Question::Compatibility),
    ];
    let (policy, failure) = questions
        .into_iter()
        .flatten()
        .find_map(|question| session.failed(question, OnFailure::Refuse).next())?;
    Some(format!(
        "policy {} ({}) failed, and its sidecar says to refuse the switch then: it {}; repair the policy, or start once with the kernel parameter switch_root.policies=default",
        policy.name, policy.origin, failure.message
    ))
}

/// Why the switch is refused before any policy is asked: signatures are demanded, and one
/// is not signed as it must be. What the host itself found out counts, not what the judge
/// says.
pub fn unsigned(session: &Session<'_>) -> Option<String> {
    let mut unsigned = session.policies().iter().filter_map(|policy| {
        let failure = policy.code.as_ref().err()?;
        (failure.kind == Kind::Signature).then_some((policy, &failure.message))
    });
    let (policy, message) = unsigned.next()?;
    let more = match unsigned.count() {
        0 => String::new(),
        1 => " (and another policy is refused, too)".into(),
        count => format!(" (and {count} other policies are refused, too)"),
    };
    Some(format!(
        "policies must be signed here, and {} {message}{more}; repair the initramfs, or start once with the embedded policy alone: with the kernel parameter switch_root.policies=default",
        policy.origin
    ))
}

/// Why nothing is deleted: policies have failed that may have wanted to keep something.
pub fn nothing_deleted(session: &Session<'_>) -> Option<String> {
    let failed: Vec<String> = session
        .failed(Question::Preservation, OnFailure::Safe)
        .map(|(policy, failure)| format!("policy {} failed: it {}", policy.name, failure.message))
        .collect();
    (!failed.is_empty()).then(|| failed.join("; "))
}
