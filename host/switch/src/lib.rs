//! Hands a Linux machine over from its initramfs to its real root, as
//! WebAssembly policies decide: all of `switch_root` but its first instructions.
//!
//! Data flows one way, in every mode: facts (`gather.rs`), decisions of the policies and plan
//! (`stages.rs`, `planner.rs`), act (`act.rs`), report (`report.rs`).

mod act;
mod answering;
mod arguments;
mod background;
mod binfmt_misc;
mod boot;
mod capabilities;
mod carry;
mod confirm;
mod deletion;
mod directories;
mod elf;
mod executable;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
mod gather;
mod head;
mod init;
mod initramfs;
mod kernel_log;
mod layers;
mod listing;
mod log;
mod machine;
mod mount_calls;
pub mod mounts;
mod new_root;
mod old_root;
pub mod outcomes;
mod parameters;
mod places;
pub mod planner;
mod preserve;
mod preserved;
mod proc;
mod processes;
mod report;
mod stages;
mod start;

use std::ffi::{OsString, c_int};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::time::Instant;

use act::Stop;
use arguments::{Format, Request};
use gather::Wanted;
use planner::Facts;
use policy::session::Session;
use proc::Proc;
use processes::Others;
use report::Account;
use serde::Serialize;
use stages::Planned;
use switch_root_core::outcome::{self, Code, Message};
use switch_root_core::plan::{Deletion, Plan};
use switch_root_core::report::{DeletionTally, ExtensionReport, PolicyReport};
use switch_root_core::text::count;

switch_root_core::outcomes! {
    /// That another process than the first one cannot switch.
    pub enum NotFirst in "start" {
        /// A script called it instead of becoming it.
        "SR-A09" Process { number: u32 } = "this is process {number}, and only PID 1 can hand its place to the init; start it as PID 1 (in a script: `exec switch_root ...`), or use --plan to see what it would do",
    }
}

/// Runs the program with its arguments, the first of which is its name. Returns
/// the exit status, where no init has taken the process over.
pub fn run(arguments: Vec<OsString>, started: Instant) -> c_int {
    start::prepare();
    let pid_1 = std::process::id() == 1;
    if pid_1 && arguments::is_init(&arguments) {
        return boot::run(arguments, started);
    }
    log::start(pid_1);
    match switch(arguments, pid_1, started) {
        Ok(text) => c_int::from(std::io::stdout().write_all(text.as_bytes()).is_err()),
        Err(stop) => {
            let message = match stop {
                Stop::Refused(reason) => {
                    reason.reworded(|reason| format!("nothing was changed: {reason}"))
                }
                Stop::NoInit(reason) => reason,
            };
            log::complain(pid_1, &message);
            1
        }
    }
}

/// Everything up to the exec of init. Returns what is to be printed, where
/// that is all that was asked for.
fn switch(arguments: Vec<OsString>, pid_1: bool, started: Instant) -> Result<String, Stop> {
    let arguments = match arguments::parse(arguments).map_err(Stop::refused)? {
        Request::Print(text) => return Ok(text),
        Request::Switch(arguments) => arguments,
    };
    if !pid_1 && !arguments.preserve && arguments.plan.is_none() {
        let number = std::process::id();
        return Err(Stop::refused(NotFirst::Process { number }));
    }
    let proc = Proc::open().map_err(Stop::refused)?;
    let (command_line, parameters) = parameters::read(&proc);
    if let Some(level) = parameters.log.or(arguments.log) {
        log::set_level(level);
    }
    parameters::log_warnings(&parameters);
    // First: later there are processes of our own.
    let others = match arguments.preserve {
        true => Others::default(),
        false => processes::find(&proc),
    };
    let options = arguments.options(&parameters);
    let wanted = Wanted {
        new_root: &arguments.new_root,
        init: arguments.init.as_deref(),
        unchecked_init: arguments.unchecked_init,
        parameters: &parameters,
        command_line: &command_line,
        others: &others,
        options: &options,
        proc: &proc,
    };
    let found = stages::policies(&parameters);
    let mut session = Session::new(&found.policies);
    let planned = begin(&wanted, arguments.plan.is_none())
        .and_then(|begun| {
            stages::refuse_unsigned(&session)?;
            stages::plan(&wanted, begun, &mut session, None, started)
        })
        .map_err(Stop::Refused)?;
    let Planned {
        plan,
        open,
        to_copy,
        mut account,
    } = planned;
    account.masked_policies.clone_from(&found.masked);
    if let Some(format) = arguments.plan {
        return Ok(print(&plan, &account, format));
    }
    match (plan.steps(), plan.copies(), to_copy) {
        (Some(steps), Some(copies), Some(to_copy)) => {
            let what = (plan.outline(), steps, copies);
            preserve::act(
                what,
                (open.old_root, open.new_root),
                to_copy,
                account,
                &proc,
                started,
            )
            .map(|()| String::new())
            .map_err(Stop::Refused)
        }
        _ => act::act(&plan, open, account, &proc, started).map(|never| match never {}),
    }
}

/// Opens the initramfs, and refuses what it and this process are no good for.
fn begin(wanted: &Wanted<'_>, to_act: bool) -> Result<(OwnedFd, Facts), Message> {
    let (old_root, initramfs) = old_root::examine()?;
    let facts = Facts {
        initramfs,
        said: wanted.parameters.warnings.clone(),
        ..Facts::default()
    };
    planner::refuse_to_delete(&initramfs, wanted.options).map_err(|refusal| {
        let missing = gather::without_new_root(wanted.new_root, wanted.proc);
        missing.map_or_else(|| refusal.into(), Message::from)
    })?;
    if to_act {
        capabilities::check()?;
    }
    Ok((old_root, facts))
}

fn print(plan: &Plan, account: &Account, format: Format) -> String {
    let outline = plan.outline();
    // Takes a walk through the whole initramfs.
    let tally = match format {
        Format::Nothing => None,
        Format::Text | Format::Json => would_delete(plan),
    };
    match format {
        Format::Nothing => String::new(),
        Format::Text => {
            let mut text = plan.to_string();
            if let Some(tally) = &tally {
                let files = count(tally.files, "file", "files");
                let directories = count(tally.directories, "directory", "directories");
                text.push_str(&format!("deletes    {files} and {directories}\n"));
            }
            for extension in &outline.extensions {
                let reasons: Vec<String> = extension
                    .reasons
                    .iter()
                    .map(|reason| format!("; {}: {}", reason.policy, reason.reason))
                    .collect();
                text.push_str(&format!(
                    "extension  {} {}{}\n",
                    extension.image,
                    extension.word(),
                    reasons.concat()
                ));
            }
            switch_root_core::escape::visible(&text).into_owned()
        }
        Format::Json => {
            let (warnings, warning_codes) = outcome::split(&outline.warnings);
            let printed = Printed {
                plan,
                would_delete: tally.map(|tally| WouldDelete {
                    files: tally.files,
                    directories: tally.directories,
                }),
                policies: &account.policies,
                extensions: &outline.extensions,
                warnings,
                warning_codes,
            };
            // Nothing of it can fail.
            let mut text = serde_json::to_string_pretty(&printed).unwrap_or_default();
            text.push('\n');
            text
        }
    }
}

/// What `--plan --format json` prints. Written as reports are, since code for another way would
/// be a fortieth of the small program.
#[derive(Serialize)]
struct Printed<'a> {
    plan: &'a Plan,
    would_delete: Option<WouldDelete>,
    policies: &'a [PolicyReport],
    extensions: &'a [ExtensionReport],
    warnings: Vec<String>,
    warning_codes: Vec<Option<Code>>,
}

#[derive(Serialize)]
struct WouldDelete {
    files: u64,
    directories: u64,
}

/// Counts what the deletion would remove.
fn would_delete(plan: &Plan) -> Option<DeletionTally> {
    if plan.outline().deletion != Deletion::Delete {
        return None;
    }
    let root = old_root::open().ok()?;
    let mut tally = deletion::run(root, &plan.keep(), deletion::Action::Count).ok()?;
    // What is mounted now and not kept is moved or detached before the
    // deletion, and its directory goes then.
    tally.directories += tally.skipped_mounts.len() as u64;
    Some(tally)
}
