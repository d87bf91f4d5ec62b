//! What the failures of policies mean for the switch, as their sidecars say.

use switch_root_core::failure::{Kind, Question};
use switch_root_core::outcome::Message;

use crate::session::Session;
use crate::sidecar::OnFailure;

switch_root_core::outcomes! {
    /// What the failure of a policy means.
    pub enum Failed in "policy-files" {
        /// What the failure is stands in this section or one of the next. The report gives it as the
        /// reason for deleting nothing.
        "SR-P01" Undeleted { name: String, failure: String } = "policy {name} failed: it {failure}",
        /// Refused; nothing was changed.
        "SR-P02" Refused { name: String, file: String, failure: String } = "policy {name} ({file}) failed, and its sidecar says to refuse the switch then: it {failure}; repair the policy, or start once with the kernel parameter switch_root.policies=default",
    }
}

switch_root_core::outcomes! {
    /// That a policy is not signed as it must be.
    pub enum Unsigned in "signatures" {
        /// The reason is one of the next; where more policies are refused it is followed by `(and
        /// another policy is refused, too)`, or by how many. `srctl policy verify` says the same
        /// where images are made.
        "SR-S01" Policy { file: String, reason: String, more: String } = "policies must be signed here, and {file} {reason}{more}; repair the initramfs, or start once with the embedded policy alone: with the kernel parameter switch_root.policies=default",
    }
}

/// What the failures of a session's policies come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consequences {
    /// Why the switch is refused whatever policies answer: see [`unsigned`].
    pub unsigned: Option<Message>,
    /// Why the switch is refused: a policy that the machine must not switch without has failed
    /// in saying what survives.
    pub preservation: Option<Message>,
    /// The same in judging extensions. Counts where there are any.
    pub compatibility: Option<Message>,
    /// Why nothing is deleted.
    pub nothing_deleted: Option<Message>,
}

/// What has come of the failures until now.
pub fn of(session: &Session<'_>) -> Consequences {
    Consequences {
        unsigned: unsigned(session).map(Message::from),
        preservation: refusal(session, Question::Preservation),
        compatibility: refusal(session, Question::Compatibility),
        nothing_deleted: nothing_deleted(session),
    }
}

impl Consequences {
    /// Why the switch is refused. `extensions` tells whether there are any to be judged.
    pub fn refusal(&self, extensions: bool) -> Option<&Message> {
        let compatibility = self.compatibility.as_ref().filter(|_| extensions);
        let failed = self.preservation.as_ref().or(compatibility);
        self.unsigned.as_ref().or(failed)
    }
}

fn refusal(session: &Session<'_>, question: Question) -> Option<Message> {
    let (policy, failure) = session.failed(question, OnFailure::Refuse).next()?;
    let refused = Failed::Refused {
        name: policy.name.clone(),
        file: policy.origin.clone(),
        failure: failure.message.clone(),
    };
    Some(refused.into())
}

/// Why the switch is refused before any policy is asked: signatures are demanded, and one
/// is not signed as it must be. What the host itself found out counts, not what the judge
/// says.
pub fn unsigned(session: &Session<'_>) -> Option<Unsigned> {
    let mut unsigned = session.policies().iter().filter_map(|policy| {
        let failure = policy.code.as_ref().err()?;
        (failure.kind == Kind::Signature).then_some((policy, failure))
    });
    let (policy, failure) = unsigned.next()?;
    let more = match unsigned.count() {
        0 => String::new(),
        1 => " (and another policy is refused, too)".into(),
        count => format!(" (and {count} other policies are refused, too)"),
    };
    Some(Unsigned::Policy {
        file: policy.origin.clone(),
        reason: failure.message.clone(),
        more,
    })
}

/// Why nothing is deleted: policies have failed that may have wanted to keep something.
fn nothing_deleted(session: &Session<'_>) -> Option<Message> {
    let failed = session.failed(Question::Preservation, OnFailure::Safe);
    let failed = failed.map(|(policy, failure)| {
        Message::from(Failed::Undeleted {
            name: policy.name.clone(),
            failure: failure.message.clone(),
        })
    });
    failed.reduce(|all, one| all.reworded(|all| format!("{all}; {one}")))
}
