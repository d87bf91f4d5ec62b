//! The command line, as `srctl --help` shows it.

pub mod format;
pub mod options;
pub mod row;
pub mod statuses;

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{ArgMatches, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use switch_root_core::error::Result;
use switch_root_core::progress::Progress;

use crate::completions::{self, Completions};
use crate::config::{self, Config};
use crate::diff::{self, Diff};
use crate::doctor::{self, Doctor};
use crate::extension::{self, Extension};
use crate::image::{self, Image};
use crate::man::{self, Man};
use crate::outcome::Outcome;
use crate::plan::{self, Plan};
use crate::policy::{self, Policy};
use crate::rehearse::{self, Rehearse};
use crate::status::{self, Status};
use crate::streams::{self, Used};

/// The operator's side of switch-root.
#[derive(Debug, Parser)]
#[command(name = "srctl", version, propagate_version = true)]
pub struct Command {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
    /// Show no progress.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// When to use colours. By default on a terminal, unless NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    pub color: ColorChoice,
}

impl Command {
    /// Does what the command line says.
    pub fn run(&self, progress: &dyn Progress) -> Result<Outcome> {
        match &self.what {
            What::Extension(what) => extension::run(what, progress),
            What::Config(what) => config::run(what),
            What::Diff(what) => diff::run(what, progress),
            What::Plan(what) => {
                if let Some(reason) = what.conflict() {
                    usage(reason);
                }
                plan::run(what, progress)
            }
            What::Completions(options) => completions::run(options, definition()),
            What::Man(options) => man::run(options, definition(), statuses::ROWS),
            What::Policy(what) => policy::run(what, progress),
            What::Rehearse(what) => rehearse::run(what, progress),
            What::Image(what) => image::run(what, self.quiet, progress),
            What::Status(what) => status::run(what, progress),
            What::Doctor(what) => doctor::run(what, progress),
        }
    }
}

/// The command line with the exit statuses and examples of each command.
pub fn definition() -> clap::Command {
    streams::settled(statuses::described(Command::command()))
}

/// What the parser makes of words. Where they are wrong it quotes them, and is given them
/// without what would control the terminal.
fn matches(words: Vec<OsString>) -> ArgMatches {
    let Err(error) = definition().try_get_matches_from(words.iter()) else {
        return definition().get_matches_from(words);
    };
    let shown = words.iter().map(|word| {
        let text = word.to_string_lossy();
        let text = ::switch_root_core::escape::message(&text, usize::MAX);
        ::switch_root_core::escape::visible(&text).into_owned()
    });
    let error = definition()
        .try_get_matches_from(shown)
        .err()
        .unwrap_or(error);
    error.exit()
}

/// What this process was called with, and whether a program reads what it prints. What is
/// wrong with it ends the process.
pub fn parse() -> (Command, Used, bool) {
    let mut matches = matches(std::env::args_os().collect());
    let used = streams::check(&matches).unwrap_or_else(|misused| usage(&misused.to_string()));
    let json = wants_json(&matches);
    let command = Command::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit());
    (command, used, json)
}

/// Whether `--format json` is given, to whichever command.
fn wants_json(matches: &ArgMatches) -> bool {
    if let Some((_, below)) = matches.subcommand() {
        return wants_json(below);
    }
    let format = matches.try_get_raw("format").ok().flatten();
    format.is_some_and(|mut values| values.any(|value| value == "json"))
}

/// Ends the process as the parser does where the command line is wrong.
fn usage(reason: &str) -> ! {
    // Nothing was made that could fail to go out.
    let _ = streams::end();
    definition()
        .error(ErrorKind::ArgumentConflict, reason)
        .exit()
}

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum What {
    /// System extensions: from images to an initramfs that carries them.
    #[command(subcommand)]
    Extension(Extension),
    /// Machine configuration.
    #[command(subcommand)]
    Config(Config),
    /// Policies: WebAssembly components that decide what survives and what is compatible.
    #[command(subcommand)]
    Policy(Policy),
    /// Initramfs images.
    #[command(subcommand)]
    Image(Image),
    /// Show what a boot would keep, carry and delete of an initramfs, by whose word, and
    /// what the policies say of its extensions. Nothing is changed or unpacked.
    Plan(Plan),
    /// Show what changes between two images, or between two folders of policies: entries,
    /// policies, what survives, verdicts.
    Diff(Diff),
    /// Execute the real switch_root with an image as its initramfs, and compare what it did with
    /// the plan.
    Rehearse(Rehearse),
    /// Show how this machine was switched to its root: policies, what survived, extensions, what
    /// was freed.
    Status(Status),
    /// Look for what would keep a machine from booting as it should, and tell what to do about
    /// it. Nothing is changed.
    Doctor(Doctor),
    /// Print the completions of a shell.
    Completions(Completions),
    /// Print the manual page of srctl, or write those of all commands.
    Man(Man),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        definition().debug_assert();
    }
}
