//! Outcomes of all kinds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Code, Outcomes};

/// A message to operators with its code. Other crates make one of an outcome, or of the words of
/// somebody else: that a message of ours has a code is the compiler's business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Message {
    /// Its code.
    pub code: Option<Code>,
    /// Its words.
    pub text: String,
}

impl Message {
    /// What somebody else says: a policy, the kernel, a file. It has no code.
    pub fn quoted(text: impl Into<String>) -> Self {
        Self {
            code: None,
            text: text.into(),
        }
    }

    /// The same message in other words: with what it is said of around them.
    #[must_use]
    pub fn reworded(self, text: impl FnOnce(&str) -> String) -> Self {
        Self {
            text: text(&self.text),
            ..self
        }
    }

    /// The same message after what it is said of: `disk.img`, and `is not a regular file`.
    #[must_use]
    pub fn said_of(self, subject: impl fmt::Display) -> Self {
        self.reworded(|text| format!("{subject} {text}"))
    }
}

/// The words of an outcome. Not the standard library's way, of which the boot program would have
/// one for each of a hundred types.
#[inline(never)]
pub fn text(outcome: &dyn fmt::Display) -> String {
    outcome.to_string()
}

impl<O: Outcomes> From<O> for Message {
    fn from(outcome: O) -> Self {
        Self {
            code: Some(outcome.code()),
            text: text(&outcome),
        }
    }
}

/// For places whose failures are texts still.
impl From<Message> for String {
    fn from(message: Message) -> Self {
        message.text
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Message {}

/// Logs a message as a warning.
pub fn warn(message: &Message) {
    tracing::warn!("{message}");
}

/// Logs a message as an error.
pub fn error(message: &Message) {
    tracing::error!("{message}");
}

/// Messages as reports have them: the texts, and in the same order the codes.
pub fn split(messages: &[Message]) -> (Vec<String>, Vec<Option<Code>>) {
    let pairs = messages.iter().map(|one| (one.text.clone(), one.code));
    pairs.unzip()
}
