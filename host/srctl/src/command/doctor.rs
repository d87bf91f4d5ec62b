//! `srctl doctor`.

use std::path::PathBuf;

use clap::Args;

use super::options::LimitOptions;

/// `srctl doctor`.
#[derive(Debug, Args)]
pub struct Doctor {
    /// An initramfs. Without --root it alone is looked at; with it, as that of the machine.
    #[arg(value_name = "IMAGE")]
    pub image: Option<PathBuf>,
    /// The root directory of a machine: its policies, its generator of initramfs images, its
    /// current image, and whether it was switched [default where no IMAGE is given: /].
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: DoctorFormat,
    /// Write there rather than to standard output: whole or not at all.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub limits: LimitOptions,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DoctorFormat {
    /// For people.
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs.
    Json,
}
