//! `srctl image add-policy`: from components to an initramfs that is sure to run them.

mod native;
mod show;

use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use clap::Args;
use initramfs::boot_program::Binary;
use initramfs::image::Around;
use initramfs::kept::Kept;
use policy::session::Session;
use policy::sidecar::Sidecar;
use policy::source::Source;
use policy::trust::Trust;
use policy::{consequence, engine, folder};
use switch_root_core::error::{Error, Result};
use switch_root_core::escape::Shown;
use switch_root_core::locations;
use switch_root_core::outcome::Message;
use switch_root_core::output::AtomicFile;
use switch_root_core::progress::Progress;
use toolkit::loading;
use toolkit::policies::{self, Addition, Additions, Image};

use crate::command::format::Printing;
use crate::command::options::Archive;
use crate::command::row::{MAKER, Row};
use crate::extension::compression;
use crate::input::{self, shown};
use crate::outcome::Outcome;
use crate::policy::files::{components, read as read_policy};
use crate::policy::trust;

switch_root_core::outcomes! {
    /// Why no policy is added.
    pub(crate) enum NotAdded in "srctl" {
        /// The option says something of one policy.
        "SR-H36" Option { option: &'static str, count: usize } = "{option} is for one policy, and {count} are to be added; add them one by one",
        "SR-H37" Name { path: String } = "the name of {path} is not UTF-8; name the policy with --name",
        "SR-H38" SameName { path: String, name: String } = "{path} would be the second policy of the name {name}; add them one by one, with --name",
        /// The operator's folder comes before the vendor's.
        "SR-H39" Overridden { path: String, other: String, image: String } = "{path} would not be used: {other} of {image} replaces the vendor's policy of this name; leave --vendor out, or choose another name with --name",
        "SR-H40" ListName = "--trust names no file whose name is UTF-8",
        /// Each program takes what is compiled for its architecture.
        "SR-H41" NoCompiler { program: &'static str, image: String } = "--compile none would add what cannot run: /{program} of {image} has no compiler; leave the option out",
        "SR-H42" NoTarget { image: String } = "{image} does not tell what to compile for: neither its init nor its switch_root is a program; name a target with --compile x86_64-unknown-linux-musl, or have the policies compiled at boot with --compile none",
    }
}

/// `srctl image add-policy`.
#[derive(Clone, Debug, Args)]
pub struct AddPolicy {
    /// The initramfs to start from. It is not changed.
    #[arg(value_name = "INITRAMFS")]
    pub initramfs: PathBuf,
    /// The policies, or the folders of their projects. The signature of each is POLICY.wasm.sig,
    /// beside it.
    #[arg(value_name = "POLICY.wasm|DIR", required = true)]
    pub policies: Vec<PathBuf>,
    /// The initramfs to write: there whole, or not at all.
    #[arg(long, short, value_name = "OUT")]
    pub output: PathBuf,
    /// The name of the policy in the initramfs, which says when it is asked [default: that of the
    /// file, with 50- in front].
    #[arg(long, value_name = "NN-NAME")]
    pub name: Option<String>,
    /// The policy's sidecar file: `settings`, `limits` and `on_failure`. It goes with the policy.
    #[arg(long, value_name = "FILE.json")]
    pub settings: Option<PathBuf>,
    /// Whose signatures are accepted now: a list as OpenSSH's allowed_signers, or a folder with
    /// such lists (*.signers).
    #[arg(long, value_name = "FILE|DIR")]
    pub signers: Option<PathBuf>,
    /// Put this list of signers into the initramfs (/usr/lib/switch-root/trust/): it boots only
    /// with policies that one of them signed.
    #[arg(long, value_name = "FILE")]
    pub trust: Option<PathBuf>,
    /// What the policies are compiled for: a target triple, or `none` to have them compiled at
    /// boot [default: what the initramfs' init is a program for].
    #[arg(long, value_name = "TARGET|none")]
    pub compile: Option<String>,
    /// Put them where the vendor's are (/usr/lib/switch-root/policies.d), not the operator's
    /// (/etc/switch-root/policies.d).
    #[arg(long)]
    pub vendor: bool,
    /// How the archive that is appended is compressed.
    #[arg(long, value_enum, default_value_t)]
    pub compression: Archive,
    #[command(flatten)]
    pub printing: Printing,
}

/// What its exit statuses mean, and how it is called.
pub const ROW: Row = Row {
    command: "image add-policy",
    fine: "the initramfs was written",
    failed: "something failed, or a policy is not accepted; what, is printed",
    examples: &[
        "srctl image add-policy initrd.img keep-logs.wasm -o new.img",
        "srctl image add-policy initrd.img keep-logs.wasm -o new.img --settings keep-logs.json --signers release.signers",
    ],
    ..MAKER
};

/// What is not compiled ahead of time.
const NONE: &str = "none";

/// What is to be done about a policy that cannot be compiled here.
const AT_BOOT: &str = "with --compile none it is compiled at boot";

/// Runs the command. What is wrong is found before anything is written.
pub fn run(command: &AddPolicy, progress: &dyn Progress) -> Result<Outcome> {
    let command = &AddPolicy {
        policies: components(&command.policies)?,
        ..command.clone()
    };
    let names = names(command)?;
    let mut output = AtomicFile::create(&command.output)?;
    let work = output.folder_beside()?;
    let root = work.path().join("root");
    let task = progress.begin(&command.initramfs.shown(), None);
    task.say("reading");
    let mut image = policies::survey(&command.initramfs, &root)?;
    // Its thread ends with it, and whoever loads the policies must be alone.
    drop(task);
    if let Some(found) = image.inner.take() {
        let name = shown(&command.initramfs);
        return Err(Around::of_change("add a policy to", name, found));
    }
    if image.cut_off {
        tracing::warn!(
            "{} ends without a trailer: if it was cut off there, what followed is missing, and with what is added nothing will show it",
            shown(&command.initramfs)
        );
    }
    let mut additions = read(command, &names, &image.policies)?;
    let target = target(command, &image)?;
    let signers = verify(command, &additions, &mut image.policies)?;
    // In the process of the judge, which is forked: before anything starts threads.
    for (addition, file) in additions.policies.iter().zip(&command.policies) {
        load(addition, file, command.settings.as_deref())?;
    }
    if let Some(target) = &target {
        for (addition, file) in additions.policies.iter_mut().zip(&command.policies) {
            let compiled = loading::ahead(&addition.name, &addition.wasm, target, progress);
            let native = compiled.map_err(|reason| {
                let reason = reason.said_of(shown(file));
                Error::input(reason.reworded(|it| format!("{it}; {AT_BOOT}")))
            })?;
            addition.native = Some(native);
        }
    }
    let files = native::Files {
        initramfs: &command.initramfs,
        output: &command.output,
    };
    native::list(&mut additions, &image, files, target.is_some(), progress)?;
    let task = progress.begin(&command.output.shown(), None);
    task.say("writing");
    let replaced = additions.write(
        &command.initramfs,
        &image,
        compression(command.compression),
        &mut output,
    )?;
    check(command, &output)?;
    output.commit()?;
    drop(task);
    let json = command.printing.json();
    let target = target.as_deref();
    show::show(
        json,
        &command.output,
        &additions,
        &signers,
        target,
        &replaced,
    )?;
    Ok(Outcome::Fine)
}

/// The names that the policies get.
fn names(command: &AddPolicy) -> Result<Vec<String>> {
    let one = command.policies.len() == 1;
    for (option, given) in [
        ("--name", command.name.is_some()),
        ("--settings", command.settings.is_some()),
    ] {
        if given && !one {
            let count = command.policies.len();
            return Err(Error::input(NotAdded::Option { option, count }));
        }
    }
    let mut names: Vec<String> = Vec::new();
    for file in &command.policies {
        let stem = file.file_stem().unwrap_or_default();
        let stem = stem.to_str().ok_or_else(|| {
            let path = shown(file);
            Error::input(NotAdded::Name { path })
        });
        let name = match &command.name {
            Some(name) => name.clone(),
            None => policies::default_name(stem?),
        };
        policies::check_name(&name)?;
        if names.contains(&name) {
            let path = shown(file);
            return Err(Error::input(NotAdded::SameName { path, name }));
        }
        names.push(name);
    }
    Ok(names)
}

/// Reads what is to be added, but for what is compiled.
fn read(command: &AddPolicy, names: &[String], in_image: &Kept) -> Result<Additions> {
    let mut additions = Additions {
        folder: if command.vendor {
            locations::VENDOR
        } else {
            locations::OPERATOR
        },
        ..Additions::default()
    };
    for (file, name) in command.policies.iter().zip(names) {
        if let (true, Some(other)) = (command.vendor, policies::overriding(in_image, name)) {
            return Err(Error::input(NotAdded::Overridden {
                path: shown(file),
                other,
                image: shown(&command.initramfs),
            }));
        }
        let sidecar = command.settings.as_deref().map(input::read).transpose()?;
        let settings = Path::new(additions.folder).join(format!("{name}.json"));
        if sidecar.is_none() && in_image.has(&settings) && !in_image.is_empty(&settings) {
            tracing::warn!(
                "{} of the image is removed, since it was for the policy that {} replaces; give the settings with --settings if it is to have them, too",
                shown(&settings),
                shown(file)
            );
        }
        additions.policies.push(Addition {
            name: name.clone(),
            wasm: read_policy(file)?,
            signature: trust::signature(file)?,
            native: None,
            sidecar,
        });
    }
    if let Some(list) = &command.trust {
        // That it can be read as one is found out before it keeps a machine from booting.
        trust::read(list)?;
        let stem = list.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.ok_or_else(|| Error::input(NotAdded::ListName))?;
        policies::check_name(stem)?;
        let bytes = input::read(list)?;
        additions.signers = Some((format!("{stem}.signers"), bytes));
    }
    Ok(additions)
}

/// The target triple that is compiled for; `None` where nothing is.
fn target(command: &AddPolicy, image: &Image) -> Result<Option<String>> {
    let boot = image
        .programs
        .iter()
        .find_map(|program| Some((program, program.binary.as_ref()?)));
    let ours = boot.as_ref().map(|(program, _)| *program);
    let architecture = ours
        .or(image.programs.first())
        .map(|program| program.architecture);
    match (command.compile.as_deref(), architecture) {
        (Some(NONE), _) => match boot {
            Some((program, Binary { small: true, .. })) => {
                Err(Error::input(NotAdded::NoCompiler {
                    program: program.path,
                    image: shown(&command.initramfs),
                }))
            }
            _ => Ok(None),
        },
        (Some(target), _) if target.contains('-') => Ok(Some(target.to_owned())),
        (Some(architecture), _) | (None, Some(architecture)) => {
            Ok(Some(engine::target_of(architecture)))
        }
        (None, None) => {
            let image = shown(&command.initramfs);
            Err(Error::input(NotAdded::NoTarget { image }))
        }
    }
}

/// Holds all signatures against what the command line and the initramfs demand, and
/// gives back who signed which policy. The additions are among `policies` then.
fn verify(
    command: &AddPolicy,
    additions: &Additions,
    policies: &mut Kept,
) -> Result<Vec<Option<String>>> {
    additions.stage(policies)?;
    let in_image = Trust::of(policies).map_err(|reason| {
        let image = shown(&command.initramfs);
        Error::input(reason.reworded(|it| format!("{image} cannot be booted: its {it}")))
    })?;
    let given = command.signers.as_deref().map(trust::read).transpose()?;
    let mut signers = vec![None; additions.policies.len()];
    // The initramfs goes last: its word is the one that the report will have.
    for accepted in given.iter().chain(&in_image) {
        for ((addition, file), signer) in additions
            .policies
            .iter()
            .zip(&command.policies)
            .zip(&mut signers)
        {
            let signature = addition.signature.as_deref();
            let signed = trust::check(accepted, file, &addition.wasm, signature);
            *signer = Some(signed.map_err(Error::input)?.signer.principals.clone());
        }
    }
    // The others that it holds have to be signed, too, or it would not boot.
    would_switch(command, policies)?;
    Ok(signers)
}

/// Reads what was written as a boot does, links, hard links and all: what it would refuse to
/// switch with is not left behind.
fn check(command: &AddPolicy, output: &AtomicFile) -> Result<()> {
    let path = format!("/proc/self/fd/{}", output.as_file().as_raw_fd());
    let image = ::initramfs::image::Image::read(
        Path::new(&path),
        &::initramfs::tree::Limits::default(),
        &::initramfs::tree::Wanted::of_plan(),
    )?;
    would_switch(command, &::initramfs::files::Files(&image.tree))
}

/// Refuses policies that a boot would refuse to switch with, for their signatures.
fn would_switch(command: &AddPolicy, policies: &dyn Source) -> Result<()> {
    let all = folder::discover_in(policies, None);
    match consequence::unsigned(&Session::new(&all)) {
        Some(refusal) => {
            let image = shown(&command.output);
            let why = |it: &str| format!("{image} would refuse to boot: {it}");
            Err(Error::input(Message::from(refusal).reworded(why)))
        }
        None => Ok(()),
    }
}

/// Loads a policy with its settings, as at boot.
fn load(addition: &Addition, file: &Path, settings: Option<&Path>) -> Result<()> {
    let sidecar = match (&addition.sidecar, settings) {
        (Some(bytes), Some(path)) => Sidecar::parse(bytes)
            .map_err(|reason| Error::input(Message::from(reason).said_of(shown(path))))?,
        _ => Sidecar::default(),
    };
    let policy = loading::policy(file, addition.wasm.clone(), sidecar);
    let account = loading::load(&policy, true)?;
    let Some(failure) = account.failures.first() else {
        return Ok(());
    };
    let with = settings.map_or(String::new(), |path| {
        format!("with the settings of {} ", shown(path))
    });
    let file = shown(file);
    let failure = Message::from(failure.clone());
    Err(Error::input(failure.reworded(|it| {
        format!("{file} is not added: {with}it {it}")
    })))
}
