//! `srctl`: the operator's command line of switch-root.

mod access;
mod as_initramfs;
mod command;
mod config;
mod diff;
mod doctor;
mod documents;
mod extension;
mod facts;
mod image;
mod input;
mod judge;
mod log;
mod outcome;
#[cfg(test)]
mod outcomes;
mod pager;
mod plan;
mod policy;
mod print;
mod progress;
mod recompressed;
mod rehearse;
mod rooted;
mod status;
mod streams;
mod style;
mod table;

use std::process::ExitCode;

use command::{Command, What};
use outcome::Outcome;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use switch_root_core::error::{Error, Result};
use switch_root_core::interrupt;
use switch_root_core::progress::Progress;

/// In place of the C library's, which maps and unmaps each block that is read,
/// compressed or written: that took a third of the time of a pull.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    if let Some(code) = ::preview::rehearsal::entry::take(&arguments) {
        return code;
    }
    style::choose_early(std::env::args_os().skip(1));
    let (command, used, json) = command::parse();
    style::choose(command.color);
    log::start();
    let progress = progress::progress(command.quiet);
    let outcome = handle_signals()
        .and_then(|()| streams::begin(used, &*progress))
        .and_then(|()| run(&command, &*progress));
    let ended = streams::end();
    outcome::exit_code(outcome.and_then(|outcome| ended.map(|()| outcome)), json)
}

fn run(command: &Command, progress: &dyn Progress) -> Result<Outcome> {
    match &command.what {
        What::Extension(what) => extension::run(what, progress),
        What::Config(what) => config::run(what),
        What::Diff(what) => diff::run(what, progress),
        What::Plan(what) => plan::run(what, progress),
        What::Completions(options) => documents::completions(options.shell),
        What::Man(options) => documents::man(options.output.as_deref()),
        What::Policy(what) => policy::run(what, progress),
        What::Rehearse(what) => rehearse::run(what, progress),
        What::Image(what) => image::run(what, command.quiet, progress),
        What::Status(what) => status::run(what, progress),
        What::Doctor(what) => doctor::run(what, progress),
    }
}

/// The first signal ends the work cleanly, the second at once.
fn handle_signals() -> Result<()> {
    let failed = |error| Error::system("cannot handle signals", &error);
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let flag = interrupt::flag();
        signal_hook::flag::register_conditional_shutdown(signal, 130, flag.clone())
            .map_err(failed)?;
        signal_hook::flag::register(signal, flag).map_err(failed)?;
    }
    Ok(())
}
