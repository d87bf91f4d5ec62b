//! `srctl`: the operator's command line of switch-root.

mod access;
mod as_initramfs;
mod command;
mod completions;
mod config;
mod diff;
mod doctor;
mod extension;
mod facts;
mod image;
mod input;
mod judge;
mod log;
mod man;
mod outcome;

switch_root_core::outcomes! {
    /// What the system refused to the program as a whole.
    pub(crate) enum Refused in "srctl" {
        /// The system's own words follow.
        "SR-H80" Signals = "cannot handle signals",
    }
}
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

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use switch_root_core::error::{Error, Result};
use switch_root_core::{child, interrupt};

/// In place of the C library's, which maps and unmaps each block that is read,
/// compressed or written: that took a third of the time of a pull.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let own = initramfs::inner::take(&arguments);
    if let Some(code) = own.or_else(|| ::preview::rehearsal::entry::take(&arguments)) {
        return code;
    }
    style::choose_early(std::env::args_os().skip(1));
    let (command, used, json) = command::parse();
    style::choose(command.color);
    log::start();
    let progress = progress::progress(command.quiet);
    let outcome = handle_signals()
        .and_then(|()| streams::begin(used, &*progress))
        .and_then(|()| command.run(&*progress));
    let ended = streams::end();
    outcome::exit_code(outcome.and_then(|outcome| ended.map(|()| outcome)), json)
}

/// The first signal ends the work cleanly, the second at once. The end of a child is seen.
fn handle_signals() -> Result<()> {
    let failed = |error| Error::system(Refused::Signals, &error);
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        let flag = interrupt::flag();
        signal_hook::flag::register_conditional_shutdown(signal, 130, flag.clone())
            .map_err(failed)?;
        signal_hook::flag::register(signal, flag).map_err(failed)?;
    }
    child::waitable().map_err(failed)
}
