//! `srctl plan`: what a boot would keep, carry and delete of an image, and what the
//! policies say of its extensions.

mod explain;
mod list;
mod text;

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use clap::error::ErrorKind;
use initramfs::image::Image;
use initramfs::tree::{Limits, Wanted};
use oci::pull::Platform;
use preview::plan::{self, Asking};
use switch_root_core::contract::HostFacts;
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::output::AtomicFile;
use switch_root_core::progress::Progress;
use text::Layout;

use crate::command::options::{AskOptions, LimitOptions, MachineOptions};
use crate::command::{self, Plan, PlanFormat};
use crate::doctor::current;
use crate::doctor::machine::Machine;
use crate::facts::{self, Found};
use crate::outcome::Outcome;
use crate::pager;
use crate::print::{say, to_file};
use crate::streams;

/// Runs the command.
pub fn run(command: &Plan, progress: &dyn Progress) -> Result<Outcome> {
    if command.list && command.format != PlanFormat::Text {
        let reason = "--list is a format of its own; leave --format out";
        command::usage(ErrorKind::ArgumentConflict, reason);
    }
    let (path, machine) = match &command.image {
        Some(path) => (path.clone(), None),
        None => {
            let (path, machine) = current::running()?;
            (path, Some(machine))
        }
    };
    let limits = &command.asking.limits;
    let mut image = read(&path, limits, &Wanted::of_plan(), progress)?;
    let explain = command.explain.as_deref().map(OsStrExt::as_bytes);
    if let (Some(path), Some(supposed)) = (explain, command.supposed) {
        plan::suppose(&mut image, path, supposed)?;
    }
    let how = How {
        // A page is to be looked around in.
        full: command.full || command.list || command.format == PlanFormat::Html,
        explain,
        supposed: command.supposed.is_some(),
        machine: machine.as_ref(),
    };
    let plan = make(&image, &command.asking, &how)?;
    let text = match (&plan.explanation, command.format) {
        (None, PlanFormat::Text) if command.list => list::text(&plan.report),
        (Some(explanation), PlanFormat::Text) => explain::text(explanation),
        (Some(explanation), PlanFormat::Json) => json(explanation)?,
        (None, PlanFormat::Text) => {
            let to_file = to_file(command.output.as_deref()).is_some();
            let layout = Layout::new(command.depth, command.full, to_file);
            text::text(&plan.report, layout)
        }
        (None, PlanFormat::Json) => json(&plan.report)?,
        (Some(_), PlanFormat::Html) => {
            return Err(Error::input(
                "--explain is told as text or as JSON, and not as a page; leave out --format html",
            ));
        }
        (None, PlanFormat::Html) => {
            let report = serde_json::to_value(&plan.report).map_err(no_json)?;
            preview::html::render(&report)
        }
    };
    let text = match command.format {
        PlanFormat::Text => escape::visible(&text),
        // What programs read is as it is, and pages escape by rules of their own.
        PlanFormat::Json | PlanFormat::Html => text.as_str().into(),
    };
    write(command.output.as_deref(), &text, !command.paging.no_pager)?;
    Ok(Outcome::of(
        plan.report.is_fine(),
        plan.report.unknown.is_empty(),
    ))
}

/// Reads an image or a folder.
pub fn read(
    path: &Path,
    limits: &LimitOptions,
    wanted: &Wanted,
    progress: &dyn Progress,
) -> Result<Image> {
    let task = progress.begin(&path.shown(), None);
    task.say("reading");
    let limits = Limits {
        entries: limits.max_entries,
        bytes: limits.max_bytes,
    };
    let mut image = Image::read(path, &limits, wanted)?;
    image.name = streams::renamed(&image.name);
    Ok(image)
}

/// What is asked of a plan.
#[derive(Default)]
pub struct How<'a> {
    /// The whole tree.
    pub full: bool,
    /// A path to explain.
    pub explain: Option<&'a [u8]>,
    /// It is not of the image.
    pub supposed: bool,
    /// The machine that boots the image.
    pub machine: Option<&'a Machine>,
}

/// Asks the policies about an image.
pub fn make(image: &Image, options: &AskOptions, how: &How<'_>) -> Result<plan::Plan> {
    let (host, problem) = host(image, &options.machine, how.machine)?;
    let mut plan = plan::make(
        image,
        &Asking {
            policies: options.policies.as_deref(),
            host: host.as_ref(),
            inits: inits(options),
            full: how.full,
            explain: how.explain,
            supposed: how.supposed,
        },
    )?;
    plan.report.warnings.extend(problem);
    Ok(plan)
}

fn inits(options: &AskOptions) -> Vec<Vec<u8>> {
    let absolute = |init: &std::ffi::OsString| {
        let bytes = init.as_bytes();
        match bytes.starts_with(b"/") {
            true => bytes.to_vec(),
            false => switch_root_core::path::join(b"/", bytes),
        }
    };
    options.init.iter().map(absolute).collect()
}

/// What policies are told of the machine, and what could not be found out. Of an image that
/// boots whole it says itself what it boots; of others the machine does, where it is known.
pub fn host(
    image: &Image,
    options: &MachineOptions,
    of: Option<&Machine>,
) -> Result<(Option<HostFacts>, Option<String>)> {
    let machine = image.machine();
    let kernels = &machine.kernel_releases;
    let os_release = of.and_then(|of| of.os_release.clone());
    let found = Found {
        os_release: os_release
            .filter(|_| !image.is_init_mode())
            .or(machine.os_release),
        kernel_release: of
            .and_then(|of| of.kernel.clone())
            .or_else(|| kernels.first().filter(|_| kernels.len() == 1).cloned()),
        architecture: machine.architecture,
    };
    let host = facts::facts(options, found, &Platform::default())?;
    let told = options.os_release.is_some() || options.target_version.is_some();
    Ok((host, machine.problem.filter(|_| !told)))
}

fn json(value: &impl serde::Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(value).map_err(no_json)?;
    Ok(text + "\n")
}

fn no_json(error: serde_json::Error) -> Error {
    Error::system("cannot write JSON", &error.into())
}

fn write(output: Option<&Path>, text: &str, paged: bool) -> Result<()> {
    let Some(path) = to_file(output) else {
        return pager::exactly(text, paged);
    };
    let output = AtomicFile::create(path)?;
    output
        .as_file()
        .write_all(text.as_bytes())
        .map_err(|error| Error::system(format!("cannot write {}", path.shown()), &error))?;
    output.commit()?;
    say(&format!("wrote {}\n", path.shown()));
    Ok(())
}
