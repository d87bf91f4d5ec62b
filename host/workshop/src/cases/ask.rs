//! Asking one policy what a case asks, as at boot: in the judge, with its limits.

use extension::{Error, Kind, Result};
use policy::compatibility::{self, NoReview};
use policy::folder::Policy;
use policy::preservation;
use policy::session::Session;
use policy::{Decision, Entry, Extension, HostFacts, Question, Verdict, escape, extensions};

use super::case::{Answers, Case, Opinion, Say};
use super::initramfs::Initramfs;

/// The init that nothing may be carried over, where nobody says another one.
const INIT: &[u8] = b"/sbin/init";

/// What a policy is asked.
pub struct Questions {
    initramfs: Option<Initramfs>,
    extensions: Vec<Extension>,
    host: HostFacts,
}

impl Questions {
    /// Those of a case.
    pub fn of(case: &Case, initramfs: Option<Initramfs>) -> Self {
        let layers = case.extensions.iter().flatten();
        Self {
            initramfs,
            extensions: layers
                .map(|layer| {
                    let metadata = layer.metadata.clone().into();
                    extensions::to_write(&layer.image, layer.digest.as_deref(), &metadata)
                })
                .collect(),
            host: case.host.facts(),
        }
    }
}

/// The answers to the same questions, three times: twice from one judge, and once from
/// another one. A policy keeps nothing from one call to the next, so that all of them
/// are the same.
pub struct Thrice {
    /// The first answers.
    pub first: Answers,
    /// The second answers of the same judge.
    pub again: Answers,
    /// Those of another judge.
    pub elsewhere: Answers,
}

/// Asks the policy. No other thread may run: judges are forked.
///
/// # Errors
/// It cannot be asked at all. That it fails is an answer.
pub fn ask(policy: &Policy, questions: &Questions) -> Result<Thrice> {
    // What it logs is told once at boot, and would be told three times here.
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), || {
        let policies = std::slice::from_ref(policy);
        let mut session = Session::new(policies);
        let first = round(&mut session, questions)?;
        let again = round(&mut session, questions)?;
        let mut other = Session::new(policies);
        let elsewhere = round(&mut other, questions)?;
        Ok(Thrice {
            first,
            again,
            elsewhere,
        })
    })
}

fn round(session: &mut Session<'_>, questions: &Questions) -> Result<Answers> {
    let mut answers = Answers::default();
    // In the order of the boot.
    if !questions.extensions.is_empty() {
        let file = extensions::render(&questions.extensions);
        let judged =
            compatibility::review(session, &questions.host, file.as_bytes()).map_err(|reason| {
                match reason {
                    NoReview::File(reason) => {
                        Error::input(format!("the extensions cannot be understood: {reason}"))
                    }
                    NoReview::Judge(reason) => cannot_be_asked(reason),
                }
            })?;
        for one in judged {
            for (_, verdict) in one.verdicts {
                let opinion = match verdict {
                    Verdict::Compatible => Opinion::Compatible,
                    Verdict::Incompatible(reason) => Opinion::Incompatible(reason),
                    Verdict::Abstain => Opinion::Abstain,
                };
                answers
                    .verdicts
                    .insert(one.extension.image.clone(), opinion);
            }
        }
    }
    if let Some(initramfs) = &questions.initramfs {
        let mut list = |directory: &[u8]| initramfs.list(directory);
        let mut watch = |_, directory: &[u8], entries: &[Entry], decisions: &[Decision]| {
            for (entry, decision) in entries.iter().zip(decisions) {
                let say = match decision {
                    Decision::Delete => continue,
                    Decision::Keep => Say::Keep,
                    Decision::Carry(target) => Say::Carry(escape::path(target)),
                    Decision::Descend => Say::Descend,
                };
                let path = policy::answer::join(directory, &entry.name);
                answers.decisions.insert(escape::path(&path), say);
            }
        };
        let inits = [INIT.to_vec()];
        preservation::review_watched(session, &mut list, &inits, &mut watch)
            .map_err(cannot_be_asked)?;
    }
    let account = &session.accounts()[0];
    answers.errors.clone_from(&account.failures);
    if account.failure(Question::Preservation).is_some() {
        // They do not count at boot either.
        answers.decisions.clear();
    }
    Ok(answers)
}

fn cannot_be_asked(reason: String) -> Error {
    Error::new(
        Kind::System,
        format!("the policy cannot be asked: the judge {reason}"),
    )
}
