//! `srctl rehearse`: the real switch, with an image, where it harms nobody.

mod show;

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use initramfs::image::Image;
use initramfs::tree::Wanted;
use preview::plan::Asking;
use preview::rehearsal::compare::{Comparison, compare};
use preview::rehearsal::{self, Options, Outcome as Happened, Place, Rehearsed};
use serde_json::{Value, json};
use switch_root_core::contract::HostFacts;
use switch_root_core::error::{Error, Kind, Result};
use switch_root_core::escape::Shown;
use switch_root_core::os_release;
use switch_root_core::parameters::{self, Incompatible};
use switch_root_core::progress::Progress;

use crate::command::format::Printing;
use crate::command::options::LimitOptions;
use crate::command::row::Row;
use crate::input::{self, shown};
use crate::outcome::Outcome;
use crate::plan;
use crate::print;

switch_root_core::outcomes! {
    /// Why a rehearsal is not what was wanted.
    pub(crate) enum Unplanned in "srctl" {
        /// The differences are in what is printed. Report them: plan and switch are one.
        "SR-H60" Differs { image: String } = "{image} does not switch as planned: see above",
        "SR-H61" Compare = "cannot compare with the plan",
        /// `--plan` takes what `srctl plan IMAGE --format json` prints.
        "SR-H62" NotJson { path: String, error: String } = "cannot read {path}: it is no JSON: {error}",
        "SR-H63" Report { path: String } = "{path} is not a plan: it is the report of a boot; make a plan with srctl plan IMAGE --format json",
        "SR-H64" NoPlan { path: String } = "{path} is no plan: it has no survivors and no deletion; make one with srctl plan IMAGE --format json",
    }
}

/// `srctl rehearse`.
#[derive(Debug, Args)]
pub struct Rehearse {
    /// The initramfs.
    #[arg(value_name = "IMAGE")]
    pub image: PathBuf,
    /// Rehearse in a virtual machine (QEMU) rather than in namespaces.
    #[arg(long, requires = "kernel")]
    pub vm: bool,
    /// The kernel that the virtual machine boots.
    #[arg(long, value_name = "FILE", requires = "vm")]
    pub kernel: Option<PathBuf>,
    /// The memory of the virtual machine [default: what the image needs].
    #[arg(long, value_name = "MiB", requires = "vm", value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    pub memory: Option<u32>,
    /// The switch_root to execute [default: the image's own, or else the one beside srctl].
    #[arg(long, value_name = "FILE")]
    pub switch_root: Option<PathBuf>,
    /// The os-release file of the new root [default: that of the image's root image].
    #[arg(long, value_name = "FILE")]
    pub os_release: Option<PathBuf>,
    /// Kernel parameters, such as `switch_root.policies=default`.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub append: String,
    /// A plan to compare with, as `srctl plan --format json` prints it [default: one that is
    /// made with what policies are told in the rehearsal].
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Entries of the image that are unpacked at most.
    #[arg(long, value_name = "N", default_value_t = initramfs::tree::Limits::default().entries)]
    pub max_entries: u64,
    /// Bytes, decompressed, that are unpacked at most: into memory.
    #[arg(long, value_name = "N", default_value_t = 2 << 30, value_parser = clap::value_parser!(u64).range(1 << 20..))]
    pub max_bytes: u64,
    /// How long it may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout: u32,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "rehearse",
    fine: "it switched, as planned and well",
    failed: "something failed, or it did not go as planned; what, is printed",
    unfit: Some("as planned, but one of the reasons of `plan`"),
    unknown: Some("as planned, and the operating system that the extensions are for is not known"),
    examples: &[
        "srctl rehearse initrd.img",
        "srctl rehearse initrd.img --vm --kernel vmlinuz --os-release /etc/os-release",
    ],
};

/// Runs the command.
pub fn run(command: &Rehearse, progress: &dyn Progress) -> Result<Outcome> {
    let given = command.plan.as_deref().map(read_plan).transpose()?;
    let options = options(command)?;
    let limits = LimitOptions {
        max_entries: command.max_entries,
        max_bytes: command.max_bytes,
    };
    let image = plan::read(&command.image, &limits, &Wanted::of_plan(), progress)?;
    let task = progress.begin(&command.image.shown(), None);
    task.say("rehearsing");
    let rehearsed = rehearsal::rehearse(&image, &options)?;
    // Its thread ends with it, and whoever asks the policies must be alone.
    drop(task);
    let planned = match given {
        Some(given) => Some(given),
        None => plan_of(&image, &rehearsed)?,
    };
    let comparison = planned.as_ref().map(|plan| compare(plan, &rehearsed));
    if command.printing.json() {
        print::json(&as_json(&rehearsed, comparison.as_ref()))?;
    } else {
        print::print(&show::text(&rehearsed, comparison.as_ref()))?;
    }
    match comparison {
        Some(Comparison { differences, .. }) if !differences.is_empty() => Err(Error::new(
            Kind::Input,
            Unplanned::Differs {
                image: command.image.shown(),
            },
        )),
        _ => Ok(outcome(&rehearsed)),
    }
}

fn options(command: &Rehearse) -> Result<Options> {
    let os_release = command.os_release.as_deref();
    Ok(Options {
        place: match &command.kernel {
            Some(kernel) => Place::Machine {
                kernel: kernel.clone(),
                memory: command.memory,
            },
            None => Place::Namespaces,
        },
        switch_root: command.switch_root.clone(),
        otherwise: beside(),
        os_release: os_release.map(input::read_text).transpose()?,
        kernel_command_line: command.append.clone(),
        max_bytes: command.max_bytes,
        timeout: Duration::from_secs(command.timeout.into()),
    })
}

/// Plans with what policies were told of the machine in the rehearsal. There is no plan where
/// the kernel's command line has something for an init that is called as `switch_root` here.
fn plan_of(image: &Image, rehearsed: &Rehearsed) -> Result<Option<Value>> {
    let facts = &rehearsed.facts;
    let parameters = parameters::parse(&facts.kernel_command_line);
    let of_init = parameters.root.is_some() || parameters.incompatible == Incompatible::Halt;
    if of_init && image.is_init_mode() {
        return Ok(None);
    }
    let host = HostFacts {
        os_release: os_release::parse(facts.os_release.as_deref().unwrap_or_default()),
        kernel_release: facts.kernel_release.clone(),
        architecture: facts.architecture.clone(),
        kernel_command_line: facts.kernel_command_line.clone(),
    };
    let plan = ::preview::plan::make(
        image,
        &Asking {
            host: Some(&host),
            inits: vec![rehearsal::INIT.into()],
            ..Asking::default()
        },
    )?;
    let plan = serde_json::to_value(&plan.report)
        .map_err(|error| Error::system(Unplanned::Compare, &error.into()))?;
    Ok(Some(plan))
}

/// The `switch_root` in the directory of this program.
fn beside() -> Option<std::path::PathBuf> {
    let own = std::env::current_exe().ok()?;
    let path = own.parent()?.join("switch_root");
    path.is_file().then_some(path)
}

fn read_plan(path: &std::path::Path) -> Result<Value> {
    let plan: Value = serde_json::from_slice(&input::read(path)?).map_err(|error| {
        Error::input(Unplanned::NotJson {
            path: path.shown(),
            error: error.to_string(),
        })
    })?;
    if !plan["boot_id"].is_null() {
        let path = shown(path);
        return Err(Error::input(Unplanned::Report { path }));
    }
    if !plan["survivors"].is_array() || !plan["deletion"].is_object() {
        let path = path.shown();
        return Err(Error::input(Unplanned::NoPlan { path }));
    }
    Ok(plan)
}

/// Whether the machine would start as whoever made the image wants it: nothing is
/// refused, no policy fails, and no extension is incompatible. Where nobody said which
/// operating system the new root has, the verdicts are none on this machine.
fn outcome(rehearsed: &Rehearsed) -> Outcome {
    let Happened::Switched { report, .. } = &rehearsed.outcome else {
        return Outcome::Unfit;
    };
    let list = |name: &str| report[name].as_array().cloned().unwrap_or_default();
    let failed = |policy: &Value| {
        policy["failures"]
            .as_array()
            .is_some_and(|it| !it.is_empty())
    };
    let extensions = list("extensions");
    let is_known = rehearsed.facts.os_release.is_some() || extensions.is_empty();
    let incompatible = extensions
        .iter()
        .any(|extension| extension["verdict"] == "incompatible");
    let fails = list("policies").iter().any(failed);
    Outcome::of(!(fails || incompatible && is_known), is_known)
}

fn as_json(rehearsed: &Rehearsed, comparison: Option<&Comparison>) -> Value {
    let (report, preserved, refused) = match &rehearsed.outcome {
        Happened::Switched { report, preserved } => (report.clone(), json!(preserved), Value::Null),
        Happened::Refused(reason) => (Value::Null, Value::Null, json!(reason)),
    };
    json!({
        "switch_root": rehearsed.program,
        "kernel": {
            "release": rehearsed.facts.kernel_release,
            "architecture": rehearsed.facts.architecture,
            "command_line": rehearsed.facts.kernel_command_line,
        },
        "refused": refused,
        "report": report,
        "preserved": preserved,
        "log": rehearsed.log,
        "notes": show::notes(rehearsed, comparison),
        "unknown": show::unknown(rehearsed).into_iter().collect::<Vec<_>>(),
        "as_planned": comparison.map(|it| it.differences.is_empty()),
        "differences": comparison.map(|it| it.differences.clone()).unwrap_or_default(),
    })
}
