//! `srctl policy run`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use initramfs::image::Image;
use serde_json::json;
use switch_root_core::contract::{Extension, HostFacts};
use switch_root_core::error::{Error, Result};
use switch_root_core::progress::Progress;
use switch_root_core::{escape, extensions};
use toolkit::answers::{Opinion, Say};
use toolkit::ask::{self, Answered, Questions};
use toolkit::loading;

use super::about;
use crate::command::format::Printing;
use crate::command::options::{LimitOptions, MachineOptions};
use crate::command::row::{GROUP, Row};
use crate::outcome::Outcome;
use crate::print;
use crate::style::{Stream, Tone, paint};
use crate::table::table;

/// `srctl policy run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The policy, or the folder of its project.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub file: PathBuf,
    /// The initramfs whose paths it is asked about, or a folder that one would be made of.
    #[arg(
        long,
        value_name = "IMAGE|DIR",
        required_unless_present_any = ["extensions", "extension"]
    )]
    pub tree: Option<PathBuf>,
    /// The extensions that it is asked about: an extensions.yaml; that of the tree where neither
    /// this nor --extension is given.
    #[arg(long, value_name = "FILE")]
    pub extensions: Option<PathBuf>,
    /// One more extension that it is asked about, by its metadata.
    #[arg(long, value_name = "NAME[=VERSION]")]
    pub extension: Vec<String>,
    /// Its sidecar, with settings and limits [default: NAME.json beside it].
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    #[command(flatten)]
    pub machine: MachineOptions,
    /// The kernel command line of the machine that the extensions are for.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub kernel_command_line: String,
    #[command(flatten)]
    pub limits: LimitOptions,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy run",
    fine: "it answered",
    unfit: Some("it failed"),
    unknown: None,
    examples: &[
        "srctl policy run keep-logs --tree initrd.img",
        "srctl policy run gpu-stack.wasm --extension zfs=2.3.1 --target-version 1.10.0 --format json",
    ],
    ..GROUP
};

/// The most of one name or text that is shown, in bytes.
const SHOWN: usize = 4096;

/// Runs the command.
pub fn run(command: &Run, progress: &dyn Progress) -> Result<Outcome> {
    let policy = about::policy(&command.file, command.settings.as_deref())?;
    let image = about::tree(command.tree.as_deref(), &command.limits, progress)?;
    let extensions = extensions(command, image.as_ref())?;
    let host = match extensions.is_empty() {
        true => HostFacts {
            os_release: Vec::new(),
            kernel_release: String::new(),
            architecture: String::new(),
            kernel_command_line: String::new(),
        },
        false => about::host(&command.machine, image.as_ref())?,
    };
    let questions = Questions {
        initramfs: image.map(|image| image.tree.into()),
        extensions,
        host: HostFacts {
            kernel_command_line: command.kernel_command_line.clone(),
            ..host
        },
    };
    let answered = ask::once(&loading::prepared(&policy, progress), &questions)?;
    if command.printing.json() {
        let answers = &answered.answers;
        print::json(&json!({
            "file": policy.origin,
            "digest": policy.digest,
            "decisions": answers.decisions,
            "verdicts": answers.verdicts,
            "failures": answers.errors,
            "log": answered.log,
            "warnings": answered.warnings,
        }))?;
    } else {
        print::print(&text(&questions, &answered))?;
    }
    Ok(if answered.answers.errors.is_empty() {
        Outcome::Fine
    } else {
        Outcome::Unfit
    })
}

/// The extensions of a file, or of the tree, and those of the command line.
fn extensions(command: &Run, image: Option<&Image>) -> Result<Vec<Extension>> {
    let file = match command.extension.is_empty() || command.extensions.is_some() {
        true => about::extensions(command.extensions.as_deref(), image)?,
        false => None,
    };
    let mut all = match file {
        None => Vec::new(),
        Some((origin, file)) => {
            extensions::list(&file)
                .map_err(|reason| Error::input(reason.said_of(origin)))?
                .extensions
        }
    };
    for text in &command.extension {
        let (name, version) = text.split_once('=').unwrap_or((text, ""));
        let metadata = json!({"name": name, "version": version});
        all.push(extensions::to_write(
            &format!("{name}.sqsh"),
            None,
            &metadata,
        ));
    }
    Ok(all)
}

/// The answers, for people.
fn text(questions: &Questions, answered: &Answered) -> String {
    let mut text = String::new();
    let shown = |name: &str| escape::message(name, SHOWN);
    let answers = &answered.answers;
    if questions.initramfs.is_some() {
        let rows: Vec<_> = (answers.decisions.iter())
            .map(|(path, say)| {
                let (word, to) = match say {
                    Say::Keep => ("keep", String::new()),
                    Say::Descend => ("descend", String::new()),
                    Say::Carry(target) => ("carry", format!("to {}", shown(target))),
                };
                [word.to_owned(), shown(path), to]
            })
            .collect();
        match rows.is_empty() {
            true => text.push_str("it keeps nothing\n"),
            false => text.push_str(&table(["ANSWER", "PATH", ""], &rows)),
        }
    }
    if !questions.extensions.is_empty() {
        let rows: Vec<_> = (answers.verdicts.iter())
            .map(|(image, opinion)| {
                let (word, reason) = match opinion {
                    Opinion::Compatible => ("compatible", String::new()),
                    Opinion::Abstain => ("abstain", String::new()),
                    Opinion::Incompatible(reason) => ("incompatible", shown(reason)),
                };
                [word.to_owned(), shown(image), reason]
            })
            .collect();
        match rows.is_empty() {
            true => text.push_str("it has no answer about extensions\n"),
            false => text.push_str(&table(["ANSWER", "EXTENSION", "REASON"], &rows)),
        }
    }
    // Writing to a String cannot fail.
    for message in &answered.log {
        let _ = writeln!(text, "log, {}: {}", message.level, message.message);
    }
    for warning in &answered.warnings {
        let word = paint(Stream::Output, Tone::Caution, "warning");
        let _ = writeln!(text, "{word}: {warning}");
    }
    for failure in &answers.errors {
        let word = paint(Stream::Output, Tone::Bad, "failed");
        let _ = writeln!(text, "{word}: it {}", failure.message);
    }
    text
}
