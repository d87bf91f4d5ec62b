//! `srctl plan`: what a boot would keep, carry and delete of an image, and what the
//! policies say of its extensions.

mod explain;
mod list;
mod text;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use initramfs::image::Image;
use initramfs::tree::{Limits, Wanted};
use oci::pull::Platform;
use preview::plan::{self, Asking, Supposed};
use switch_root_core::contract::HostFacts;
use switch_root_core::error::{Attempt, Error, Result};
use switch_root_core::escape::{self, Shown};
use switch_root_core::output::AtomicFile;
use switch_root_core::progress::Progress;
use text::Layout;

use crate::command::options::{AskOptions, LimitOptions, MachineOptions, Paging};
use crate::command::row::{GROUP, Row};
use crate::doctor::current;
use crate::doctor::machine::Machine;
use crate::facts::{self, Found};
use crate::outcome::Outcome;
use crate::pager;
use crate::print::{say, to_file};
use crate::streams;

switch_root_core::outcomes! {
    /// What is not shown.
    pub(crate) enum NotShown in "srctl" {
        /// A page shows all of a plan.
        "SR-H59" Page = "--explain is told as text or as JSON, and not as a page; leave out --format html",
    }
}

/// `srctl plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// The initramfs, or a folder that one would be made of [default: the image of this
    /// machine's running kernel, as srctl doctor finds it].
    #[arg(value_name = "IMAGE|DIR")]
    pub image: Option<PathBuf>,
    #[command(flatten)]
    pub asking: AskOptions,
    /// Show which policy said what about this path of the image.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["full", "depth", "list"])]
    pub explain: Option<OsString>,
    /// The path is not in the image: explain it as if a program of the boot made it, as this
    /// kind of file: `file`, `directory`, `symlink`, ... with its size in bytes and its mode.
    #[arg(
        long = "as",
        value_name = "KIND[,size=N][,mode=OCTAL]",
        requires = "explain"
    )]
    pub supposed: Option<Supposed>,
    /// Directories within each other that are shown; all preserved paths where it is not
    /// given.
    #[arg(long, value_name = "N")]
    pub depth: Option<usize>,
    /// Show, or with JSON give, the whole tree: leave out nothing, and shorten no line.
    #[arg(long)]
    pub full: bool,
    /// List every path after its disposition (`keep`, `carry`, `part`, `delete`) and a
    /// tabulator, one a line: for grep and diff.
    #[arg(long, conflicts_with_all = ["full", "depth"])]
    pub list: bool,
    /// How to print.
    #[arg(long, value_enum, default_value_t)]
    pub format: PlanFormat,
    /// Write there rather than to standard output.
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub paging: Paging,
}

impl Plan {
    /// What is wrong with the command line that the parser does not see.
    pub fn conflict(&self) -> Option<&'static str> {
        (self.list && self.format != PlanFormat::Text)
            .then_some("--list is a format of its own; leave --format out")
    }
}

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PlanFormat {
    /// For people: a tree that fits the terminal.
    #[default]
    #[value(alias = "table")]
    Text,
    /// For programs.
    Json,
    /// For people: one page with a map, to be opened in a browser.
    Html,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "plan",
    fine: "the switch would go well",
    unfit: Some("an extension is incompatible, a policy failed, or the switch would be refused"),
    unknown: Some(
        "the policies could not be asked: the operating system that the extensions are for is not known, say",
    ),
    examples: &[
        "srctl plan",
        "srctl plan initrd.img --list | grep ^keep",
        "srctl plan initrd.img --explain /var/log/boot.log --as file,size=70000",
        "srctl plan initrd.img --os-release /mnt/etc/os-release --format html -o plan.html",
    ],
    ..GROUP
};

/// Runs the command.
pub fn run(command: &Plan, progress: &dyn Progress) -> Result<Outcome> {
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
            return Err(Error::input(NotShown::Page));
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
    if let Some(problem) = problem {
        plan.report.warnings.push(problem);
        plan.report.warning_codes.push(None);
    }
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
    Error::system(Attempt::Json, &error.into())
}

fn write(output: Option<&Path>, text: &str, paged: bool) -> Result<()> {
    let Some(path) = to_file(output) else {
        return pager::exactly(text, paged);
    };
    let output = AtomicFile::create(path)?;
    output
        .as_file()
        .write_all(text.as_bytes())
        .map_err(|error| {
            let path = path.shown();
            Error::system(Attempt::Write { path }, &error)
        })?;
    output.commit()?;
    say(&format!("wrote {}\n", path.shown()));
    Ok(())
}
