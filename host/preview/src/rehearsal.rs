//! Rehearsing a switch: the real `switch_root` is executed with an image as its
//! initramfs, in namespaces or in a virtual machine, and what it did is compared with
//! what was planned.
//!
//! The new root is a stand-in: a tmpfs with the directories and links of the image's
//! root image, where it has one, and an init that waits for the report and tells what
//! survived. All of it is gone afterwards.

pub mod compare;
pub mod entry;
pub(crate) mod first;
mod free_ids;
mod init;
pub(crate) mod machine;
mod messages;
pub(crate) mod namespace;
mod opened;
pub(crate) mod program;
mod roles;
pub(crate) mod stage;
pub(crate) mod supervisor;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod unpack;
#[cfg(not(feature = "fuzzing"))]
pub(crate) mod unpack;
pub(crate) mod users;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use initramfs::called;
use initramfs::image::{Around, Image};
use initramfs::machine::{Machine, RootNode};
use initramfs::tree::Id;
use messages::{NewRoot, Node, NodeKind, Played, Request, Settings};
use serde_json::Value;
use switch_root_core::child::End;
use switch_root_core::error::{Attempt, Error, Kind, Result};
use switch_root_core::outcome::Message;
use switch_root_core::{escape, parameters};

use crate::plan;

pub use messages::{Entry, Preserved};
pub use stage::INIT;

switch_root_core::outcomes! {
    /// Why an image is not rehearsed here.
    pub(crate) enum NotRehearsed in "rehearsals" {
        /// The kernel takes an image, and so does a rehearsal.
        "SR-J33" Folder { path: String } = "{path} is a folder, and a rehearsal takes an image; make one of it: `(cd {path} && find . | cpio --quiet -o -H newc) > image.img`",
        /// Its programs are executed as they are.
        "SR-J34" Architecture { image: String, theirs: String, here: String } = "{image} cannot be rehearsed here: its init is a program for {theirs}, and this would run it on {here}; rehearse on a machine of that kind",
    }
}

switch_root_core::outcomes! {
    /// How a rehearsal failed: what follows the name of the image in a sentence.
    pub(crate) enum Failed in "rehearsals" {
        /// The last lines of the log are below the sentence, and say more.
        "SR-J35" SetUp = "it took too long to set up; allow more with --timeout SECONDS",
        "SR-J36" Kernel = "the kernel did not start what sets it up; is it one for x86_64 that can unpack this image, and is there enough --memory?",
        "SR-J37" First = "its first process ended early",
        "SR-J38" NoReport = "the init of the new root was executed, and there is no report of the switch",
        "SR-J39" Deleting = "the deletion did not end in time; allow more with --timeout SECONDS",
        "SR-J40" Switching = "switch_root did not come to an end in time; allow more with --timeout SECONDS",
        "SR-J41" Crashed { program: String, signal: i32 } = "switch_root ({program}) crashed: it was ended by signal {signal}",
        "SR-J42" Ended { program: String, status: i32 } = "switch_root ({program}) ended with status {status}, and did not execute the init",
        "SR-J43" Off { program: String } = "the machine ended, and switch_root ({program}) did not execute the init",
    }
}

/// What of a log is told in an error, in bytes.
const TOLD: usize = 2000;

/// Where it is rehearsed.
#[derive(Clone, Debug)]
pub enum Place {
    /// In namespaces of this machine.
    Namespaces,
    /// In a virtual machine.
    Machine {
        /// The kernel.
        kernel: PathBuf,
        /// The machine's memory in MiB; what it needs otherwise.
        memory: Option<u32>,
    },
}

/// What is to be rehearsed, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where.
    pub place: Place,
    /// The `switch_root` that is taken whatever the image has.
    pub switch_root: Option<PathBuf>,
    /// The one that is taken where the image has none.
    pub otherwise: Option<PathBuf>,
    /// The text of the new root's os-release; that of the root image otherwise.
    pub os_release: Option<String>,
    /// The kernel command line that policies and `switch_root` see. In a machine, more
    /// stands in front of it.
    pub kernel_command_line: String,
    /// The most that the image may have when it is unpacked, in bytes.
    pub max_bytes: u64,
    /// How long it may take.
    pub timeout: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// Which `switch_root` was executed, for people.
    pub program: String,
    /// What it did.
    pub outcome: Outcome,
    /// What policies were told of the machine.
    pub facts: Facts,
    /// How the initramfs was otherwise than the image alone.
    pub conditions: Conditions,
    /// What was otherwise than at boot, as sentences.
    pub notes: Vec<String>,
    /// What `switch_root` and, in a machine, the kernel wrote; not escaped.
    pub log: String,
}

/// How it ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The init of the new root was executed.
    Switched {
        /// The report (see REPORT.md of host/switch).
        report: Value,
        /// What was at /run/switch-root/preserved.
        preserved: Preserved,
    },
    /// Nothing was changed, for this reason.
    Refused(String),
}

/// What policies were told of the machine, beside the new root's os-release.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The text of the new root's os-release.
    pub os_release: Option<String>,
    /// `uname -r`.
    pub kernel_release: String,
    /// `uname -m`.
    pub architecture: String,
    /// The kernel's command line.
    pub kernel_command_line: String,
}

/// How the initramfs was otherwise than the image alone: what a comparison has to know.
#[derive(Clone, Debug, Default)]
pub struct Conditions {
    /// Directories that were made, since the image lacks them: escaped paths.
    pub directories: BTreeSet<String>,
    /// Device nodes for which empty files stand.
    pub placeholders: BTreeSet<String>,
}

/// Rehearses the switch. This process may have other threads; nothing is forked but
/// what is executed at once. The program must call [`entry::take`] first thing.
///
/// # Errors
/// The image is no initramfs, or too large; the place cannot be used; `switch_root` is
/// missing, is another program, crashes, or takes too long; or the user interrupts.
pub fn rehearse(image: &Image, options: &Options) -> Result<Rehearsed> {
    let shown = image.name.clone();
    if image.parts.is_empty() {
        return Err(Error::input(NotRehearsed::Folder { path: shown }));
    }
    if let Some(found) = image.has_inner() {
        return Err(Around::of_rehearsal(shown, found));
    }
    let file = std::path::absolute(&image.path).map_err(|error| {
        Error::system(
            Attempt::Find {
                path: shown.clone(),
            },
            &error,
        )
    })?;
    stage::check_own_program()?;
    for program in options.switch_root.iter().chain(&options.otherwise) {
        program::open(program)?;
    }
    let found = image.machine();
    check_architecture(&shown, found.architecture, &options.place)?;
    let os_release = options.os_release.clone().or(found.os_release.clone());
    let mut notes: Vec<String> = found.problem.clone().into_iter().collect();
    if let Some(reason) = without_root_image(image, &options.kernel_command_line) {
        let names = rustix::system::uname();
        let word = |name: &std::ffi::CStr| name.to_string_lossy().into_owned();
        notes.push("nothing was executed: called as switch_root, the image's init would not look for a root image".into());
        return Ok(Rehearsed {
            program: "/init of the image".into(),
            outcome: Outcome::Refused(reason),
            facts: Facts {
                os_release,
                kernel_release: word(names.release()),
                architecture: word(names.machine()),
                kernel_command_line: options.kernel_command_line.clone(),
            },
            conditions: Conditions::default(),
            notes,
            log: String::new(),
        });
    }
    if image.is_init_mode() {
        notes.push("at boot the image's init mounts the root image and the layers; here it is called as switch_root, and the new root only looks like the root image".into());
    }
    let preserve = called::find(&image.tree).is_ok_and(|called| called.by_systemd());
    if preserve {
        notes.push(format!("{}. Here it is called like that, and what switches afterwards stands in for systemd: what systemd deletes and frees is not rehearsed", called::SYSTEMD_SWITCHES));
    }
    let settings = Settings {
        new_root: new_root(found, os_release.clone()),
        switch_root: absolute(options.switch_root.as_deref())?,
        otherwise: absolute(options.otherwise.as_deref())?,
        patience_ms: options.timeout.as_millis() as u64,
        preserve,
    };
    let mut conditions = Conditions::default();
    let played = match &options.place {
        Place::Namespaces => namespace::play(&Request {
            image: file,
            max_bytes: options.max_bytes,
            kernel_command_line: options.kernel_command_line.trim().to_owned(),
            timeout_ms: options.timeout.as_millis() as u64,
            settings,
        })?,
        Place::Machine { kernel, memory } => machine::play(&machine::Boot {
            image: &file,
            unpacked: image.tree.sum(Id::ROOT).bytes,
            kernel,
            memory: *memory,
            kernel_command_line: &options.kernel_command_line,
            timeout: options.timeout,
            settings,
        })?,
    };
    let Played {
        said,
        end,
        placeholders,
        notes: more,
    } = played;
    notes.extend(more);
    let log = said.log;
    let failed = |what: Message| {
        let words = escape_lines(&log);
        let words = if words.is_empty() {
            String::new()
        } else {
            format!("; the last that was said:\n{words}")
        };
        let what = what.reworded(|it| format!("the rehearsal of {shown} failed: {it}{words}"));
        Error::new(Kind::System, what)
    };
    if let Some(why) = said.failed {
        return Err(failed(why));
    }
    let Some(staged) = said.staged else {
        let what = match (end, &options.place) {
            (Some(End::TimedOut), _) => Failed::SetUp,
            (_, Place::Machine { .. }) => Failed::Kernel,
            _ => Failed::First,
        };
        return Err(failed(what.into()));
    };
    let outcome = match said.seen {
        Some(seen) if !seen.report.is_object() => {
            return Err(failed(Failed::NoReport.into()));
        }
        Some(seen) if !seen.settled => {
            return Err(failed(Failed::Deleting.into()));
        }
        Some(seen) => Outcome::Switched {
            report: seen.report,
            preserved: seen.preserved,
        },
        None => match (end, refusal(&log)) {
            (Some(End::TimedOut), _) => {
                return Err(failed(Failed::Switching.into()));
            }
            (_, Some(reason)) => Outcome::Refused(reason),
            (Some(End::Killed(signal)), _) => {
                let program = staged.program;
                return Err(failed(Failed::Crashed { program, signal }.into()));
            }
            (Some(End::Exited(status)), _) => {
                let program = staged.program;
                return Err(failed(Failed::Ended { program, status }.into()));
            }
            (None, _) => {
                let program = staged.program;
                return Err(failed(Failed::Off { program }.into()));
            }
        },
    };
    notes.extend(staged.notes);
    conditions.directories.extend(staged.added);
    conditions.placeholders = placeholders;
    Ok(Rehearsed {
        program: staged.program,
        outcome,
        facts: Facts {
            os_release,
            kernel_release: staged.kernel_release,
            architecture: staged.architecture,
            kernel_command_line: staged.kernel_command_line,
        },
        conditions,
        notes,
        log,
    })
}

/// Why the image's init would not start the machine, where it finds no root image.
fn without_root_image(image: &Image, kernel_command_line: &str) -> Option<String> {
    if !image.is_init_mode() {
        return None;
    }
    let root = plan::root_image(image, &parameters::parse(kernel_command_line));
    root.err().map(|reason| reason.to_string())
}

fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>> {
    path.map(std::path::absolute).transpose().map_err(|error| {
        let path = "switch_root".to_owned();
        Error::system(Attempt::Find { path }, &error)
    })
}

/// Whether programs of the image can run where it is rehearsed.
fn check_architecture(shown: &str, image: Option<&str>, place: &Place) -> Result<()> {
    let here = match place {
        Place::Namespaces => rustix::system::uname()
            .machine()
            .to_string_lossy()
            .into_owned(),
        Place::Machine { .. } => "x86_64".to_owned(),
    };
    match image {
        Some(image) if image != here && (image, here.as_str()) != ("i686", "x86_64") => {
            Err(Error::input(NotRehearsed::Architecture {
                image: shown.to_owned(),
                theirs: image.to_owned(),
                here,
            }))
        }
        _ => Ok(()),
    }
}

/// The new root: as the root image has it, if there is one.
fn new_root(found: Machine, os_release: Option<String>) -> NewRoot {
    let nodes = found.root.0.into_iter().map(|(path, node)| Node {
        path,
        kind: match node {
            RootNode::Directory(rights) => NodeKind::Directory(rights.mode),
            RootNode::Link(target) => NodeKind::Link(target),
            RootNode::File => NodeKind::File,
        },
    });
    let nodes: Vec<Node> = nodes.collect();
    NewRoot {
        read_only: !nodes.is_empty(),
        nodes,
        os_release,
    }
}

/// Why it was refused, out of what `switch_root` said.
fn refusal(log: &str) -> Option<String> {
    let words = "nothing was changed: ";
    let line = log.lines().rfind(|line| line.contains(words))?;
    let (_, reason) = line.split_once(words)?;
    Some(reason.trim_end().to_owned())
}

/// The end of a log, each line escaped and indented.
fn escape_lines(log: &str) -> String {
    let mut start = log.len().saturating_sub(TOLD);
    while !log.is_char_boundary(start) {
        start += 1;
    }
    let lines = log[start..]
        .lines()
        .map(|line| format!("  {}", escape::message(line, 512)));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_found_in_what_was_said() {
        let log = "switch_root: warning: x\nswitch_root: error: nothing was changed: the init is not there\nmore\n";
        assert_eq!(refusal(log).as_deref(), Some("the init is not there"));
        assert_eq!(refusal("switch_root: x"), None);
    }

    #[test]
    fn the_end_of_a_log_is_told_without_control_characters() {
        assert_eq!(escape_lines("a\n\u{1b}[2J\n"), "  a\n  \\x1b[2J");
        assert!(escape_lines(&"größe ".repeat(1000)).len() < 3 * TOLD);
    }
}
