//! A pager for what is longer than a terminal, as git and systemctl have one: `$SRCTL_PAGER`,
//! `$PAGER`, or else less, which ends by itself where all fits.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use switch_root_core::error::{Error, Result};
use switch_root_core::interrupt;

use crate::{print, streams};

switch_root_core::outcomes! {
    /// What the system refused to whoever waits for the pager.
    pub(crate) enum NotPaged in "srctl" {
        /// `--no-pager` prints without one.
        "SR-H01" Wait = "cannot wait for the pager",
    }
}

/// How often it is looked whether the pager has ended.
const TICK: Duration = Duration::from_millis(20);

/// What a shell ends with where there is no such program, or none that can be executed.
const NO_PROGRAM: [i32; 2] = [126, 127];

/// Prints a text as it is, through a pager where somebody reads it on a terminal.
///
/// # Errors
/// Standard output cannot be written to, or the user interrupts.
pub fn exactly(text: &str, paged: bool) -> Result<()> {
    let pager = match paged && std::io::stdout().is_terminal() {
        true => pager(|name| std::env::var_os(name)),
        false => None,
    };
    let text = &streams::renamed(text);
    let printed = match pager {
        Some(mut pager) => shown(&mut pager, text)?,
        None => false,
    };
    match printed {
        true => Ok(()),
        false => print::exactly(text),
    }
}

/// The pager that the environment names; none where it wants none, or the terminal cannot
/// move a cursor.
fn pager(variable: impl Fn(&str) -> Option<OsString>) -> Option<Command> {
    let terminal = variable("TERM").unwrap_or_default();
    if terminal.is_empty() || terminal == "dumb" {
        return None;
    }
    let mut command = match variable("SRCTL_PAGER").or_else(|| variable("PAGER")) {
        None => Command::new("less"),
        Some(named) if named.is_empty() || named == "cat" => return None,
        Some(named) => {
            let mut shell = Command::new("sh");
            shell.arg("-c").arg(named);
            shell
        }
    };
    let is_set = |name: &str| variable(name).is_some();
    if !is_set("LESS") {
        command.env("LESS", "FRX");
    }
    // Root's less starts no shell: who may call srctl with sudo may not call everything.
    if nix::unistd::geteuid().is_root() && !is_set("LESSSECURE") {
        command.env("LESSSECURE", "1");
    }
    Some(command)
}

/// Whether a pager has shown a text.
fn shown(pager: &mut Command, text: &str) -> Result<bool> {
    // SIGINT is for the pager, as is the terminal: srctl waits for it, and does not die.
    let own = SigSet::from(Signal::SIGINT);
    let before = own.thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK);
    let ended = match pager.stdin(Stdio::piped()).spawn() {
        Ok(mut child) => {
            if let Some(mut input) = child.stdin.take() {
                let text = text.to_owned();
                // Not joined: it ends when nobody reads any more, and nothing comes after it.
                thread::spawn(move || drop(input.write_all(text.as_bytes())));
            }
            ended(&mut child).map(Some)
        }
        // That it is missing is no reason to show nothing.
        Err(_) => Ok(None),
    };
    if let Ok(before) = before {
        let _ = before.thread_set_mask();
    }
    let Some(status) = ended? else {
        return Ok(false);
    };
    Ok(!matches!(status.code(), Some(code) if NO_PROGRAM.contains(&code)))
}

fn ended(child: &mut Child) -> Result<ExitStatus> {
    let failed = |error| Error::system(NotPaged::Wait, &error);
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(status);
        }
        if let Err(interrupted) = interrupt::check() {
            // It gives the terminal back as it was.
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
            child.wait().map_err(failed)?;
            return Err(interrupted);
        }
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(environment: &[(&str, &str)]) -> Option<String> {
        let command = pager(|name| {
            let found = environment.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| OsString::from(value))
        })?;
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
        let less = command.get_envs().any(|(name, _)| name == "LESS");
        Some(format!(
            "{}{}",
            words.join(" "),
            if less { " FRX" } else { "" }
        ))
    }

    #[test]
    fn environment_chooses_the_pager() {
        for (environment, expected) in [
            (&[("TERM", "xterm")][..], Some("less FRX")),
            (&[("TERM", "xterm"), ("LESS", "")], Some("less")),
            (
                &[("TERM", "xterm"), ("PAGER", "most -s")],
                Some("sh -c most -s FRX"),
            ),
            (
                &[
                    ("TERM", "xterm"),
                    ("PAGER", "most"),
                    ("SRCTL_PAGER", "more"),
                ],
                Some("sh -c more FRX"),
            ),
            (
                &[("TERM", "xterm"), ("PAGER", "most"), ("SRCTL_PAGER", "")],
                None,
            ),
            (&[("TERM", "xterm"), ("PAGER", "cat")], None),
            (&[("TERM", "dumb"), ("PAGER", "most")], None),
            (&[("PAGER", "most")], None),
        ] {
            assert_eq!(chosen(environment).as_deref(), expected, "{environment:?}");
        }
    }
}
