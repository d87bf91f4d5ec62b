//! What the policies answered.

use policy::compatibility::{Judged, NoReview};
use policy::consequence::{self, Consequences};
use policy::preservation::Review;
use policy::session::Session;
use switch_root_core::contract::Extension;
use switch_root_core::extensions::{List, Unknown};
use switch_root_core::outcome::Message;

/// See the top of this file.
#[derive(Clone, Debug)]
pub struct Decisions {
    /// The names of the policies, in the order of the session.
    pub policies: Vec<String>,
    /// What they say of the extensions.
    pub compatibility: Compatibility,
    /// What they keep; or why they could not be asked.
    pub preservation: Result<Review, Message>,
    /// What their failures come to.
    pub consequences: Consequences,
}

/// What the policies say of the extensions.
#[derive(Clone, Debug, Default)]
pub enum Compatibility {
    /// Nobody was asked, since there is no extension.
    #[default]
    NotAsked,
    /// The verdicts, in the order of the file.
    Judged {
        /// Of each extension.
        extensions: Vec<Judged>,
        /// What else the file holds; only where the program itself activates them.
        unknown: Unknown,
    },
    /// The file is malformed: half a sentence about it.
    Malformed(Message),
    /// There can be no worker to ask: half a sentence about it.
    NoWorker(Message),
    /// The process that ran the policies says that the file holds what it does not.
    Contradicted,
    /// What the image boots is not known, and so nobody was asked: what the file holds, and
    /// a sentence.
    NotKnown(List, String),
}

impl Compatibility {
    /// The answers of a review.
    pub fn of(review: Result<Vec<Judged>, NoReview>) -> Self {
        match review {
            Ok(extensions) => Self::Judged {
                extensions,
                unknown: Unknown::default(),
            },
            Err(NoReview::File(reason)) => Self::Malformed(reason),
            Err(NoReview::Judge(reason)) => Self::NoWorker(reason),
        }
    }

    /// The same where the file was read and nobody was asked, for the reason given.
    pub fn unasked(list: Result<List, NoReview>, why: String) -> Self {
        match list {
            Ok(list) if list.extensions.is_empty() => Self::NotAsked,
            Ok(list) => Self::NotKnown(list, why),
            Err(NoReview::File(reason)) => Self::Malformed(reason),
            Err(NoReview::Judge(reason)) => Self::NoWorker(reason),
        }
    }

    /// What the file names, in its order.
    pub fn extensions(&self) -> impl Iterator<Item = &Extension> {
        let (judged, unasked): (&[Judged], &[Extension]) = match self {
            Self::Judged { extensions, .. } => (extensions, &[]),
            Self::NotKnown(list, _) => (&[], &list.extensions),
            _ => Default::default(),
        };
        judged.iter().map(|one| &one.extension).chain(unasked)
    }

    /// Whether nobody could say what is said of the extensions.
    pub fn is_trouble(&self) -> bool {
        matches!(self, Self::NoWorker(_) | Self::Contradicted)
    }

    /// Whether there are extensions that policies must not fail to judge.
    pub fn any(&self) -> bool {
        matches!(self, Self::NoWorker(_)) || self.extensions().next().is_some()
    }
}

impl Decisions {
    /// All that a session has come to.
    pub fn of(
        session: &Session<'_>,
        compatibility: Compatibility,
        preservation: Result<Review, Message>,
    ) -> Self {
        let policies = session.policies().iter();
        Self {
            policies: policies.map(|policy| policy.name.clone()).collect(),
            compatibility,
            preservation,
            consequences: consequence::of(session),
        }
    }
}
