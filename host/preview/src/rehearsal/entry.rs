//! The ways into the program that only a rehearsal takes: it starts its own executable
//! again, as the supervisor in namespaces, as the first program of a virtual machine,
//! and as the init of the new root.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::roles::{INIT, MACHINE, STAGE, SUPERVISOR};
use super::{init, machine, supervisor};

/// Runs what these arguments are for, which include the program's name; nothing where
/// they are for somebody else. To be called before anything else: the supervisor must
/// have one thread.
///
/// Two of them end in a restart of the machine. They run as its first process alone:
/// whoever calls them by hand learns what they are.
pub fn take(arguments: &[OsString]) -> Option<ExitCode> {
    let argument = |number: usize| arguments.get(number).and_then(|it| it.to_str());
    match argument(1)? {
        SUPERVISOR => Some(supervisor::run()),
        STAGE | INIT if std::process::id() != 1 => {
            let _ = writeln!(
                io::stderr(),
                "srctl: {} is a part of srctl rehearse that only a rehearsal starts, as process 1: nothing was done; use srctl rehearse IMAGE",
                argument(1)?
            );
            // As for any use that is wrong.
            Some(ExitCode::from(2))
        }
        STAGE => Some(machine::stage::run()),
        INIT => {
            let patience = argument(2).and_then(|text| text.parse().ok());
            let patience = Duration::from_millis(patience.unwrap_or_default());
            Some(init::run(patience, argument(3) == Some(MACHINE)))
        }
        _ => None,
    }
}
