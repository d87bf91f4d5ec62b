//! `srctl diff`: what changes between two images, or two folders of policies.

use std::path::{Path, PathBuf};

use clap::Args;
use initramfs::files::Files;
use initramfs::tree::{Tree, Wanted};
use policy::folder::{self, Policy};
use preview::diff::{Change, Difference, Entry, Survival, Verdict, compared};
use serde::Serialize;
use serde_json::Value;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::progress::Progress;
use switch_root_core::reading::cannot_read;
use switch_root_core::text::bytes;

use crate::command::format::Format;
use crate::command::options::{AskOptions, Paging};
use crate::command::row::{GROUP, Row};
use crate::outcome::Outcome;
use crate::plan::How;
use crate::style::{self, Stream, Tone, paint};
use crate::{pager, plan, print};

switch_root_core::outcomes! {
    /// What is not compared.
    pub(crate) enum NotCompared in "srctl" {
        /// Two of a kind are compared: images, or folders of policies.
        "SR-H56" Unlike { policies: String, other: String } = "{policies} is a folder of policies, and {other} is not: there is nothing to compare; name two images, or two folders of policies",
        "SR-H57" Image = "--image goes with two folders of policies, and these are images; leave it out",
        "SR-H58" Policies = "--policies goes with two images, and these are folders of policies; leave it out",
    }
}

/// `srctl diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// An initramfs, a folder that one would be made of, or a folder of policies.
    #[arg(value_name = "A")]
    pub before: PathBuf,
    /// What it is compared with: something of the same kind.
    #[arg(value_name = "B")]
    pub after: PathBuf,
    /// Where A and B are folders of policies: an initramfs whose plans with the one and
    /// with the other are compared, too.
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<PathBuf>,
    #[command(flatten)]
    pub asking: AskOptions,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: Format,
    /// Write there rather than to standard output: whole or not at all.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub paging: Paging,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "diff",
    fine: "both are the same",
    unfit: Some("the two differ"),
    unknown: Some("what is known of both is the same, and something is not known, as in `plan`"),
    examples: &[
        "srctl diff old.img new.img",
        "srctl diff policies.d new-policies.d --image initrd.img",
    ],
    ..GROUP
};

/// Runs the command.
pub fn run(command: &Diff, progress: &dyn Progress) -> Result<Outcome> {
    let difference = match (
        holds_policies(&command.before)?,
        holds_policies(&command.after)?,
    ) {
        (true, true) => of_policies(command, progress)?,
        (false, false) => of_images(command, progress)?,
        (before, _) => {
            let (policies, other) = match before {
                true => (&command.before, &command.after),
                false => (&command.after, &command.before),
            };
            return Err(Error::input(NotCompared::Unlike {
                policies: policies.shown(),
                other: other.shown(),
            }));
        }
    };
    let output = command.output.as_deref();
    style::output_to(output);
    let text = match command.format {
        Format::Json => format!("{:#}\n", value(&difference)),
        Format::Text => escape::visible(&text(&difference)).into_owned(),
    };
    match print::to_file(output) {
        None => pager::exactly(&text, !command.paging.no_pager)?,
        Some(_) => print::to(output, &text)?,
    }
    Ok(Outcome::of(
        difference.is_empty(),
        difference.unknown.is_empty(),
    ))
}

/// Whether it is a folder with policies in it, and not a root directory.
fn holds_policies(path: &Path) -> Result<bool> {
    let failed = |error| cannot_read(path, &error);
    if !std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Ok(false);
    }
    let mut policies = false;
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        if ["etc", "usr", "init", "bin"]
            .iter()
            .any(|root| name == *root)
        {
            return Ok(false);
        }
        let ending = Path::new(&name).extension();
        policies |= ending.is_some_and(|ending| ending == "wasm" || ending == "cwasm");
    }
    Ok(policies)
}

fn of_images(command: &Diff, progress: &dyn Progress) -> Result<Difference> {
    if command.image.is_some() {
        return Err(Error::input(NotCompared::Image));
    }
    let wanted = Wanted::of_plan().with_digests();
    let read = |path| plan::read(path, &command.asking.limits, &wanted, progress);
    let (before, after) = (read(&command.before)?, read(&command.after)?);
    let mut difference = Difference::none();
    difference.entries = compared(&before, &after);
    let more = command.asking.policies.as_deref();
    difference.sets(
        &folder::discover_in(&Files(&before.tree), more),
        &folder::discover_in(&Files(&after.tree), more),
    );
    difference.plans(
        &plan::make(&before, &command.asking, &How::default())?.report,
        &plan::make(&after, &command.asking, &How::default())?.report,
    );
    Ok(difference)
}

fn of_policies(command: &Diff, progress: &dyn Progress) -> Result<Difference> {
    if command.asking.policies.is_some() {
        return Err(Error::input(NotCompared::Policies));
    }
    let mut difference = Difference::none();
    let set =
        |folder: &Path| -> Vec<Policy> { folder::discover_in(&Files(&Tree::new()), Some(folder)) };
    difference.sets(&set(&command.before), &set(&command.after));
    if let Some(image) = &command.image {
        let image = plan::read(image, &command.asking.limits, &Wanted::of_plan(), progress)?;
        let report = |folder: &Path| -> Result<_> {
            let options = AskOptions {
                policies: Some(folder.to_owned()),
                ..command.asking.clone()
            };
            Ok(plan::make(&image, &options, &How::default())?.report)
        };
        difference.plans(&report(&command.before)?, &report(&command.after)?);
    }
    Ok(difference)
}

fn value(of: &impl Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_default()
}

fn text(difference: &Difference) -> String {
    let mut text = String::new();
    for what in &difference.unknown {
        text.push_str(&format!("NOT KNOWN: {what}\n"));
    }
    if difference.is_empty() {
        text.push_str(match difference.unknown.is_empty() {
            true => "no difference\n",
            false => "no difference in what is known\n",
        });
        return text;
    }
    section(&mut text, "ENTRIES", &difference.entries, entry);
    section(&mut text, "POLICIES", &difference.policies, |policy| {
        policy.digest.clone().unwrap_or_default()
    });
    section(&mut text, "SURVIVORS", &difference.survivors, survival);
    section(&mut text, "EXTENSIONS", &difference.extensions, verdict);
    section(
        &mut text,
        "SWITCH",
        &difference.outcome,
        |outcome| match &outcome.refused {
            Some(reason) => format!("refused: {reason}"),
            None => match &outcome.deletion {
                switch_root_core::plan::Deletion::Delete => "the rest is deleted".into(),
                switch_root_core::plan::Deletion::Skip(reason) => {
                    format!("nothing is deleted: {reason}")
                }
            },
        },
    );
    text
}

fn section<T: Serialize>(
    text: &mut String,
    title: &str,
    changes: &[Change<T>],
    words: impl Fn(&T) -> String,
) {
    if changes.is_empty() {
        return;
    }
    text.push_str(&paint(Stream::Output, Tone::Heading, title));
    text.push('\n');
    for change in changes {
        let (sign, what) = match (&change.before, &change.after) {
            (Some(before), Some(after)) => ("~", fields(&value(before), &value(after))),
            (Some(before), None) => ("-", words(before)),
            (None, Some(after)) => ("+", words(after)),
            (None, None) => continue,
        };
        let tone = match sign {
            "+" => Tone::Good,
            "-" => Tone::Bad,
            _ => Tone::Caution,
        };
        let sign = paint(Stream::Output, tone, sign);
        text.push_str(format!("{sign} {}  {what}", change.name).trim_end());
        text.push('\n');
    }
}

/// The fields that changed.
fn fields(before: &Value, after: &Value) -> String {
    let (Value::Object(before), Value::Object(after)) = (before, after) else {
        return String::new();
    };
    let changed: Vec<String> = after
        .iter()
        .filter_map(|(key, new)| {
            let old = before.get(key)?;
            (old != new).then(|| format!("{key} {} -> {}", short(old), short(new)))
        })
        .collect();
    changed.join("; ")
}

/// A value in few characters.
fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => "none".into(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.is_empty() => "nobody".into(),
        Value::Array(list) => list.iter().map(short).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    };
    match text.strip_prefix("sha256:") {
        Some(digits) => digits.chars().take(12).collect(),
        None => switch_root_core::escape::message(&text, 400),
    }
}

fn entry(entry: &Entry) -> String {
    let size = bytes(entry.bytes);
    match entry.files {
        Some(files) => format!(
            "{}, {}, {size}",
            entry.kind,
            switch_root_core::text::count(files, "file", "files")
        ),
        None => format!("{}, {size}", entry.kind),
    }
}

fn survival(survival: &Survival) -> String {
    let by = survival.by.join(", ");
    match &survival.to {
        Some(to) => format!("carry to {to}, by {by}"),
        None => format!("{}, by {by}", survival.fate.word()),
    }
}

fn verdict(verdict: &Verdict) -> String {
    let outcome = match verdict.verdict {
        Some(outcome) => short(&value(&outcome)),
        None => "not asked".into(),
    };
    let reasons = verdict.reasons.join("; ");
    let words = format!("{} {}: {outcome}; {reasons}", verdict.name, verdict.version);
    words.trim_end_matches("; ").to_owned()
}
