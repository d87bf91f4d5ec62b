//! The program called `init`: boots an image whole. What a script in an initramfs
//! would do before it calls `switch_root` is done here: the pseudo file systems,
//! the modules that the kernel lacks, the root image, and on it the layers of
//! the extensions that are compatible. Then the switch goes its usual way.

mod activation;
mod attributes;
mod conflict;
mod directed;
mod image;
mod loop_device;
mod modules;
mod mounted;
pub mod outcomes;
mod overlay;
mod pseudo;
mod rescue;
mod top;
mod usable;

switch_root_core::outcomes! {
    /// What is said of an initramfs that the kernel unpacked, where no extension may be missing.
    pub enum Unpacking in "root-image" {
        /// The archive with the extensions may be the one that is damaged.
        "SR-B24" Failed { failure: String } = "{failure}; switch_root.incompatible=halt is given, and extensions may be among them: start once with switch_root.incompatible=skip to go on without",
    }
}

switch_root_core::outcomes! {
    /// What is not as it should be with a boot.
    pub enum Doubtful in "boot-warnings" {
        /// Asked for by `switch_root.incompatible=halt`. The reason is one of the next.
        "SR-B03" Unpacking { why: Message } = "it is not known whether the kernel unpacked the whole initramfs, extensions included: {why}",
        /// The running system says that it is not the one that the policies were asked about.
        "SR-B04" Replaces { name: String, path: &'static str } = "the layer {name} replaces {path}, and the extensions were reviewed against the os-release of the root image; take the file out of the layer",
    }
}

/// What the fuzzer drives of the parts of a boot.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    pub use super::image::recognize_image;
    pub use super::modules::{load_order, unpack_module};
}

use std::convert::Infallible;
use std::ffi::{OsStr, OsString, c_int};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::time::Instant;

use activation::Activation;
use image::Image;
use modules::Modules;
use mounted::Mounted;
use nix::mount::{MntFlags, umount2};
use policy::compatibility::{self, Judged};
use policy::session::Session;
use rustix::fs::OFlags;
use switch_root_core::contract::HostFacts;
use switch_root_core::locations::{self, NEW_ROOT, ROOT_IMAGES};
use switch_root_core::outcome::{Message, warn};
use switch_root_core::parameters::Parameters;
use switch_root_core::path::Path;
use switch_root_core::resolve::in_root;
use switch_root_core::text::count;
use usable::Usable;

use crate::act::{self, Stop};
use crate::gather::Wanted;
use crate::kernel_log::{self, Unpacked};
use crate::mount_calls::open_directory;
use crate::old_root;
use crate::parameters;
use crate::planner::{self, Compatibility, Facts, ImageFacts, List, Mode, NoRootImage, Options};
use crate::proc::Proc;
use crate::stages::{self, Planned};
use crate::{capabilities, log, machine, processes, start};

/// Boots the machine. Returns the exit status, which for PID 1 means the
/// kernel's panic.
pub fn run(arguments: Vec<OsString>, started: Instant) -> c_int {
    let warnings = pseudo::mount_all();
    start::use_console();
    log::start(true);
    warnings.iter().for_each(warn);
    let mut rescue = None;
    let mut mounted = Vec::new();
    let Err(stop) = boot(arguments, warnings, &mut rescue, &mut mounted, started);
    let (message, changed) = match stop {
        Stop::Refused(reason) => (refusal(reason, &mounted), false),
        Stop::NoInit(reason) => (reason, true),
    };
    log::complain(true, &message);
    if let Some(program) = rescue.filter(|_| !changed) {
        // So that whoever repairs something can execute this program again.
        let _ = umount2(NEW_ROOT, MntFlags::MNT_DETACH);
        rescue::run(&program, Proc::open().ok().as_ref());
    }
    1
}

/// Says why the machine cannot be started, and what was mounted for it until then.
fn refusal(reason: Message, mounted: &[Path]) -> Message {
    reason.reworded(|reason| {
        let Some((root, layers)) = mounted.split_first() else {
            return format!("the machine cannot be started: {reason}");
        };
        let layers = count(layers.len() as u64, "layer", "layers");
        format!(
            "the machine cannot be started: {reason}; by then {root} and {layers} had been mounted, and nothing was deleted"
        )
    })
}

fn boot(
    arguments: Vec<OsString>,
    warnings: Vec<Message>,
    rescue: &mut Option<String>,
    mounted: &mut Vec<Path>,
    started: Instant,
) -> Result<Infallible, Stop> {
    let proc = Proc::open().map_err(Stop::refused)?;
    let (command_line, parameters) = parameters::read(&proc);
    rescue.clone_from(&parameters.rescue);
    if let Some(level) = parameters.log {
        log::set_level(level);
    }
    parameters::log_warnings(&parameters);
    let options = Options {
        // What the kernel did not understand, and what it was told to pass on.
        init_arguments: arguments
            .iter()
            .skip(1)
            .map(|word| Path::from(word.as_bytes()))
            .collect(),
        ..Options::of(&parameters, Mode::ImageBoot)
    };
    let (old_root, initramfs) = old_root::examine().map_err(Stop::refused)?;
    let mut facts = Facts {
        initramfs,
        said: parameters.warnings.clone(),
        ..Facts::default()
    };
    facts.said.extend(warnings);
    planner::refuse_to_delete(&initramfs, &options).map_err(Stop::refused)?;
    capabilities::check().map_err(Stop::refused)?;
    // First: later there are processes of our own.
    let others = processes::find(&proc);
    let found = stages::policies(&parameters);
    let mut session = Session::new(&found.policies);
    stages::refuse_unsigned(&session).map_err(Stop::refused)?;
    // It gets ready while the root image is mounted.
    session.begin();
    let assembled = assemble(
        &mut session,
        (&parameters, &options),
        &command_line,
        &mut facts,
        mounted,
        &proc,
    );
    let (init, compatibility) = assembled.map_err(Stop::Refused)?;
    let wanted = Wanted {
        new_root: OsStr::new(NEW_ROOT),
        init: Some(OsStr::new(&init)),
        unchecked_init: false,
        parameters: &parameters,
        command_line: &command_line,
        others: &others,
        options: &options,
        proc: &proc,
    };
    let begun = (old_root, facts);
    let planned = stages::plan(&wanted, begun, &mut session, Some(compatibility), started);
    let Planned {
        plan,
        open,
        mut account,
        ..
    } = planned.map_err(Stop::Refused)?;
    account.masked_policies.clone_from(&found.masked);
    act::act(&plan, open, account, &proc, started)
}

/// Puts the new root together and finds its init: the root image first, since it
/// says which operating system extensions are judged for; then the layers of
/// those that may be activated; then an overlay of both. What is found out on the way becomes
/// facts, and what is mounted is told.
fn assemble(
    session: &mut Session<'_>,
    (parameters, options): (&Parameters, &Options),
    command_line: &str,
    facts: &mut Facts,
    mounted: &mut Vec<Path>,
    proc: &Proc,
) -> Result<(String, Compatibility), Message> {
    let unpacking = if options.halt {
        check_unpacking()?
    } else {
        None
    };
    let mut modules = Modules::default();
    // What the kernel did not unpack is not missing in the image.
    let root_image = root_image(parameters)
        .map_err(|reason| kernel_log::failure().map_or(reason.into(), Message::from))?;
    modules.loop_devices()?;
    let root = Mounted::new(&root_image, "root", &mut modules)
        .map_err(|reason| unusable(&root_image.path.0, &reason))?;
    mounted.push(root_image.path.clone());
    let (host, warnings) = machine::facts(root.directory.as_fd(), command_line);
    let say = |facts: &mut Facts, warning: Message| {
        warn(&warning);
        facts.said.push(warning);
    };
    for warning in warnings.into_iter().chain(unpacking.map(Message::from)) {
        say(facts, warning);
    }
    facts.list = machine::list(options.extensions);
    facts.host = Some(host);
    planner::refuse_early(facts, options)?;
    let compatibility = read_by_ourselves(stages::ask_compatibility(session, facts), facts);
    planner::refuse_list(facts, &compatibility, options)?;
    let judged: &[Judged] = match &compatibility {
        Compatibility::Judged { extensions, .. } => extensions,
        // The policies could not be asked, which some of them are not to be booted without.
        Compatibility::NoWorker(_) => {
            stages::refuse_on_failure(session)?;
            &[]
        }
        _ => &[],
    };
    let mut activation = Activation::new(judged, &root, &mut modules);
    let usable = Usable::new(parameters, proc, &root);
    let no_worse = || usable.is_no_worse();
    overlay::mount(NEW_ROOT, &root, &mut activation, &mut modules, &no_worse)?;
    mounted.extend(
        activation
            .activated()
            .map(|(name, _)| format!("/{name}").as_bytes().into()),
    );
    for warning in replaced_os_release(facts.host.as_ref(), &activation) {
        say(facts, warning.into());
    }
    facts.image = Some(ImageFacts {
        root: Ok(root_image.path.clone()),
        layers: activation.outcomes(),
    });
    Ok((usable.init(), compatibility))
}

/// For `switch_root.incompatible=halt`: where the archive with the extensions was not
/// unpacked whole, there is nothing else to show that any is left out. Gives back what is to
/// be reported where that is not known.
///
/// # Errors
/// A sentence for the operator.
fn check_unpacking() -> Result<Option<Doubtful>, Unpacking> {
    match kernel_log::unpacked() {
        Unpacked::Whole => Ok(None),
        Unpacked::Unknown(why) => Ok(Some(Doubtful::Unpacking { why })),
        Unpacked::Failed(reason) => Err(Unpacking::Failed {
            failure: kernel_log::about(&reason).to_string(),
        }),
    }
}

/// Where the running system is another one than the extensions were judged for: the
/// policies were asked before any layer was mounted.
fn replaced_os_release(judged_for: Option<&HostFacts>, activation: &Activation) -> Vec<Doubtful> {
    let running = open_directory(NEW_ROOT, OFlags::RDONLY)
        .map(|new_root| machine::os_release(new_root.as_fd()).0);
    let same = |running| judged_for.is_some_and(|it| it.os_release == running);
    if !activation.any() || running.is_ok_and(same) {
        return Vec::new();
    }
    let has = |layer: &OwnedFd, path: &str| {
        in_root(
            layer.as_fd(),
            path.as_bytes(),
            OFlags::PATH | OFlags::NOFOLLOW,
        )
        .is_ok()
    };
    let mut warnings = Vec::new();
    for (name, layer) in activation.activated() {
        for path in locations::OS_RELEASE {
            if has(&layer.mounted.directory, path) {
                let name = name.clone();
                warnings.push(Doubtful::Replaces { name, path });
            }
        }
    }
    warnings
}

/// What is mounted, and by which digest, must not be the word of a process that runs policies:
/// the file is read once more in one that runs none.
fn read_by_ourselves(answer: Compatibility, facts: &Facts) -> Compatibility {
    let (List::Read(_, bytes), Compatibility::Judged { extensions, .. }) = (&facts.list, &answer)
    else {
        return answer;
    };
    let Ok(list) = compatibility::read(bytes) else {
        return Compatibility::Contradicted;
    };
    let judged = extensions.iter().map(|one| &one.extension);
    if !list.extensions.iter().eq(judged) {
        return Compatibility::Contradicted;
    }
    let unknown = list.unknown;
    match answer {
        Compatibility::Judged { extensions, .. } => Compatibility::Judged {
            extensions,
            unknown,
        },
        other => other,
    }
}

fn root_image(parameters: &Parameters) -> Result<Image, NoRootImage> {
    if let Some(path) = &parameters.root {
        let path = path.as_bytes();
        return Image::open(path).map_err(|reason| planner::unusable_root_image(path, &reason));
    }
    for path in ROOT_IMAGES {
        match Image::open(path.as_bytes()) {
            Ok(image) => return Ok(image),
            Err(reason) if !image::is_missing(&reason) => {
                return Err(unusable(path.as_bytes(), &reason));
            }
            Err(_) => {}
        }
    }
    Err(planner::no_root_image())
}

fn unusable(path: &[u8], reason: &Message) -> NoRootImage {
    NoRootImage::Unusable {
        path: path.into(),
        reason: reason.text.clone(),
    }
}
