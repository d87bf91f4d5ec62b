//! `srctl policy bench`.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use switch_root_core::error::Result;
use switch_root_core::progress::Progress;
use switch_root_core::text::{bytes, count, time};
use toolkit::bench::{self, Extensions, Figures, Measured, Questions};

use super::about;
use crate::command::format::Printing;
use crate::command::options::{LimitOptions, MachineOptions};
use crate::command::row::{GROUP, Row};
use crate::outcome::Outcome;
use crate::print;
use crate::print::value;
use crate::style::{Stream, Tone, paint};
use crate::table::table;

/// `srctl policy bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// The policy, or the folder of its project.
    #[arg(value_name = "FILE.wasm|DIR")]
    pub file: PathBuf,
    /// The initramfs that it is asked about, or a folder that one would be made of.
    #[arg(long, value_name = "IMAGE|DIR")]
    pub tree: Option<PathBuf>,
    /// The extensions that it is asked about: an extensions.yaml; that of the tree where it
    /// is not given.
    #[arg(long, value_name = "FILE")]
    pub extensions: Option<PathBuf>,
    /// Its sidecar, with settings and limits [default: NAME.json beside it].
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// How often everything is done.
    #[arg(long, value_name = "N", default_value_t = 10,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: u32,
    #[command(flatten)]
    pub machine: MachineOptions,
    #[command(flatten)]
    pub limits: LimitOptions,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "policy bench",
    fine: "it answered, however long that took",
    unfit: Some("it failed"),
    unknown: None,
    examples: &[
        "srctl policy bench keep-logs.wasm --tree initrd.img",
        "srctl policy bench gpu-stack.wasm --extensions extensions.yaml --os-release /etc/os-release --rounds 100",
    ],
    ..GROUP
};

/// Directories that are shown to people, of those that took longest.
const SHOWN: usize = 20;

/// Runs the command.
pub fn run(command: &Bench, progress: &dyn Progress) -> Result<Outcome> {
    let policy = about::policy(&command.file, command.settings.as_deref())?;
    let image = about::tree(command.tree.as_deref(), &command.limits, progress)?;
    let extensions = about::extensions(command.extensions.as_deref(), image.as_ref())?;
    let host = match &extensions {
        Some(_) => Some(about::host(&command.machine, image.as_ref())?),
        None => None,
    };
    let questions = Questions {
        tree: image.as_ref().map(|image| &image.tree),
        extensions: host
            .as_ref()
            .zip(extensions.as_ref())
            .map(|(host, (origin, file))| Extensions { host, file, origin }),
    };
    let measured = bench::measure(&policy, &questions, command.rounds, progress)?;
    if command.printing.json() {
        print::json(&value(&measured)?)?;
    } else {
        print::print(&text(&measured))?;
    }
    Ok(if measured.failures.is_empty() {
        Outcome::Fine
    } else {
        Outcome::Unfit
    })
}

/// What was measured, for people.
fn text(measured: &Measured) -> String {
    let mut text = format!(
        "{}, {}\n",
        measured.file,
        count(measured.rounds.into(), "round", "rounds")
    );
    let of = |name: &str, figures: &Figures| {
        let per = figures.fuel_per_entry.map(|fuel| format!("{fuel:.0}"));
        [
            time(figures.min_us),
            time(figures.median_us),
            time(figures.max_us),
            figures.entries.to_string(),
            figures.fuel.to_string(),
            per.unwrap_or_default(),
            bytes(figures.memory_bytes),
            name.to_owned(),
        ]
    };
    let whole = [
        ("load, from .wasm", &measured.load_wasm),
        ("load, from .cwasm", &measured.load_native),
        ("preservation, all directories", &measured.preservation),
        ("compatibility", &measured.compatibility),
    ];
    let mut rows: Vec<_> = whole
        .into_iter()
        .filter_map(|(name, figures)| Some(of(name, figures.as_ref()?)))
        .collect();
    let mut slowest: Vec<_> = measured.directories.iter().collect();
    slowest.sort_by_key(|directory| std::cmp::Reverse(directory.figures.median_us));
    rows.extend(
        slowest
            .iter()
            .take(SHOWN)
            .map(|directory| of(&directory.path, &directory.figures)),
    );
    let headings = [
        "MIN",
        "MEDIAN",
        "MAX",
        "ENTRIES",
        "FUEL",
        "PER ENTRY",
        "MEMORY",
        "WHAT",
    ];
    text.push('\n');
    text.push_str(&table(headings, &rows));
    // Writing to a String cannot fail.
    if slowest.len() > SHOWN {
        let more = slowest.len() - SHOWN;
        let _ = writeln!(text, "and {more} more directories, which took less");
    }
    let rows: Vec<_> = measured
        .limits
        .iter()
        .map(|share| {
            [
                share.limit.to_owned(),
                share.used.to_string(),
                share.allowed.to_string(),
                format!("{:.1} %", share.percent),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&table(["LIMIT", "USED", "OF", "SHARE"], &rows));
    }
    for warning in &measured.warnings {
        let word = paint(Stream::Output, Tone::Caution, "warning");
        let _ = writeln!(text, "{word}: {warning}");
    }
    for failure in &measured.failures {
        let word = paint(Stream::Output, Tone::Bad, "failed");
        let _ = writeln!(text, "{word}: it {}", failure.message);
    }
    text
}
