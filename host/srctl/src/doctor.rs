//! `srctl doctor`: what would keep a machine from booting as it should, and what to do
//! about it. Everything is read, and nothing is changed.

pub mod binary;
pub mod current;
mod examination;
mod finding;
pub mod generator;
pub mod image;
pub mod keys;
pub mod machine;
pub mod parameters;
pub mod policies;
pub mod settings;
mod show;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use current::Current;
use examination::Examination;
use finding::{Finding, Severity};
use machine::Machine;
use switch_root_core::error::{Attempt, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::progress::Progress;
use switch_root_core::reading::cannot;

use crate::as_initramfs::AsInitramfs;
use crate::command::options::LimitOptions;
use crate::command::row::Row;
use crate::outcome::Outcome;
use crate::print;
use crate::rooted::Rooted;
use crate::style;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum DoctorFormat {
    /// For people.
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs.
    Json,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "doctor",
    fine: "there is no problem, though perhaps warnings",
    failed: "nothing could be examined",
    unfit: Some("there is a problem"),
    unknown: Some("there is no problem in what could be examined, and not all could be"),
    examples: &[
        "srctl doctor",
        "srctl doctor initrd.img --root /mnt --format json",
    ],
};

/// Runs the command.
pub fn run(command: &Doctor, progress: &dyn Progress) -> Result<Outcome> {
    if let Some(image) = &command.image
        && let Err(error) = std::fs::symlink_metadata(image)
        && error.kind() == ErrorKind::NotFound
    {
        return Err(cannot(
            Attempt::Examine {
                path: image.shown(),
            },
            image,
            &error,
        ));
    }
    let root = match (&command.root, &command.image) {
        (Some(root), _) => Some(root.as_path()),
        (None, None) => Some(Path::new("/")),
        (None, Some(_)) => None,
    };
    let examination = match root {
        Some(path) => of_machine(path, command, progress)?,
        None => of_image(command, progress),
    };
    let output = command.output.as_deref();
    style::output_to(output);
    match command.format {
        DoctorFormat::Text => print::to(output, &escape::visible(&show::text(&examination)))?,
        DoctorFormat::Json => print::to(output, &format!("{:#}\n", show::json(&examination)?))?,
    }
    let is_problem = |finding: &Finding| finding.severity == Severity::Problem;
    let findings = &examination.findings;
    Ok(Outcome::of(
        !findings.iter().any(is_problem),
        !findings.iter().any(|finding| finding.unknown),
    ))
}

fn of_machine(path: &Path, command: &Doctor, progress: &dyn Progress) -> Result<Examination> {
    let root = Rooted::open(path)
        .map_err(|error| cannot(Attempt::LookInto { path: path.shown() }, path, &error))?;
    let mut machine = Machine::read(&root);
    let mut findings = Vec::new();
    machine.user(&mut findings);
    machine.kernel(&mut findings);
    parameters::look(&machine.command_line, &mut findings);
    machine.settings = settings::look(&root, &mut findings);
    machine.generators = generator::look(&root, &mut findings);
    machine.binary = binary::installed(&root, &machine, &mut findings);
    let strict = machine.settings.strict;
    let policies = policies::of_machine(&root, strict, &mut findings);
    keys::look(&AsInitramfs::of(&root), &mut findings);
    let images = match &command.image {
        Some(image) => vec![Current {
            path: image.clone(),
            kernel: machine.kernel.clone(),
        }],
        None => current::find(&root, path, &machine, &mut findings),
    };
    for one in &images {
        let Some(image) = image::read(
            &one.path,
            &command.limits,
            command.image.is_some(),
            progress,
            &mut findings,
        ) else {
            continue;
        };
        let of_machine = image::of_machine::OfMachine {
            root: &root,
            machine: &machine,
            kernel: one.kernel.as_deref(),
            policies: &policies,
        };
        let label = match images.len() {
            1 => "the image".into(),
            _ => image.name.clone(),
        };
        image::look(&image, &label, Some(&of_machine), &mut findings);
    }
    let images: Vec<PathBuf> = images.into_iter().map(|one| one.path).collect();
    let paths = images.iter().map(PathBuf::as_path);
    machine.space(&root, paths, &mut findings);
    machine.report(&root, &mut findings);
    Ok(Examination {
        root: Some(path.to_owned()),
        images,
        findings,
    })
}

fn of_image(command: &Doctor, progress: &dyn Progress) -> Examination {
    let mut findings = Vec::new();
    if let Some(path) = &command.image
        && let Some(image) = image::read(path, &command.limits, true, progress, &mut findings)
    {
        image::look(&image, "the image", None, &mut findings);
    }
    Examination {
        root: None,
        images: command.image.iter().cloned().collect(),
        findings,
    }
}
