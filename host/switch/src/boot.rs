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
mod overlay;
mod pseudo;
mod rescue;
mod top;
mod usable;

/// What the fuzzer drives of the parts of a boot.
#[cfg(feature = "fuzzing")]
pub mod fuzzing {
    pub use super::image::recognize_image;
    pub use super::modules::{load_order, unpack_module};
}

use std::convert::Infallible;
use std::ffi::{OsString, c_int};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use activation::Activation;
use image::Image;
use modules::Modules;
use mounted::Mounted;
use nix::mount::{MntFlags, umount2};
use policy::compatibility;
use policy::session::Session;
use rustix::fs::OFlags;
use switch_root_core::contract::HostFacts;
use switch_root_core::locations::{self, NEW_ROOT, ROOT_IMAGES};
use switch_root_core::parameters::{Incompatible, Parameters};
use switch_root_core::path::Path;
use switch_root_core::resolve::in_root;
use usable::Usable;

use crate::act::{self, Stop};
use crate::arguments::{Arguments, StrategyChoice};
use crate::kernel_log::{self, Unpacked};
use crate::mount_calls::open_directory;
use crate::old_root;
use crate::parameters;
use crate::preflight::{self, Asked, Context, Judgement};
use crate::proc::Proc;
use crate::{capabilities, log, machine, processes, start};

/// Boots the machine. Returns the exit status, which for PID 1 means the
/// kernel's panic.
pub fn run(arguments: Vec<OsString>, started: Instant) -> c_int {
    let warnings = pseudo::mount_all();
    start::use_console();
    log::start(true);
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let mut rescue = None;
    let Err(stop) = boot(arguments, warnings, &mut rescue, started);
    let (message, changed) = match stop {
        Stop::Refused(reason) => (format!("the machine cannot be started: {reason}"), false),
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

fn boot(
    arguments: Vec<OsString>,
    warnings: Vec<String>,
    rescue: &mut Option<String>,
    started: Instant,
) -> Result<Infallible, Stop> {
    let proc = Proc::open().map_err(Stop::Refused)?;
    let (command_line, parameters) = parameters::read(&proc);
    rescue.clone_from(&parameters.rescue);
    if let Some(level) = parameters.log {
        log::set_level(level);
    }
    parameters::log_warnings(&parameters);
    old_root::examine(parameters.keep_initramfs).map_err(Stop::Refused)?;
    capabilities::check().map_err(Stop::Refused)?;
    // First: later there are processes of our own.
    let others = processes::find(&proc);
    let found = preflight::policies(&parameters);
    let mut session = Session::new(&found.policies);
    preflight::refuse_unsigned(&session).map_err(Stop::Refused)?;
    // It gets ready while the root image is mounted.
    session.begin();
    let (init, mut asked) =
        assemble(&mut session, &parameters, &command_line, &proc).map_err(Stop::Refused)?;
    asked.warnings.splice(0..0, warnings);
    let arguments = Arguments {
        new_root: NEW_ROOT.into(),
        init: Some(init.into()),
        // What the kernel did not understand, and what it was told to pass on.
        init_arguments: arguments.into_iter().skip(1).collect(),
        plan: None,
        preserve: false,
        foreground: false,
        keep_initramfs: false,
        unchecked_init: false,
        mounts_stay: false,
        strategy: StrategyChoice::Auto,
        log: None,
        console: None,
        drop_capabilities: Vec::new(),
    };
    let context = Context {
        others: &others,
        arguments: &arguments,
        parameters: &parameters,
        command_line: &command_line,
        proc: &proc,
        started,
    };
    let (plan, mut facts) =
        preflight::plan(&context, &mut session, Some(asked)).map_err(Stop::Refused)?;
    facts.masked_policies.clone_from(&found.masked);
    act::act(&plan, facts, &proc, started)
}

/// Puts the new root together and finds its init: the root image first, since it
/// says which operating system extensions are judged for; then the layers of
/// those that may be activated; then an overlay of both.
fn assemble(
    session: &mut Session<'_>,
    parameters: &Parameters,
    command_line: &str,
    proc: &Proc,
) -> Result<(String, Asked), String> {
    let halt = parameters.incompatible == Incompatible::Halt;
    let unpacking = if halt { check_unpacking()? } else { None };
    let mut modules = Modules::default();
    // What the kernel did not unpack is not missing in the image.
    let root_image = root_image(parameters)
        .map_err(|reason| kernel_log::failure().map_or(reason, String::from))?;
    modules.loop_devices()?;
    let root = Mounted::new(&root_image, "root", &mut modules)
        .map_err(|reason| format!("the root image {} {reason}", root_image.path))?;
    let (host, mut warnings) = machine::facts(root.directory.as_fd(), command_line);
    warnings.extend(unpacking);
    let judgement = judge(session, parameters, &host, &mut warnings)?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let mut activation = Activation::new(judgement, &root, &mut modules);
    if halt {
        activation.refuse_if_any_is_left_out()?;
    }
    let usable = Usable::new(parameters, proc, &root);
    let no_worse = || usable.is_no_worse();
    overlay::mount(NEW_ROOT, &root, &mut activation, &mut modules, &no_worse)?;
    if halt {
        activation.refuse_if_any_is_left_out()?;
    }
    for warning in replaced_os_release(&host, &activation) {
        tracing::warn!("{warning}");
        warnings.push(warning);
    }
    let init = usable.init();
    let rewrite = activation.tell_the_running_system();
    let asked = Asked {
        extensions: activation.into_report(),
        warnings,
        rewrite,
    };
    Ok((init, asked))
}

/// For `switch_root.incompatible=halt`: where the archive with the extensions was not
/// unpacked whole, there is nothing else to show that any is left out. Gives back what is to
/// be reported where that is not known.
///
/// # Errors
/// A sentence for the operator.
fn check_unpacking() -> Result<Option<String>, String> {
    match kernel_log::unpacked() {
        Unpacked::Whole => Ok(None),
        Unpacked::Unknown(why) => Ok(Some(format!(
            "it is not known whether the kernel unpacked the whole initramfs, extensions included: {why}"
        ))),
        Unpacked::Failed(reason) => Err(format!(
            "{}; switch_root.incompatible=halt is given, and extensions may be among them: start once with switch_root.incompatible=skip to go on without",
            kernel_log::about(&reason)
        )),
    }
}

/// Where the running system is another one than the extensions were judged for: the
/// policies were asked before any layer was mounted.
fn replaced_os_release(judged_for: &HostFacts, activation: &Activation) -> Vec<String> {
    let running = open_directory(NEW_ROOT, OFlags::RDONLY)
        .map(|new_root| machine::os_release(new_root.as_fd()).0);
    if !activation.any() || running.is_ok_and(|fields| fields == judged_for.os_release) {
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
                warnings.push(format!(
                    "the layer {name} replaces {path}, and the extensions were reviewed against the os-release of the root image; take the file out of the layer"
                ));
            }
        }
    }
    warnings
}

/// Asks the policies about the extensions.
fn judge(
    session: &mut Session<'_>,
    parameters: &Parameters,
    host: &HostFacts,
    warnings: &mut Vec<String>,
) -> Result<Judgement, String> {
    let judgement = preflight::ask_compatibility(session, parameters, host, warnings)?;
    let (Some(path), None) = (judgement.file, &judgement.none) else {
        return Ok(judgement);
    };
    // What is mounted, and by which digest, must not be the word of a process that
    // runs policies: the file is read once more in one that runs none.
    let bytes = machine::extensions_yaml()?.map(|(_, bytes)| bytes);
    if let Ok(list) = compatibility::read(&bytes.unwrap_or_default()) {
        let judged = judgement.extensions.iter().map(|one| &one.extension);
        if list.extensions.iter().eq(judged) {
            let unknown = list.unknown;
            return Ok(Judgement {
                unknown,
                ..judgement
            });
        }
    }
    let reason = format!(
        "{path} is not what the process says that ran the policies; none of its extensions is activated"
    );
    warnings.push(reason.clone());
    Ok(Judgement {
        none: Some(reason),
        extensions: Vec::new(),
        ..judgement
    })
}

fn root_image(parameters: &Parameters) -> Result<Image, String> {
    if let Some(path) = &parameters.root {
        return Image::open(path.as_bytes()).map_err(|reason| {
            format!(
                "the root image {} {reason}; switch_root.root= of the kernel command line names it",
                Path::from(path.as_bytes())
            )
        });
    }
    for path in ROOT_IMAGES {
        match Image::open(path.as_bytes()) {
            Ok(image) => return Ok(image),
            Err(reason) if !reason.is_missing() => {
                return Err(format!("the root image {path} {reason}"));
            }
            Err(_) => {}
        }
    }
    Err(format!(
        "the initramfs has no root image, none of {}; put one there, or name it with the kernel parameter switch_root.root=/path",
        ROOT_IMAGES.join(", ")
    ))
}
