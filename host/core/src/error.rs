//! Errors: a sentence that says what was attempted, on what, why it failed and
//! what to do, and the kind of failure for callers that decide by it.

use std::fmt;

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
    message: String,
}

/// What functions of this crate give back.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure with its whole sentence.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The input is wrong.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Kind::Input, message)
    }

    /// The system refused `attempt`, such as `"cannot write /a/b"`.
    pub fn system(attempt: impl fmt::Display, error: &std::io::Error) -> Self {
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
        Self::new(kind, format!("{attempt}: {error}"))
    }

    /// What is copied from a reader of this crate cannot be read, which the reader
    /// tells whole, or not be written, which is what was attempted.
    pub fn of_copy(attempt: impl fmt::Display, error: &std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(inner) => Self::clone(inner),
            None => Self::system(attempt, error),
        }
    }

    /// The same failure, with what it was a part of in front.
    #[must_use]
    pub fn within(self, attempt: impl fmt::Display) -> Self {
        Self {
            kind: self.kind,
            message: format!("{attempt}: {}", self.message),
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
