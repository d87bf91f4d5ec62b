//! Asking one policy what a case asks, more than once.

use policy::folder::Policy;
use policy::session::{Message, Session};
use switch_root_core::error::Result;
use switch_root_core::extensions;

use super::case::Case;
use crate::answers::Answers;
use crate::ask::{self, Initramfs, Questions};
use crate::loading;

/// The questions of a case.
pub fn questions(case: &Case, initramfs: Option<Initramfs>) -> Questions {
    let layers = case.extensions.iter().flatten();
    Questions {
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

/// The answers to the same questions, three times: twice from one judge, and once from
/// another one. A policy keeps nothing from one call to the next, so that all of them
/// are the same.
pub struct Repeated {
    /// The first answers.
    pub first: Answers,
    /// What was logged meanwhile.
    pub log: Vec<Message>,
    /// The second answers of the same judge.
    pub again: Answers,
    /// Those of another judge.
    pub elsewhere: Answers,
}

/// Asks the policy. No other thread may run: judges are forked.
///
/// # Errors
/// It cannot be asked at all. That it fails is an answer.
pub fn ask(policy: &Policy, questions: &Questions) -> Result<Repeated> {
    // What it logs is kept once, and would be printed three times.
    loading::quietly(|| {
        let policies = std::slice::from_ref(policy);
        let mut session = Session::new(policies);
        session.keep_messages();
        // Whoever writes a case down need not know codes.
        let round = |session: &mut Session<'_>| -> Result<Answers> {
            let mut answers = ask::round(session, questions)?;
            for failure in &mut answers.errors {
                failure.code = None;
            }
            Ok(answers)
        };
        let first = round(&mut session)?;
        let log = session.take_messages();
        let again = round(&mut session)?;
        let mut other = Session::new(policies);
        let elsewhere = round(&mut other)?;
        Ok(Repeated {
            first,
            log,
            again,
            elsewhere,
        })
    })
}
