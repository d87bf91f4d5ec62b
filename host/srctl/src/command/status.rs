//! `srctl status`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use switch_root_core::locations::REPORT_PATH;

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
