//! How the program ends.

use std::process::ExitCode;

use extension::{Error, Kind};

use crate::print::say;
use crate::style::{Stream, Tone, paint};

/// How a command ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Fine,
    /// An extension is invalid or incompatible, or a signature is not accepted; what is
    /// wrong was printed.
    Unfit,
}

/// The exit status, after an error was printed.
pub fn exit_code(outcome: Result<Outcome, Error>) -> ExitCode {
    match outcome {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Unfit) => ExitCode::from(3),
        Err(error) => {
            let word = paint(Stream::Errors, Tone::Bad, "error");
            say(&format!("srctl: {word}: {error}\n"));
            // As a shell has it for what SIGINT ended.
            ExitCode::from(if error.kind == Kind::Interrupted {
                130
            } else {
                1
            })
        }
    }
}
