//! How the program ends: what its exit statuses are is said here and nowhere else.

use std::process::ExitCode;

use serde_json::{Value, json};
use switch_root_core::error::{Error, Kind};

use crate::print::{harmless, say};
use crate::style::{Stream, Tone, paint};

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Fine,
    /// The answer is no: an extension is invalid or incompatible, say, or a signature is not
    /// accepted. What is wrong was printed.
    Unfit,
    /// Nothing is known to be wrong, and not all could be found out. What, was printed.
    Unknown,
}

impl Outcome {
    /// From what is wrong and what is not known: a no is a no, whatever else there may be.
    pub fn of(is_fine: bool, is_known: bool) -> Self {
        match (is_fine, is_known) {
            (false, _) => Self::Unfit,
            (true, false) => Self::Unknown,
            (true, true) => Self::Fine,
        }
    }
}

/// The exit statuses. Of a wrong command line the parser says so, with its own 2.
pub mod status {
    /// All is well.
    pub const FINE: u8 = 0;
    /// Something failed.
    pub const FAILED: u8 = 1;
    /// The command line is wrong.
    pub const USAGE: u8 = 2;
    /// The answer is no.
    pub const UNFIT: u8 = 3;
    /// The answer is not known.
    pub const UNKNOWN: u8 = 4;
    /// It was interrupted, as a shell has it for what SIGINT ended.
    pub const INTERRUPTED: u8 = 130;
}

/// The exit status, after an error was printed: as a sentence, or for a program that asked
/// for JSON as an object in one line. Both go to standard error: what is on standard output is
/// an answer, whole or not there.
pub fn exit_code(outcome: Result<Outcome, Error>, json: bool) -> ExitCode {
    match outcome {
        Ok(Outcome::Fine) => ExitCode::from(status::FINE),
        Ok(Outcome::Unfit) => ExitCode::from(status::UNFIT),
        Ok(Outcome::Unknown) => ExitCode::from(status::UNKNOWN),
        Err(error) => {
            let text = harmless(&error.to_string());
            let status = match error.kind {
                Kind::Interrupted => status::INTERRUPTED,
                _ => status::FAILED,
            };
            if json {
                say(&format!("{}\n", value(&error, &text, status)));
            } else {
                let word = paint(Stream::Errors, Tone::Bad, "error");
                say(&format!("srctl: {word}: {text}\n"));
            }
            ExitCode::from(status)
        }
    }
}

fn value(error: &Error, message: &str, status: u8) -> Value {
    let kind = match error.kind {
        Kind::Input => "input",
        Kind::NotFound => "not-found",
        Kind::Unauthorized => "unauthorized",
        Kind::Unreachable => "unreachable",
        Kind::TooManyRequests => "too-many-requests",
        Kind::Corrupt => "corrupt",
        Kind::System => "system",
        Kind::Interrupted => "interrupted",
    };
    let code = error.code;
    json!({"error": {"code": code, "kind": kind, "message": message, "status": status}})
}
