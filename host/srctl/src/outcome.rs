//! How the program ends.

use std::process::ExitCode;

use extension::{Error, Kind};

use crate::print::say;

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
            say(&format!("srctl: {error}\n"));
            // As a shell has it for what SIGINT ended.
            ExitCode::from(if error.kind == Kind::Interrupted {
                130
            } else {
                1
            })
        }
    }
}
