//! The program called `init`: boots an image whole. What a script in an initramfs
//! would do before it calls `switch_root` is done here: the pseudo file systems,
//! the modules that the kernel lacks, the root image, and on it the layers of
//! the extensions that are compatible. Then the switch goes its usual way.

mod activation;
mod image;
mod loop_device;
mod modules;
mod mounted;
mod overlay;
mod pseudo;
mod rescue;

use std::convert::Infallible;
use std::ffi::{OsString, c_int};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use policy::session::Session;
use rustix::fs::{self, Mode, OFlags};

use crate::act::{self, Stop};
use crate::arguments::{Arguments, StrategyChoice};
use crate::init::resolve;
use crate::parameters::{self, Incompatible, Parameters};
use crate::preflight::{self, Asked, Context};
use crate::proc::Proc;
use crate::text::Path;
use crate::{capabilities, complain, log, machine, start};

use activation::Activation;
use image::Image;
use modules::Modules;
use mounted::Mounted;

/// Where the new root is put together. Not below one of the mounts that are
/// moved into it.
const NEW_ROOT: &str = "/sysroot";

/// What is executed where the kernel's `init=` says nothing: the first that
/// exists, as the kernel has it, but for its shell, which anybody could use.
const INITS: [&str; 3] = ["/sbin/init", "/etc/init", "/bin/init"];

/// Root images that are looked for where `switch_root.root=` names none.
const ROOT_IMAGES: [&str; 3] = ["/rootfs.sqsh", "/rootfs.squashfs", "/rootfs.erofs"];

/// Boots the machine. Returns the exit status, which for PID 1 means the
/// kernel's panic.
pub fn run(arguments: Vec<OsString>, started: Instant) -> c_int {
    let warnings = pseudo::mount_all();
    start::use_console();
    log::start(true);
    let mut parameters = Parameters::default();
    let Err(stop) = boot(arguments, warnings, &mut parameters, started);
    let before_switch = matches!(stop, Stop::Refused(_));
    complain(
        true,
        &match stop {
            Stop::Refused(reason) => format!("the machine cannot be started: {reason}"),
            Stop::NoInit(reason) => reason,
        },
    );
    if before_switch && let Some(program) = &parameters.rescue {
        rescue::run(program, parameters.panic);
    }
    1
}

fn boot(
    arguments: Vec<OsString>,
    warnings: Vec<String>,
    parameters: &mut Parameters,
    started: Instant,
) -> Result<Infallible, Stop> {
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let proc = Proc::open().map_err(Stop::Refused)?;
    let command_line = proc.command_line();
    *parameters = parameters::parse(&command_line);
    if let Some(level) = parameters.log {
        log::set_level(level);
    }
    capabilities::check().map_err(Stop::Refused)?;
    let policies = preflight::policies(parameters);
    let mut session = Session::new(&policies);
    // It gets ready while the root image is mounted.
    session.begin();
    let (init, mut asked) =
        assemble(&mut session, parameters, &command_line).map_err(Stop::Refused)?;
    asked.warnings.splice(0..0, warnings);
    let arguments = Arguments {
        new_root: NEW_ROOT.into(),
        init,
        // What the kernel did not understand, and what it was told to pass on.
        init_arguments: arguments.into_iter().skip(1).collect(),
        plan: None,
        foreground: false,
        keep_initramfs: false,
        strategy: StrategyChoice::Auto,
        log: None,
        console: None,
        drop_capabilities: Vec::new(),
    };
    let context = Context {
        arguments: &arguments,
        parameters,
        command_line: &command_line,
        proc: &proc,
        started,
    };
    let (plan, facts) =
        preflight::plan(&context, &mut session, Some(asked)).map_err(Stop::Refused)?;
    act::act(&plan, facts, &proc, started)
}

/// Puts the new root together, and finds its init. In this order:
fn assemble(
    session: &mut Session<'_>,
    parameters: &Parameters,
    command_line: &str,
) -> Result<(OsString, Asked), String> {
    let mut modules = Modules::default();
    let root_image = root_image(parameters)?;
    modules.loop_devices()?;
    let root = Mounted::new(&root_image, "root", &mut modules)
        .map_err(|reason| format!("the root image {} {reason}", root_image.path))?;
    let (host, mut warnings) = machine::facts(root.directory.as_fd(), command_line);
    let judged = preflight::ask_compatibility(session, parameters, &host, &mut warnings)?;
    let mut activation = Activation::new(judged, &root, &mut modules);
    if parameters.incompatible == Incompatible::Halt {
        activation.refuse_if_any_is_left_out()?;
    }
    overlay::mount(NEW_ROOT, &root, &mut activation, &mut modules)?;
    if parameters.incompatible == Incompatible::Halt {
        activation.refuse_if_any_is_left_out()?;
    }
    let init = match &parameters.init {
        Some(init) => init.clone(),
        None => default_init().to_owned(),
    };
    warnings.extend(activation.tell_the_running_system());
    let asked = Asked {
        extensions: activation.into_report(),
        warnings,
    };
    Ok((init.into(), asked))
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

/// The first of [`INITS`] that the new root has.
fn default_init() -> &'static str {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let exists = |new_root: &OwnedFd, init: &str| {
        resolve(new_root.as_fd(), init.as_bytes(), OFlags::PATH).is_ok()
    };
    fs::open(NEW_ROOT, flags, Mode::empty())
        .ok()
        .and_then(|new_root| INITS.into_iter().find(|init| exists(&new_root, init)))
        // Its absence is told by the checks of every switch.
        .unwrap_or(INITS[0])
}
