//! Asking one policy what it would be asked at boot: in the judge, with its limits.

mod initramfs;

use policy::compatibility::{self, NoReview};
use policy::folder::Policy;
use policy::preservation;
use policy::session::{Message, Session};
use switch_root_core::contract::{Decision, Entry, Extension, HostFacts, Verdict};
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::failure::Question;
use switch_root_core::{escape, extensions, outcome};

use crate::answers::{Answers, Opinion, Say};
use crate::loading;

pub use initramfs::Initramfs;

/// The init that nothing may be carried over, where nobody says another one.
const INIT: &[u8] = b"/sbin/init";

/// What a policy is asked.
pub struct Questions {
    /// What `preservation` is asked about, if it is.
    pub initramfs: Option<Initramfs>,
    /// What `compatibility` is asked about; where there are none, it is not.
    pub extensions: Vec<Extension>,
    /// The machine that the extensions are for.
    pub host: HostFacts,
}

/// What came of asking.
pub struct Answered {
    /// What it answered, and how it failed.
    pub answers: Answers,
    /// What it logged.
    pub log: Vec<Message>,
    /// What a boot would warn of.
    pub warnings: Vec<String>,
}

/// Asks everything once, in a judge of its own. No other thread may run: the judge is forked.
///
/// # Errors
/// It cannot be asked at all. That it fails is an answer.
pub fn once(policy: &Policy, questions: &Questions) -> Result<Answered> {
    loading::quietly(|| {
        let mut session = Session::new(std::slice::from_ref(policy));
        session.keep_messages();
        let answers = round(&mut session, questions)?;
        Ok(Answered {
            answers,
            log: session.take_messages(),
            warnings: loading::warnings(&session.accounts()[0]),
        })
    })
}

/// Asks everything once, in the judge of a session.
///
/// # Errors
/// It cannot be asked at all.
pub fn round(session: &mut Session<'_>, questions: &Questions) -> Result<Answers> {
    let mut answers = Answers::default();
    // In the order of the boot.
    if !questions.extensions.is_empty() {
        let file = extensions::render(&questions.extensions);
        let judged =
            compatibility::review(session, &questions.host, file.as_bytes()).map_err(|reason| {
                match reason {
                    NoReview::File(reason) => {
                        let why = |it: &str| format!("the extensions cannot be understood: {it}");
                        Error::input(reason.reworded(why))
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
                let path = switch_root_core::path::join(directory, &entry.name);
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

fn cannot_be_asked(reason: outcome::Message) -> Error {
    Error::new(
        Kind::System,
        reason.reworded(|it| format!("the policy cannot be asked: the judge {it}")),
    )
}
