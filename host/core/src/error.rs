//! Errors: a sentence that says what was attempted, on what, why it failed and
//! what to do, and the kind of failure for callers that decide by it.

use std::fmt;

use crate::outcome::{Code, Message, Outcomes};

crate::outcomes! {
    /// What the system refused: what stands before its own words.
    pub enum Attempt in "system" {
        /// The system's own words are its reason: permissions, a full disk, a device that fails.
        "SR-U01" Read { path: String } = "cannot read {path}",
        "SR-U02" Write { path: String } = "cannot write {path}",
        "SR-U03" Make { path: String } = "cannot make {path}",
        "SR-U04" Remove { path: String } = "cannot remove {path}",
        "SR-U05" MakeFolder { path: String } = "cannot make the folder {path}",
        "SR-U06" ReadInside { name: String } = "cannot read `{name}`",
        "SR-U07" Open { path: String } = "cannot open {path}",
        "SR-U08" Examine { path: String } = "cannot examine {path}",
        "SR-U09" LookInto { path: String } = "cannot look into {path}",
        "SR-U10" ReadProject { path: String } = "cannot read the project {path}",
        "SR-U20" Find { path: String } = "cannot find {path}",
        "SR-U21" Output = "cannot write to standard output",
        "SR-U22" Json = "cannot write JSON",
    }
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input is wrong: a configuration, an image, an archive.
    Input,
    /// What was asked for does not exist.
    NotFound,
    /// Credentials are missing or not accepted.
    Unauthorized,
    /// A server cannot be reached, or the connection broke.
    Unreachable,
    /// A server asks to come back later.
    TooManyRequests,
    /// Bytes are not those that their digest or length promises.
    Corrupt,
    /// The system refused: permissions, a full disk.
    System,
    /// The user interrupted.
    Interrupted,
}

/// A failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of failure it is.
    pub kind: Kind,
    /// The code of what failed; nothing where it has none.
    pub code: Option<Code>,
    message: String,
}

/// What an error is made of: an outcome, or a message of one. Not a text: the compiler sees to it
/// that errors have codes.
pub trait Words {
    /// The words, and the code that they have.
    fn message(self) -> Message;
}

impl<O: Outcomes> Words for O {
    fn message(self) -> Message {
        self.into()
    }
}

impl Words for Error {
    fn message(self) -> Message {
        Message {
            code: self.code,
            text: self.message,
        }
    }
}

impl Words for Message {
    fn message(self) -> Message {
        self
    }
}

/// What functions of this crate give back.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure with its whole sentence.
    pub fn new(kind: Kind, message: impl Words) -> Self {
        let Message { code, text } = message.message();
        Self {
            kind,
            code,
            message: text,
        }
    }

    /// The input is wrong.
    pub fn input(message: impl Words) -> Self {
        Self::new(Kind::Input, message)
    }

    /// The system refused `attempt`, such as `"cannot write /a/b"`.
    pub fn system(attempt: impl Words, error: &std::io::Error) -> Self {
        // Errors of this crate pass through readers and writers of others.
        if let Some(inner) = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Self>())
        {
            return inner.clone().within(attempt);
        }
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => Kind::NotFound,
            _ => Kind::System,
        };
        let attempt = attempt.message();
        Self::new(
            kind,
            attempt.reworded(|attempt| format!("{attempt}: {error}")),
        )
    }

    /// What is copied from a reader of this crate cannot be read, which the reader
    /// tells whole, or not be written, which is what was attempted.
    pub fn of_copy(attempt: impl Words, error: &std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(inner) => Self::clone(inner),
            None => Self::system(attempt, error),
        }
    }

    /// The same failure, with what to do behind it.
    #[must_use]
    pub fn advised(self, advice: &str) -> Self {
        Self {
            message: self.message + advice,
            ..self
        }
    }

    /// The same failure, with what it was a part of in front. Its code stays that of the
    /// failure, if that has one.
    #[must_use]
    pub fn within(self, attempt: impl Words) -> Self {
        let Message { code, text } = attempt.message();
        Self {
            kind: self.kind,
            code: self.code.or(code),
            message: format!("{text}: {}", self.message),
        }
    }

    /// The same failure, with the name of what it is about in front.
    #[must_use]
    pub fn about(self, what: &str) -> Self {
        Self {
            message: format!("{what}: {}", self.message),
            ..self
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// For readers and writers, whose errors are those of the standard library.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}
