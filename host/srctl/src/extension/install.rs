//! `srctl extension install`: everything between a machine configuration and the
//! initramfs that the machine boots.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use extension::configuration::{self, Configuration};
use extension::pack::{self, Layer};
use extension::validate::{self, Checked};
use extension::{conflict, folder};
use initramfs::image::Around;
use initramfs::kept::Kept;
use initramfs::machine::{self, Root};
use initramfs::segments::{self, Replaced};
use oci::pull::{self, Platform, Pulled};
use oci::reference::ImageRef;
use policy::compatibility::Judged;
use serde_json::{Value, json};
use switch_root_core::contract::{HostFacts, Outcome as Verdict};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::output::AtomicFile;
use switch_root_core::progress::Progress;
use switch_root_core::text::bytes;

use super::findings;
use super::pack::{options as packing, report_invalid, to_pack};
use super::pull::{options as pulling, warn_of_dropped};
use super::record::record;
use super::validate::{reasons, verdict, verdict_tone, verdicts};
use crate::access::with_plain_http;
use crate::command::format::Printing;
use crate::command::options::{MachineOptions, PackOptions, RegistryOptions};
use crate::command::row::{GROUP, Row};
use crate::facts::{self, Found, NoMachine};
use crate::input;
use crate::judge;
use crate::outcome::Outcome;
use crate::print;
use crate::recompressed;
use crate::table::{short, toned_table};

switch_root_core::outcomes! {
    /// Why nothing is installed.
    pub(crate) enum NotInstalled in "srctl" {
        /// Put several extensions into one image, or leave some out.
        "SR-H52" TooMany { config: String, count: usize, most: usize } = "{config} lists {count} extensions, and no more than {most} are activated at boot",
        /// The system's own words follow.
        "SR-H53" Work { folder: String } = "cannot work in {folder}",
        "SR-H54" Layers = "cannot make a folder for the layers",
        /// An empty list is taken for a mistake, unless it is said that it is none.
        "SR-H55" Removal { output: String, config: String, initramfs: String, removed: String } = "{output} was not written: {config} lists no extensions, and {initramfs} has some, which it would lose ({removed}); take them out with --remove-all, if that is what you want",
    }
}

/// `srctl extension install`.
#[derive(Debug, Args)]
pub struct Install {
    /// The machine configuration: `machine.install.extensions` and `machine.registries`.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// The initramfs to start from. It is not changed.
    #[arg(long, value_name = "FILE")]
    pub initramfs: PathBuf,
    /// The initramfs to write: there whole, or not at all.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,
    /// A folder of policies that are asked beside those of the initramfs.
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// Where extensions and layers are meanwhile [default: beside OUT]. It needs room for both,
    /// and a file system with symbolic links.
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Install incompatible extensions, too: at boot they are left out, unless the machine is
    /// another one by then.
    #[arg(long)]
    pub allow_incompatible: bool,
    /// Take all extensions out of an initramfs that has some, where the configuration lists none.
    #[arg(long)]
    pub remove_all: bool,
    #[command(flatten)]
    pub machine: MachineOptions,
    #[command(flatten)]
    pub registries: RegistryOptions,
    #[command(flatten)]
    pub packing: PackOptions,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "extension install",
    fine: "the initramfs was written",
    unfit: Some("an extension is invalid or incompatible, and nothing was written"),
    unknown: Some(
        "it was written, and whether an extension's kernel modules are for the machine's kernel is not known",
    ),
    examples: &[
        "srctl extension install --config machine.yaml --initramfs in.img -o out.img",
        "srctl extension install --config machine.yaml --initramfs in.img -o out.img --target-version 1.9.2 --allow-incompatible",
    ],
    ..GROUP
};

/// Runs the command. In this order, so that what is wrong is known as early as it
/// can be; the initramfs is there at the very end.
pub fn run(command: &Install, progress: &dyn Progress) -> Result<Outcome> {
    let Configuration {
        extensions,
        registries,
        warnings,
    } = configuration::parse(&input::read(&command.config)?, &command.config.shown())?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let images: Vec<ImageRef> = extensions.into_iter().map(|one| one.image).collect();
    if images.len() > pack::LAYERS {
        return Err(Error::input(NotInstalled::TooMany {
            config: command.config.shown(),
            count: images.len(),
            most: pack::LAYERS,
        }));
    }
    let mut output = AtomicFile::create(&command.output)?;
    let work = match &command.work_dir {
        Some(folder) => tempfile::tempdir_in(folder).map_err(|error| {
            let folder = folder.shown();
            Error::system(NotInstalled::Work { folder }, &error)
        })?,
        None => output.folder_beside()?,
    };
    let folder_of = |name: &str| work.path().join(name);
    let mut policies = Kept::new(&folder_of("root"));
    let task = progress.begin(&command.initramfs.shown(), None);
    task.say("reading");
    let found = machine::examine(&command.initramfs, &mut policies, work.path())?;
    drop(task);
    if let Some(inner) = found.inner {
        let name = command.initramfs.shown().to_string();
        return Err(Around::of_change("install extensions into", name, inner));
    }
    if let Some(problem) = &found.problem {
        tracing::warn!("{problem}");
    }
    let platform = facts::platform(
        command.registries.platform.as_ref(),
        found.architecture,
        &command.initramfs,
    )?;
    let kernels = match &command.machine.kernel_release {
        Some(release) => [release.clone()].into(),
        None => found.kernel_releases,
    };
    let host = host(
        command,
        Found {
            os_release: found.os_release,
            kernel_release: only(&kernels),
            architecture: found.architecture,
        },
        &platform,
        images.is_empty(),
    )?;
    let registries = with_plain_http(registries, &command.registries.access);
    let pulling = pulling(&command.registries, platform, &registries, progress);

    let unpacked = folder_of("extensions");
    let pulled = pull::pull(&images, &unpacked, &pulling)?;
    warn_of_dropped(&pulled);
    let (checked, findings) = validate::validate(&folder::list(&unpacked)?)?;
    let Fit { unfit, unknown } = fit(&checked, &kernels, &found.root);
    for sentence in unknown.iter().chain(&unfit) {
        tracing::warn!("{sentence}");
    }
    let is_known = unknown.is_empty();
    let fit = unfit.is_empty() || command.allow_incompatible;
    if report_invalid(&findings) || !fit {
        if !fit {
            print::say(&not_written(command));
        }
        if command.printing.json() {
            let findings = findings::json(&findings);
            print::json(&json!({"written": false, "findings": findings, "unfit": unfit}))?;
        }
        return Ok(Outcome::Unfit);
    }
    let layers_folder = folder_of("layers");
    std::fs::create_dir(&layers_folder)
        .map_err(|error| Error::system(NotInstalled::Layers, &error))?;
    let packing = packing(&command.packing, progress);
    let layers = pack::layers(&to_pack(&checked), &layers_folder, &packing)?;
    let records = layers
        .iter()
        .map(|layer| record(&layer.image, Some(&layer.digest), &layer.metadata))
        .collect::<Result<Vec<_>>>()?;
    let judgement = judge::ask(&policies, command.policies.as_deref(), &host, &records)?;
    for warning in &judgement.warnings {
        tracing::warn!("{warning}");
    }
    let installed = command.allow_incompatible
        || judgement
            .extensions
            .iter()
            .all(|one| one.outcome != Verdict::Incompatible);
    let replaced = if installed {
        let task = progress.begin(&command.output.shown(), None);
        task.say("writing");
        let replaced =
            segments::replace_extensions(&command.initramfs, &mut output, &mut |writer| {
                pack::write_archive(&layers, writer, &packing)
            })?;
        if images.is_empty() && !replaced.removed.is_empty() && !command.remove_all {
            return Err(none_left(command, &replaced.removed));
        }
        output.commit()?;
        Some(replaced)
    } else {
        None
    };
    let summary = summarize(command, &pulled, &layers, &judgement.extensions, replaced);
    if let Err(error) = summary {
        if !installed {
            return Err(error);
        }
        // What counts is done.
        tracing::warn!("{error}");
    }
    if !installed {
        print::say(&not_written(command));
    }
    Ok(Outcome::of(installed, is_known))
}

/// That an image would lose all that it has, which a wrong or an unfinished
/// configuration would have it do.
fn none_left(command: &Install, removed: &[String]) -> Error {
    Error::input(NotInstalled::Removal {
        output: command.output.shown(),
        config: command.config.shown(),
        initramfs: command.initramfs.shown(),
        removed: removed.join(", "),
    })
}

fn not_written(command: &Install) -> String {
    format!(
        "srctl: {} was not written: not every extension is compatible; leave it out of {}, or install it all the same with --allow-incompatible\n",
        command.output.shown(),
        command.config.shown()
    )
}

/// What policies are told of the machine.
fn host(
    command: &Install,
    found: Found,
    platform: &Platform,
    nobody_is_asked: bool,
) -> Result<HostFacts> {
    match facts::facts(&command.machine, found, platform)? {
        Some(host) => Ok(host),
        None if nobody_is_asked => Ok(HostFacts {
            os_release: Vec::new(),
            kernel_release: String::new(),
            architecture: String::new(),
            kernel_command_line: String::new(),
        }),
        None => {
            let path = command.initramfs.shown();
            Err(Error::input(NoMachine::Initramfs { path }))
        }
    }
}

/// What no policy can know of extensions, a sentence each.
#[derive(Default)]
struct Fit {
    /// Their kernel modules are for none of the machine's kernels, or their files do not go
    /// with the root image's.
    unfit: Vec<String>,
    /// Whether they are cannot be said.
    unknown: Vec<String>,
}

fn fit(checked: &[Checked], kernels: &BTreeSet<String>, root: &Root) -> Fit {
    let mut fit = Fit::default();
    for one in checked {
        let Some(contents) = &one.contents else {
            continue;
        };
        let conflict = conflict::conflict(root, contents);
        fit.unfit
            .extend(conflict.map(|reason| format!("{} {reason}", one.name)));
        let releases: Vec<&str> = contents.kernel_releases().into_iter().collect();
        if releases.is_empty() || releases.iter().any(|release| kernels.contains(*release)) {
            continue;
        }
        if kernels.is_empty() {
            fit.unknown.push(format!(
                "{} has kernel modules, and the initramfs tells of no kernel that they could be compared with; name it with --kernel-release",
                one.name
            ));
            continue;
        }
        let kernels: Vec<&str> = kernels.iter().map(String::as_str).collect();
        fit.unfit.push(format!(
            "{} has kernel modules for {}, and not for what the machine boots, {}; --kernel-release names another one",
            one.name,
            releases.join(", "),
            kernels.join(", ")
        ));
    }
    fit
}

/// The only element, where there is one.
fn only(releases: &BTreeSet<String>) -> Option<String> {
    releases.first().filter(|_| releases.len() == 1).cloned()
}

fn summarize(
    command: &Install,
    pulled: &[Pulled],
    layers: &[Layer],
    judged: &[Judged],
    replaced: Option<Replaced>,
) -> Result<()> {
    if command.printing.json() {
        let layers: Value = layers
            .iter()
            .zip(pulled)
            .map(|(layer, pulled)| {
                json!({
                    "reference": pulled.image.text,
                    "image_digest": pulled.digest,
                    "layer": layer.image,
                    "size": layer.size,
                    "digest": layer.digest,
                })
            })
            .collect();
        return print::json(&json!({
            "written": replaced.is_some(),
            "recompressed": replaced.as_ref().map(recompressed::json),
            "removed": replaced.map(|replaced| replaced.removed),
            "layers": layers,
            "verdicts": verdicts(judged),
        }));
    }
    let rows: Vec<_> = layers
        .iter()
        .zip(judged)
        .map(|(layer, judged)| {
            [
                short(&layer.image),
                judged.extension.name.clone(),
                judged.extension.version.clone(),
                bytes(layer.size),
                verdict(judged.outcome).to_owned(),
                reasons(judged),
            ]
        })
        .collect();
    let headings = ["LAYER", "NAME", "VERSION", "SIZE", "VERDICT", "REASON"];
    let mut text = toned_table(headings, &rows, |column, cell| match column {
        4 => verdict_tone(cell),
        _ => None,
    });
    if let Some(replaced) = replaced {
        if !replaced.removed.is_empty() {
            let removed = replaced.removed.join(", ");
            text.push_str(&format!("replaced {removed}\n"));
        }
        text.push_str(&recompressed::text(&replaced));
        text.push_str(&format!("wrote {}\n", command.output.shown()));
    }
    print::print(&text)
}
