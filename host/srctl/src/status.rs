//! `srctl status`: what the report of a switch says, for people and for programs.

mod complaints;
mod exposition;
mod metrics;
mod read;
mod text;
mod wait;

use std::time::{Duration, Instant};

use switch_root_core::error::{Kind, Result};
use switch_root_core::escape;
use switch_root_core::progress::Progress;
use tracing::warn;

use crate::command::{Status, StatusFormat};
use crate::input::shown;
use crate::outcome::Outcome;
use crate::print;

pub use complaints::complaints;
pub use read::parse;

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
