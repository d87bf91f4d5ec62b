//! `srctl status`: what the report of a switch says, for people and for programs.

mod complaints;
mod exposition;
mod metrics;
pub mod read;
mod text;
pub mod wait;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use switch_root_core::error::{Kind, Result};
use switch_root_core::escape;
use switch_root_core::locations::REPORT_PATH;
use switch_root_core::progress::Progress;
use tracing::warn;

use crate::command::row::Row;
use crate::input::shown;
use crate::outcome::Outcome;
use crate::print;

pub use complaints::complaints;
pub use read::parse;

/// `srctl status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The report.
    #[arg(long, value_name = "FILE", default_value = REPORT_PATH)]
    pub report: PathBuf,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: StatusFormat,
    /// Write there rather than to standard output: whole or not at all. Everybody may read
    /// the file.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Wait so long for the deletion of the initramfs to end, if it has not.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(0..=86400))]
    pub wait: Option<u32>,
}

/// How a report is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StatusFormat {
    /// For people.
    #[default]
    #[value(alias = "table")]
    Text,
    /// The report as it is.
    Json,
    /// Metrics in the text format of Prometheus, for node_exporter's textfile collector.
    Prometheus,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "status",
    fine: "all is well",
    failed: "there is no report, or none that can be read (as metrics, 3 where there is none: the metrics say so)",
    unfit: Some(
        "a policy failed, an extension was left out, something could not be carried or deleted, there are warnings, or what `--wait` waited for did not come",
    ),
    unknown: Some("nothing is wrong in what is known of a report of a newer schema"),
    examples: &[
        "srctl status",
        "srctl status --wait 30 --format prometheus -o /var/lib/prometheus/node-exporter/switch-root.prom",
    ],
};

/// Runs the command.
pub fn run(command: &Status, progress: &dyn Progress) -> Result<Outcome> {
    let until = Instant::now() + Duration::from_secs(command.wait.unwrap_or(0).into());
    let task = progress.begin(&shown(&command.report), None);
    task.say("waiting");
    let finished = wait::finished(&command.report, until);
    drop(task);
    let read = match finished {
        Ok(read) => read,
        Err(error)
            if error.kind == Kind::NotFound && command.format == StatusFormat::Prometheus =>
        {
            // What an earlier boot left in the file would pass for this one's.
            print::to(command.output.as_deref(), &metrics::none())?;
            warn!("{error}");
            return Ok(Outcome::Unfit);
        }
        Err(error) => {
            // The same: a report that cannot be read is no reason to show another one's.
            if command.format == StatusFormat::Prometheus && error.kind != Kind::Interrupted {
                print::to(command.output.as_deref(), &metrics::unreadable())?;
            }
            return Err(error);
        }
    };
    let report = read.report;
    if let Some(newer) = report.newer() {
        warn!(
            "{} has schema {newer}, and this srctl knows schema {}: what it knows is shown, and may be incomplete; use a newer srctl",
            shown(&command.report),
            switch_root_core::report::SCHEMA
        );
    }
    let printed = match command.format {
        StatusFormat::Text => {
            let text = text::text(&report, print::to_file(command.output.as_deref()).is_some());
            escape::visible(&text).into_owned()
        }
        StatusFormat::Json => read.text,
        StatusFormat::Prometheus => metrics::text(&report),
    };
    print::to(command.output.as_deref(), &printed)?;
    let late = command.wait.is_some() && report.is_running();
    if late {
        warn!(
            "the deletion of the initramfs has not ended, says {}: it goes on, or its process (switch_root_rm) was killed",
            shown(&command.report)
        );
    }
    Ok(Outcome::of(
        complaints(&report).is_empty() && !late,
        report.newer().is_none(),
    ))
}
